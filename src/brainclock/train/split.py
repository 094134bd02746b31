"""Split by participant, never by scan; alike in age and site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.config import derive_seed


def assign_folds(
    ages: Float64[ndarray, " n"],
    participants: Sequence[str],
    sites: Sequence[str],
    folds: int,
    seed: int,
) -> Int[ndarray, " n"]:
    """Return the fold (0 to ``folds`` − 1) of each scan.

    Within each site the participants are sorted by age (their youngest) and dealt out, ``folds`` of
    neighbouring age at a time in random order, so that each fold has the ages of the site.
    """
    rng = np.random.default_rng(derive_seed(seed, "folds"))
    fold_of: dict[str, int] = {}
    for people in _by_site(ages, participants, sites):
        for start in range(0, len(people), folds):
            for person, fold in zip(people[start : start + folds], rng.permutation(folds), strict=False):
                fold_of[person] = int(fold)
    return np.array([fold_of[person] for person in participants])


def hold_out(
    ages: Float64[ndarray, " n"],
    participants: Sequence[str],
    sites: Sequence[str],
    fraction: float,
    seed: int,
) -> tuple[Int[ndarray, " t"], Int[ndarray, " v"]]:
    """Return the rows that train and the rows that are held out.

    The people, site by site and sorted by age, stand in a line; it is cut into as many pieces as
    people are wanted, and one of each piece is held out. So every site and age gives its share.

    Parameters
    ----------
    ages, participants, sites
        Of each scan.
    fraction : float
        Share of the people, 0 for none.
    seed : int
    """
    rng = np.random.default_rng(derive_seed(seed, "hold out"))
    line = [person for people in _by_site(ages, participants, sites) for person in people]
    edges = np.linspace(0, len(line), round(fraction * len(line)) + 1).astype(int)
    chosen = {line[place] for place in rng.integers(edges[:-1], edges[1:])}
    out = np.array([person in chosen for person in participants], dtype=bool)
    return np.flatnonzero(~out), np.flatnonzero(out)


def _by_site(
    ages: Float64[ndarray, " n"], participants: Sequence[str], sites: Sequence[str]
) -> list[list[str]]:
    """Return the people of each site, sorted by age; somebody scanned at several belongs to one."""
    first: dict[str, tuple[str, float]] = {}
    for person, site, age in zip(participants, sites, ages, strict=True):
        first[person] = min(first.get(person, (site, float(age))), (site, float(age)))
    homes = sorted({home for home, _ in first.values()})
    return [
        [person for _, person in sorted((age, person) for person, (at, age) in first.items() if at == home)]
        for home in homes
    ]
