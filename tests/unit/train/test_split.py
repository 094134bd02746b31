import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainclock.train.split import assign_folds, hold_out


def cohort(n: int, seed: int = 0) -> tuple[np.ndarray, list[str], list[str]]:
    """``n`` people of two sites, some with two scans."""
    rng = np.random.default_rng(seed)
    twice = [person for person in range(n) for _ in range(1 + person % 2)]
    ages = rng.uniform(20, 90, n)[twice] + rng.uniform(0, 3, len(twice))
    return ages, [f"sub-{person}" for person in twice], ["a" if person % 3 else "b" for person in twice]


@given(st.integers(0, 40), st.floats(0, 0.95), st.integers(0, 5))
def test_nobody_is_on_both_sides_and_the_share_is_right(n, fraction, seed):
    ages, people, sites = cohort(n)
    training, held_out = hold_out(ages, people, sites, fraction, seed)
    assert sorted([*training, *held_out]) == list(range(len(people)))
    both = {people[row] for row in training} & {people[row] for row in held_out}
    assert not both
    assert abs(len({people[row] for row in held_out}) - fraction * n) <= 0.5


def test_every_site_and_age_gives_its_share():
    ages, people, sites = cohort(300)
    _, held_out = hold_out(ages, people, sites, 0.2, 1)
    out = np.isin(np.arange(len(people)), held_out)
    for site in ("a", "b"):
        here = np.array(sites) == site
        for low in (20, 55):
            band = here & (ages >= low) & (ages < low + 35)
            assert out[band].mean() == pytest.approx(0.2, abs=0.06)


def test_the_seed_decides_who_is_held_out():
    ages, people, sites = cohort(60)
    first, again, other = (hold_out(ages, people, sites, 0.2, seed)[1] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_the_order_of_the_scans_does_not_matter():
    ages, people, sites = cohort(60)
    order = np.random.default_rng(3).permutation(len(people))
    _, held_out = hold_out(ages, people, sites, 0.3, 1)
    _, shuffled = hold_out(ages[order], [people[i] for i in order], [sites[i] for i in order], 0.3, 1)
    assert {people[row] for row in held_out} == {people[order[row]] for row in shuffled}


@given(st.integers(5, 40), st.integers(2, 6))
def test_folds_keep_people_together_and_are_of_a_size(n, folds):
    ages, people, sites = cohort(n)
    fold = assign_folds(ages, people, sites, folds, 1)
    by_person = {}
    for person, number in zip(people, fold, strict=True):
        assert by_person.setdefault(person, number) == number
    counts = np.bincount(list(by_person.values()), minlength=folds)
    assert counts.max() - counts.min() <= 2  # one for each site
