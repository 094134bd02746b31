"""Which people a step sees: one from each stretch of the ages, each at most once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError


def draw_batch(
    ages: Float64[ndarray, " n"],
    people: Sequence[str],
    batch_size: int,
    seed: int,
    step: int,
    sites: Sequence[str] | None = None,
) -> Int[ndarray, " b"]:
    """Return the rows of one batch, spread over the ages.

    The people are sorted by age (their youngest) and cut into ``batch_size`` stretches of equal number;
    one is drawn from each, and one of that person's scans. The draw depends on the seed and the step
    alone, so a resumed run sees the same people.

    Parameters
    ----------
    ages : ndarray of float64, shape (n,), years
        Of each scan.
    people : sequence of str, length n
        Whose scan it is.
    batch_size : int
        People wanted; with fewer than that, everybody once.
    seed, step : int
    sites : sequence of str, length n, or None
        Given, the sites of a stretch are equally likely, however many people each has in it.

    Raises
    ------
    InputError
        Fewer than two people.
    """
    rows_of: dict[str, list[int]] = {}
    for row, person in enumerate(people):
        rows_of.setdefault(person, []).append(row)
    if len(rows_of) < 2:
        raise InputError("training people", len(rows_of), "at least 2", "Add scans with ages.")
    rng = np.random.default_rng(derive_seed(seed, "batch", step))
    by_age = sorted(rows_of.values(), key=lambda rows: (min(ages[rows]), people[rows[0]]))
    size = min(batch_size, len(by_age))
    edges = np.linspace(0, len(by_age), size + 1).astype(int)
    chosen = []
    for start, stop in pairwise(edges.tolist()):
        stretch = by_age[start:stop]
        if sites is not None:
            there = sorted({sites[rows[0]] for rows in stretch})
            site = there[rng.integers(len(there))]
            stretch = [rows for rows in stretch if sites[rows[0]] == site]
        rows = stretch[rng.integers(len(stretch))]
        chosen.append(rows[rng.integers(len(rows))])
    return np.array(chosen)
