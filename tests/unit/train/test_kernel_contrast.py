from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from brainclock.errors import InputError
from brainclock.train.kernel_contrast import exp_contrast, y_aware_contrast

LOSSES = (exp_contrast, y_aware_contrast)


def similarity(embeddings: Tensor, temperature: float) -> list[list[Tensor]]:
    z = [v / v.norm() for v in embeddings]
    return [[a @ b / temperature for b in z] for a in z]


def weight(ages: Tensor, i: int, j: int, sigma: float) -> Tensor:
    return torch.exp(-((ages[i] - ages[j]) ** 2) / (2 * sigma**2)).double()


def y_aware(embeddings: Tensor, ages: Tensor, temperature: float, sigma: float) -> Tensor:
    """The published formula, term by term."""
    s, n = similarity(embeddings, temperature), len(embeddings)
    total = embeddings.new_zeros(())
    for i in range(n):
        others = [k for k in range(n) if k != i]
        weights = sum(weight(ages, i, t, sigma) for t in others)
        for k in others:
            below = sum(torch.exp(s[i][t]) for t in others)
            total = total - weight(ages, i, k, sigma) / weights * torch.log(torch.exp(s[i][k]) / below)
    return total / n


def exp(embeddings: Tensor, ages: Tensor, temperature: float, sigma: float) -> Tensor:
    """The published formula, term by term."""
    s, n = similarity(embeddings, temperature), len(embeddings)
    total = embeddings.new_zeros(())
    for i in range(n):
        others = [k for k in range(n) if k != i]
        weights = sum(weight(ages, i, t, sigma) for t in others)
        for k in others:
            below = sum(torch.exp(s[i][t] * (1 - weight(ages, i, t, sigma))) for t in others if t != k)
            total = total - weight(ages, i, k, sigma) / weights * torch.log(torch.exp(s[i][k]) / below)
    return total / n


DEFINITIONS = {exp_contrast: exp, y_aware_contrast: y_aware}


@st.composite
def batches(draw) -> tuple[Tensor, Tensor]:
    n, d = draw(st.integers(3, 9)), draw(st.integers(2, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    embeddings = torch.randn(n, d, generator=generator, dtype=torch.float64)
    ages = torch.randint(20, 20 + draw(st.sampled_from([2, 6, 15])), (n,), generator=generator).double()
    return embeddings, ages


@pytest.mark.parametrize("loss", LOSSES)
@settings(max_examples=25, deadline=None)
@given(drawn=batches(), temperature=st.sampled_from([0.1, 1.0]), sigma=st.sampled_from([1.0, 5.0]))
def test_value_and_gradient_are_those_of_the_formula(loss, drawn, temperature, sigma):
    embeddings, ages = drawn
    found, expected = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    value = loss(found, ages, temperature=temperature, sigma_years=sigma)
    truth = DEFINITIONS[loss](expected, ages, temperature, sigma)
    value.backward(), truth.backward()
    torch.testing.assert_close(value, truth, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.grad, expected.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_that_of_finite_differences(loss):
    embeddings = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ages = torch.tensor([20.0, 22, 22, 25, 40, 70])
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(v, ages, temperature=0.1, sigma_years=2.0), embeddings)


@pytest.mark.parametrize("loss", LOSSES)
def test_neither_order_nor_length_nor_direction_of_time_matters(loss):
    generator = torch.Generator().manual_seed(2)
    embeddings = torch.randn(8, 4, dtype=torch.float64, generator=generator)
    ages = torch.tensor([20.0, 20, 23, 31, 31, 40, 55, 80])
    options = {"temperature": 0.2, "sigma_years": 5.0}
    value = loss(embeddings, ages, **options)
    order = torch.randperm(8, generator=generator)
    torch.testing.assert_close(loss(embeddings[order], ages[order], **options), value)
    torch.testing.assert_close(loss(embeddings * torch.arange(1.0, 9)[:, None], ages, **options), value)
    torch.testing.assert_close(loss(embeddings, 100 - ages, **options), value)


@pytest.mark.parametrize("loss", LOSSES)
def test_far_ages_and_sharp_temperatures_stay_finite(loss):
    embeddings = torch.randn(6, 3, generator=torch.Generator().manual_seed(3)).requires_grad_()
    ages = torch.tensor([20.0, 30, 45, 60, 75, 95])  # nobody is near anybody
    value = loss(embeddings, ages, temperature=0.001, sigma_years=0.5)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_directions_of_equal_ages_are_preferred(loss):
    ages = torch.tensor([20.0, 20, 80, 80])
    ordered = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [-1, 0]])
    options = {"temperature": 0.5, "sigma_years": 5.0}
    assert loss(ordered, ages, **options) < loss(ordered[[0, 2, 1, 3]], ages, **options)


@pytest.mark.parametrize("loss", LOSSES)
def test_too_few_embeddings_are_refused(loss):
    with pytest.raises(InputError, match="at least three"):
        loss(torch.ones(2, 2), torch.ones(2), temperature=1.0, sigma_years=1.0)
