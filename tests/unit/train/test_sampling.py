import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainclock.errors import InputError
from brainclock.train.sampling import draw_batch


def names(n: int) -> list[str]:
    return [f"sub-{i}" for i in range(n)]


@given(st.lists(st.floats(18, 95), min_size=2, max_size=60), st.integers(2, 40), st.integers(0, 9))
def test_nobody_is_in_a_batch_twice(ages, size, step):
    rows = draw_batch(np.array(ages), names(len(ages)), size, 1, step)
    assert len(set(rows.tolist())) == len(rows) == min(size, len(ages))


@given(st.lists(st.integers(0, 9), min_size=12, max_size=40), st.integers(0, 9))
def test_somebody_with_many_scans_is_in_a_batch_once(who, step):
    people = [f"sub-{number}" for number in (0, 1, *who)]
    rows = draw_batch(np.linspace(20.0, 80.0, len(people)), people, 50, 1, step)
    assert sorted(people[row] for row in rows) == sorted(set(people))


def test_each_scan_of_a_person_comes_up():
    ages, people = np.array([20.0, 30, 31, 32]), ["sub-1", "sub-2", "sub-2", "sub-2"]
    drawn = {int(row) for step in range(40) for row in draw_batch(ages, people, 2, 1, step)}
    assert drawn == {0, 1, 2, 3}


def test_a_batch_spans_the_ages():
    ages = np.random.default_rng(0).permutation(np.arange(20.0, 80.0))
    drawn = ages[draw_batch(ages, names(60), 6, 1, 0)]
    assert [int((age - 20) // 10) for age in drawn] == [0, 1, 2, 3, 4, 5]


def test_the_step_decides_the_draw():
    ages = np.arange(20.0, 80.0)
    assert (draw_batch(ages, names(60), 8, 1, 3) == draw_batch(ages, names(60), 8, 1, 3)).all()
    assert (draw_batch(ages, names(60), 8, 1, 3) != draw_batch(ages, names(60), 8, 1, 4)).any()


def test_sites_can_be_made_equally_likely():
    ages = np.arange(20.0, 80.0)
    sites = ["small" if row % 10 == 0 else "large" for row in range(60)]

    def share(given: list[str] | None) -> float:
        rows = np.concatenate([draw_batch(ages, names(60), 6, 1, step, given) for step in range(200)])
        return float(np.mean([sites[row] == "small" for row in rows]))

    assert share(None) == pytest.approx(0.1, abs=0.03)
    assert share(sites) == pytest.approx(0.5, abs=0.05)


def test_one_person_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        draw_batch(np.array([40.0, 41.0]), ["sub-1", "sub-1"], 8, 1, 0)
