from __future__ import annotations

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.model.regressor import fit_l1, fit_ridge

FITS = (fit_ridge, fit_l1)


def people(n: int = 40, d: int = 6, views: int = 2, noise: float = 2.0, seed: int = 0):
    """Ages linear in the features; the views of a person lie close together."""
    rng = np.random.default_rng(seed)
    person = rng.standard_normal((n, d)) * np.linspace(0.5, 3, d) + 5
    ages = 50 + person @ np.linspace(-3, 4, d) + noise * rng.standard_normal(n)
    embeddings = np.repeat(person, views, axis=0) + 0.05 * rng.standard_normal((n * views, d))
    names = [f"sub-{index:02}" for index in range(n) for _ in range(views)]
    return embeddings, np.repeat(ages, views), names


@pytest.mark.parametrize("fit", FITS)
def test_finds_a_line_that_is_there(fit):
    embeddings, ages, names = people(noise=0.0)
    regressor = fit(embeddings, ages, names)
    assert np.abs(regressor.predict(embeddings) - ages).mean() < 0.5
    np.testing.assert_allclose(regressor.weight, np.linspace(-3, 4, 6), atol=0.4)


@pytest.mark.parametrize("fit", FITS)
def test_constant_feature_gets_no_weight(fit):
    embeddings, ages, names = people()
    embeddings = np.column_stack([embeddings, np.full(len(ages), 0.1), np.zeros(len(ages))])
    embeddings[:, 6] += 1e-9 * np.arange(len(ages))  # rounding is no information
    regressor = fit(embeddings, ages, names)
    assert regressor.weight[6] == regressor.weight[7] == 0
    assert np.isfinite(regressor.weight).all()


@pytest.mark.parametrize("fit", FITS)
def test_rescaled_and_shifted_features_give_the_same_ages(fit):
    embeddings, ages, names = people()
    regressor = fit(embeddings, ages, names)
    other = fit(embeddings * 7 - 3, ages, names)
    np.testing.assert_allclose(other.predict(embeddings * 7 - 3), regressor.predict(embeddings), atol=1e-6)
    assert other.alpha == regressor.alpha


@pytest.mark.parametrize("fit", FITS)
def test_views_of_one_person_leave_together(fit):
    rng = np.random.default_rng(1)
    noise, ages = rng.standard_normal((30, 200)), rng.uniform(20, 80, 30)
    names = [f"sub-{index}" for index in range(30)]
    regressor = fit(np.repeat(noise, 3, axis=0), np.repeat(ages, 3), list(np.repeat(names, 3)))
    # Features know nothing of age: whoever is left out cannot be told, though copies of him stay.
    errors = np.abs(regressor.left_out_ages - np.repeat(ages, 3))
    assert errors.mean() > 0.8 * np.abs(ages - ages.mean()).mean()


@pytest.mark.parametrize("fit", FITS)
def test_order_of_the_rows_does_not_matter(fit):
    embeddings, ages, names = people(views=3)
    names[0] = names[1] = names[2] = "another"  # people of 2 counts: 3 rows and, below, fewer
    keep = np.random.default_rng(0).permutation(len(ages))[:-20]
    regressor = fit(embeddings[keep], ages[keep], [names[row] for row in keep])
    ordered = np.sort(keep)
    other = fit(embeddings[ordered], ages[ordered], [names[row] for row in ordered])
    np.testing.assert_allclose(other.weight, regressor.weight, atol=1e-6)
    np.testing.assert_allclose(other.left_out_ages, regressor.left_out_ages[np.argsort(keep)], atol=1e-5)


def test_a_person_counts_once_however_many_scans():
    embeddings, ages, names = people(n=30, d=25, views=1, noise=6.0)
    rows = np.r_[np.arange(30), np.zeros(60, int)]
    once = fit_ridge(embeddings, ages, names, (2.0, 2.0, 1))
    often = fit_ridge(embeddings[rows], ages[rows], [names[r] for r in rows], (2.0, 2.0, 1))
    assert not np.allclose(once.weight, often.weight)  # rows weigh in the fit, people in the choice
    assert np.ptp(often.left_out_ages[rows == 0]) < 1e-8


def test_l1_ignores_a_few_wild_ages():
    embeddings, ages, names = people(n=60, views=1, noise=1.0)
    wild = ages.copy()
    wild[:5] += 400
    ridge, l1 = (fit(embeddings, wild, names).predict(embeddings)[5:] - ages[5:] for fit in FITS)
    assert np.abs(l1).mean() < 1.5
    assert np.abs(ridge).mean() > 10


@pytest.mark.parametrize("fit", FITS)
def test_same_bytes_every_time(fit):
    first, again = (fit(*people(d=100)) for _ in range(2))
    assert first.weight.tobytes() == again.weight.tobytes()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, a, p: (e, a, p[1:]), "80 embeddings, 80 ages, 79 participants"),
        (lambda e, a, p: (e * np.nan, a, p), "sub-00.*not a number"),
        (lambda e, a, p: (e, np.where(np.arange(80) == 5, np.inf, a), p), "sub-02.*not a number"),
        (lambda e, a, p: (e, a, ["a" if name < "sub-20" else "b" for name in p]), "2 participants"),
    ],
)
def test_bad_input_is_one_sentence(fit, change, message: str):
    with pytest.raises(InputError, match=message):
        fit(*change(*people()))


@pytest.mark.parametrize("fit", FITS)
def test_with_a_floor_what_hardly_varied_counts_little_where_it_does_vary(fit):
    embeddings, ages, names = people()
    rare = np.random.default_rng(5).normal(0, 1e-4, len(ages))
    embeddings = np.column_stack([embeddings, rare])
    cut, whole = (abs(fit(embeddings, ages, names, floor=floor).weight[-1]) for floor in (0.1, 0.0))
    assert cut < 0.05 * whole
