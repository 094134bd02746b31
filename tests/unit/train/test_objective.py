from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
import torch

from brainclock.config import TrainSettings
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.train.objective import AgeBins, batch_loss, build_head, from_years, to_years
from brainclock.train.rank_n_contrast import rank_n_contrast
from tiny_training import settings

SCALE = (50.0, 15.0)
AGES = np.array([20.0, 35.0, 35.0, 60.0, 80.0])


def batch(model: BrainAgeModel) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(5, model.embedding_size, generator=generator), torch.from_numpy(AGES).float()


def model() -> BrainAgeModel:
    made = BrainAgeModel.build(settings())
    torch.nn.init.normal_(made.regressor.weight, generator=torch.Generator().manual_seed(6))
    return made


def loss(objective: str, made: BrainAgeModel, **train) -> torch.Tensor:
    chosen = TrainSettings(objective=objective, **train)
    head = build_head(chosen, made.embedding_size, AGES, torch.Generator().manual_seed(1))
    return batch_loss(made, head, *batch(made), chosen, SCALE)


def test_the_joint_objective_is_the_weighted_sum():
    made = model()
    embeddings, ages = batch(made)
    errors = made.read_embeddings(embeddings) - (ages - SCALE[0]) / SCALE[1]
    expected = rank_n_contrast(embeddings, ages) + 0.3 * errors.abs().mean()
    torch.testing.assert_close(loss("rnc+l1", made, l1_weight=0.3), expected)
    torch.testing.assert_close(loss("rnc+l1", made, l1_weight=0.0), loss("rnc", made))


@pytest.mark.parametrize("objective", ["rnc", "rnc+l1", "exp", "y-aware", "l1", "mse", "soft-label"])
def test_every_objective_pulls_at_the_embeddings(objective):
    made = model()
    chosen = TrainSettings(objective=objective, temperature=0.5)
    head = build_head(chosen, made.embedding_size, AGES, torch.Generator().manual_seed(1))
    if objective == "soft-label":
        torch.nn.init.normal_(head.logits.weight, std=0.1, generator=torch.Generator().manual_seed(2))
    embeddings, ages = batch(made)
    embeddings.requires_grad_()
    batch_loss(made, head, embeddings, ages, chosen, SCALE).backward()
    assert embeddings.grad.abs().sum() > 0
    assert all(weight.grad is not None for weight in head.parameters())


def test_soft_labels_are_the_divergence_of_a_gaussian_by_years():
    bins = AgeBins(3, 20.0, 80.0, sigma_years=2.0)
    torch.nn.init.normal_(bins.logits.weight, generator=torch.Generator().manual_seed(3))
    embeddings = torch.randn(2, 3, generator=torch.Generator().manual_seed(4))
    ages = torch.tensor([33.3, 78.0])
    edges = bins.edges.tolist()
    assert edges == list(range(14, 88))
    total = 0.0
    for row, age in enumerate(ages.tolist()):
        gauss = NormalDist(age, 2.0)
        target = [gauss.cdf(high) - gauss.cdf(low) for low, high in pairwise(edges)]
        target = [share / sum(target) for share in target]
        logits = bins.logits(embeddings[row]).tolist()
        largest = sum(math.exp(value) for value in logits)
        for share, value in zip(target, logits, strict=True):
            if share > 0:
                total += share * (math.log(share) - value + math.log(largest)) / 2
    assert bins(embeddings, ages).item() == pytest.approx(total, rel=1e-4)


def test_soft_labels_are_read_as_the_expected_age():
    bins = AgeBins(1, 20.0, 80.0, sigma_years=2.0)
    ages = torch.tensor([25.5, 60.2])
    with torch.no_grad():
        bins.logits.bias.copy_(bins.target(ages[1:])[0].clamp(min=1e-20).log())
    assert bins.read(torch.zeros(1, 1)).item() == pytest.approx(60.2, abs=0.01)
    assert bins(torch.zeros(1, 1), ages[1:]).item() == pytest.approx(0.0, abs=1e-4)
    torch.testing.assert_close(bins.target(ages).sum(dim=1), torch.ones(2))


def test_gradient_of_soft_labels_is_that_of_finite_differences():
    bins = AgeBins(2, 40.0, 45.0, sigma_years=1.5).double()
    torch.nn.init.normal_(bins.logits.weight, generator=torch.Generator().manual_seed(3))
    embeddings = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    ages = torch.tensor([41.0, 42.5, 44.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: bins(v, ages), embeddings.requires_grad_())


def test_heads_begin_the_same_and_leave_global_randomness_alone():
    before = torch.random.get_rng_state()
    for objective in ("exp", "y-aware", "soft-label", "rnc"):
        chosen = TrainSettings(objective=objective)
        first, second = (build_head(chosen, 7, AGES, torch.Generator().manual_seed(1)) for _ in range(2))
        for one, other in zip(first.parameters(), second.parameters(), strict=True):
            assert torch.equal(one, other)
        assert (len(list(first.parameters())) > 0) == (objective != "rnc")
    assert torch.equal(before, torch.random.get_rng_state())


def test_years_and_standardised_age_undo_each_other():
    made = model()
    embeddings, _ = batch(made)
    before = made.read_embeddings(embeddings).detach()
    to_years(made, SCALE)
    torch.testing.assert_close(made.read_embeddings(embeddings), before * SCALE[1] + SCALE[0])
    from_years(made, SCALE)
    torch.testing.assert_close(made.read_embeddings(embeddings), before)
