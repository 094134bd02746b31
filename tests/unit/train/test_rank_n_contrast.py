from __future__ import annotations

from math import lgamma, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from brainclock.errors import InputError
from brainclock.train import rank_n_contrast as module
from brainclock.train.rank_n_contrast import (
    RankNContrast,
    loss_bounds,
    normalised_rank_n_contrast,
    rank_n_contrast,
)


def definition(embeddings: Tensor, ages: Tensor, temperature: float = 2.0) -> Tensor:
    """The loss as its double sum over ordered pairs, with the sets written out."""
    n = len(embeddings)
    terms = []
    for i in range(n):
        others = [k for k in range(n) if k != i]
        away = {k: (embeddings[i] - embeddings[k]).norm() / temperature for k in others}
        for j in others:
            gap = abs(ages[i] - ages[j])
            farther = torch.stack([-away[k] for k in others if abs(ages[i] - ages[k]) >= gap])
            terms.append(torch.logsumexp(farther, 0) + away[j])
    return torch.stack(terms).sum() / (n * (n - 1))


def value_and_gradient(function, embeddings: Tensor, ages: Tensor, **kwargs) -> tuple[Tensor, Tensor]:
    leaf = embeddings.clone().requires_grad_()
    loss = function(leaf, ages, **kwargs)
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def batch(n: int, d: int, seed: int = 0, years: int = 70, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ages = torch.randint(20, 20 + years, (n,), generator=generator)
    return torch.randn(n, d, generator=generator, dtype=dtype), ages


@st.composite
def batches(draw) -> tuple[Tensor, Tensor]:
    n, d = draw(st.integers(2, 11)), draw(st.integers(1, 4))
    years = draw(st.sampled_from([1, 2, 4, 8, 60]))
    embeddings, ages = batch(n, d, draw(st.integers(0, 10**6)), years)
    if draw(st.booleans()):  # two samples at one place
        embeddings[0] = embeddings[-1]
    return embeddings * draw(st.sampled_from([0.01, 1.0, 30.0])), ages


@settings(max_examples=60, deadline=None)
@given(batches(), st.sampled_from([0.5, 2.0]))
def test_value_and_gradient_are_those_of_the_definition(drawn: tuple[Tensor, Tensor], temperature: float):
    expected, slope = value_and_gradient(definition, *drawn, temperature=temperature)
    found, gradient = value_and_gradient(rank_n_contrast, *drawn, temperature=temperature)
    assert found.item() == pytest.approx(expected.item(), rel=1e-11, abs=1e-13)
    torch.testing.assert_close(gradient, slope, rtol=1e-9, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(batches())
def test_never_below_the_bound(drawn: tuple[Tensor, Tensor]):
    collapsed, bound = loss_bounds(drawn[1])
    assert bound <= collapsed + 1e-12
    assert rank_n_contrast(*drawn).item() >= bound - 1e-9


def test_gradcheck():
    embeddings, ages = batch(9, 3, years=5)
    assert torch.autograd.gradcheck(lambda v: rank_n_contrast(v, ages), embeddings.requires_grad_())


def test_second_derivative_is_refused():
    embeddings, ages = batch(5, 2)
    embeddings.requires_grad_()
    (slope,) = torch.autograd.grad(rank_n_contrast(embeddings, ages), embeddings, create_graph=True)
    with pytest.raises(RuntimeError):
        slope.sum().backward()


def test_golden_example():
    ages = torch.tensor([20.0, 40.0, 60.0, 80.0])
    assert rank_n_contrast(ages[:, None] / 20, ages).item() == pytest.approx(0.511731, abs=1e-6)
    assert rank_n_contrast(ages[:, None] / 2, ages).item() == pytest.approx(0.234416, abs=1e-6)
    assert loss_bounds(ages) == pytest.approx((0.664832, 0.231049), abs=2e-6)


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_bounds_without_ties_are_the_closed_forms(n: int):
    ages = 3.0 ** torch.arange(n, dtype=torch.float64) if n < 20 else torch.arange(n).double() ** 3
    collapsed, bound = loss_bounds(ages)
    assert collapsed == pytest.approx(lgamma(n) / (n - 1), rel=1e-12, abs=1e-15)
    assert bound == 0


@pytest.mark.parametrize("people", [2, 5, 40])
def test_bounds_of_two_views_are_the_closed_forms(people: int):
    ages = torch.arange(people).double() ** 3 + 20
    collapsed, bound = loss_bounds(torch.cat([ages, ages]))
    pairs = 2 * people - 1
    expected = log(pairs) + 2 * (people - 1) * log(2) + 2 * lgamma(people)
    assert collapsed == pytest.approx(expected / pairs, rel=1e-12)
    assert bound == pytest.approx(2 * (people - 1) * log(2) / pairs, rel=1e-12)


def test_line_in_order_of_age_tends_to_the_bound():
    _, ages = batch(40, 1)
    line = ages[:, None].double()
    _, bound = loss_bounds(ages)
    gaps = [rank_n_contrast(scale * line, ages).item() - bound for scale in (1, 10, 1000)]
    assert gaps[0] > 0.01 > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_collapsed_batch_is_stationary(dtype: torch.dtype):
    _, ages = batch(30, 1, years=12)
    same = torch.full((30, 7), 0.1, dtype=dtype) * torch.arange(1, 8)
    loss, gradient = value_and_gradient(rank_n_contrast, same, ages)
    assert loss.item() == pytest.approx(loss_bounds(ages)[0], rel=1e-6)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_coincident_pair_does_not_move_itself():
    embeddings = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    _, gradient = value_and_gradient(rank_n_contrast, embeddings, torch.tensor([20, 30]))
    assert torch.equal(gradient, torch.zeros(2, 2))


def test_far_apart_embeddings_do_not_underflow():
    embeddings = torch.tensor([[0.0], [200.0], [400.0], [600.0]])
    ages = torch.tensor([20, 30, 40, 50])
    loss, gradient = value_and_gradient(rank_n_contrast, embeddings, ages)
    assert loss.item() == pytest.approx(0.2310490602, rel=1e-6)
    assert gradient.isfinite().all()
    disordered = 1e5 * embeddings[[2, 0, 3, 1]]
    expected, slope = value_and_gradient(definition, disordered.double(), ages)
    loss, gradient = value_and_gradient(rank_n_contrast, disordered, ages)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-5, atol=1e-9)


def test_tight_pairs_far_from_the_middle_keep_their_digits():
    embeddings, ages = batch(12, 5)
    embeddings[:6] = 1e3 + embeddings[:6] * 1e-6
    expected, slope = value_and_gradient(definition, embeddings, ages)
    found, gradient = value_and_gradient(rank_n_contrast, embeddings, ages)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(gradient, slope, rtol=1e-6, atol=1e-9)


def test_invariant_under_what_keeps_distances_and_the_order_of_gaps():
    embeddings, ages = batch(24, 6, years=20)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)).double()).Q
    mirror = torch.diag(torch.tensor([-1.0, 1, 1, 1, 1, 1]).double())
    order = torch.randperm(24, generator=torch.Generator().manual_seed(2))
    loss = rank_n_contrast(embeddings, ages).item()
    for other in (
        rank_n_contrast(embeddings[order], ages[order]),
        rank_n_contrast(embeddings, 3 * ages + 7),
        rank_n_contrast(embeddings, 0.5 * ages - 4),
        rank_n_contrast(embeddings, 100 - ages),
        rank_n_contrast(embeddings + 5, ages),
        rank_n_contrast(embeddings @ rotation, ages),
        rank_n_contrast(embeddings @ mirror, ages),
        rank_n_contrast(7 * embeddings, ages, temperature=14.0),
    ):
        assert other.item() == pytest.approx(loss, rel=1e-12)


def test_not_invariant_under_scale_alone_or_under_the_order_of_ages_alone():
    embeddings, ages = batch(24, 6, years=20)
    loss = rank_n_contrast(embeddings, ages).item()
    assert abs(rank_n_contrast(2 * embeddings, ages).item() - loss) > 1e-3
    assert abs(rank_n_contrast(embeddings, ages.double() ** 3).item() - loss) > 1e-3


def test_gradients_add_up_to_zero():
    _, gradient = value_and_gradient(rank_n_contrast, *batch(50, 8, years=10))
    assert gradient.abs().max() > 1e-4
    torch.testing.assert_close(gradient.sum(0), torch.zeros(8).double(), rtol=0, atol=1e-15)


def test_equal_differences_tie_whatever_their_last_digit():
    ages = torch.tensor([20.1, 20.2, 20.3, 20.7, 20.4], dtype=torch.float64)  # 20.2 − 20.1 ≠ 20.3 − 20.2
    embeddings, _ = batch(5, 3)
    assert rank_n_contrast(embeddings, ages).item() == pytest.approx(
        rank_n_contrast(embeddings, torch.tensor([1, 2, 3, 7, 4])).item(), rel=1e-14
    )


@pytest.mark.parametrize(("kind", "loss_kind"), [("bfloat16", "float32"), ("float32", "float32")])
def test_single_precision_under_autocast(kind: str, loss_kind: str):
    embeddings, ages = batch(32, 16)
    low = embeddings.to(getattr(torch, kind))
    expected, slope = value_and_gradient(rank_n_contrast, low.double(), ages)
    with torch.autocast("cpu", torch.bfloat16):
        loss, gradient = value_and_gradient(rank_n_contrast, low, ages)
    assert loss.dtype == getattr(torch, loss_kind)
    assert gradient.dtype == low.dtype
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    accuracy = 1e-2 if kind == "bfloat16" else 1e-5
    assert (gradient.double() - slope).norm() < accuracy * slope.norm()


def test_double_stays_double_and_the_upstream_factor_counts():
    embeddings, ages = batch(8, 4)
    loss, gradient = value_and_gradient(rank_n_contrast, embeddings, ages)
    _, tripled = value_and_gradient(lambda v, y: 3 * rank_n_contrast(v, y), embeddings, ages)
    assert loss.dtype == gradient.dtype == torch.float64
    torch.testing.assert_close(tripled, 3 * gradient)


@pytest.mark.parametrize("numbers", [1, 61, 300])
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch, numbers: int):
    embeddings, ages = batch(30, 4, years=15)
    embeddings[3] = embeddings[4]
    loss, gradient = value_and_gradient(rank_n_contrast, embeddings, ages)
    bounds = loss_bounds(ages)
    monkeypatch.setattr(module, "_BLOCK", numbers)
    in_blocks, gradient_in_blocks = value_and_gradient(rank_n_contrast, embeddings, ages)
    torch.testing.assert_close(in_blocks, loss)
    torch.testing.assert_close(gradient_in_blocks, gradient)
    assert loss_bounds(ages) == pytest.approx(bounds, rel=1e-14)


def test_plain_and_logarithmic_sums_agree(monkeypatch: pytest.MonkeyPatch):
    embeddings, ages = batch(30, 4, years=15)
    loss, gradient = value_and_gradient(rank_n_contrast, 20 * embeddings, ages)
    monkeypatch.setattr(module, "_SPREAD", 0.0)
    stable, stable_gradient = value_and_gradient(rank_n_contrast, 20 * embeddings, ages)
    torch.testing.assert_close(loss, stable, rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient, stable_gradient, rtol=1e-9, atol=1e-13)


def test_not_a_number_is_not_hidden():
    embeddings, ages = batch(6, 3)
    embeddings[2, 1] = torch.nan
    loss, gradient = value_and_gradient(rank_n_contrast, embeddings, ages)
    assert loss.isnan()
    assert gradient.isnan().any()


def test_normalised_loss_is_one_when_collapsed_and_zero_at_the_bound():
    _, ages = batch(20, 1, years=30)
    assert normalised_rank_n_contrast(torch.zeros(20, 3), ages).item() == pytest.approx(1, abs=1e-6)
    assert normalised_rank_n_contrast(1e3 * ages[:, None].double(), ages).item() == pytest.approx(0, abs=1e-9)
    backwards = ages[torch.randperm(20, generator=torch.Generator().manual_seed(0))]
    assert normalised_rank_n_contrast(5.0 * backwards[:, None].double(), ages).item() > 1


def test_normalised_loss_is_undefined_where_nothing_is_to_order():
    embeddings, _ = batch(6, 3)
    assert normalised_rank_n_contrast(embeddings, torch.full((6,), 40)).isnan()


def test_module_is_the_function():
    embeddings, ages = batch(10, 3)
    assert torch.equal(
        RankNContrast(0.7)(embeddings, ages), rank_n_contrast(embeddings, ages, temperature=0.7)
    )


@pytest.mark.parametrize(
    ("embeddings", "ages", "temperature", "message"),
    [
        (torch.zeros(1, 2), torch.zeros(1), 2.0, "1 embeddings and 1 ages"),
        (torch.zeros(3, 2), torch.tensor([20.0, torch.nan, 30.0]), 2.0, "age that is not a number"),
        (torch.zeros(3, 2), torch.zeros(3), 0.0, "temperature"),
        (torch.zeros(3, 2), torch.zeros(3), float("nan"), "temperature"),
    ],
)
def test_bad_input_is_one_sentence(embeddings: Tensor, ages: Tensor, temperature: float, message: str):
    with pytest.raises(InputError, match=message):
        rank_n_contrast(embeddings, ages, temperature=temperature)
