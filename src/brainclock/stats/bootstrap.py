"""Percentile bootstrap over people, vectorised: a resample is a row of weights.

A person who was drawn twice counts twice, so every statistic is written once, for weighted rows:
weights of one give the estimate, weights drawn from the people its uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from numpy.random import Generator

_BLOCK = 2**21  # numbers in a block of weights: 16 MB

Statistic = Callable[[Float64[ndarray, "b n"]], Mapping[str, Float64[ndarray, " b"]]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its bootstrap interval; NaN where it is not defined.

    Parameters
    ----------
    value : float
    low, high : float
        Percentiles of the resamples.
    """

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Statistic,
    participants: Int64[ndarray, " n"],
    generator: Generator,
    *,
    resamples: int = 2000,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Return every number of ``statistic`` with its percentile interval (Efron and Tibshirani 1993, ch. 13).

    People are drawn with replacement, and all rows of a person come with them. A resample in which a
    number is not defined (a correlation of one repeated person) is left out of its interval; if that
    happens in more than 1 in 20 resamples there is no interval.

    Parameters
    ----------
    statistic : callable
        Maps weights (b, n) to named numbers (b,).
    participants : ndarray of int, shape (n,)
        Whose row it is: 0 … m − 1.
    generator : numpy.random.Generator
    resamples : int
        How often people are drawn; 2000 or more for a 95 % interval.
    level : float
        Share of the resamples inside the interval.
    """
    estimates = {name: float(value[0]) for name, value in statistic(np.ones((1, participants.size))).items()}
    drawn: dict[str, list[Float64[ndarray, " b"]]] = {name: [] for name in estimates}
    for weights in participant_weights(participants, generator, resamples=resamples):
        for name, values in statistic(weights).items():
            drawn[name].append(values)
    return {
        name: Estimate(value, *_percentiles(np.concatenate(drawn[name]), level))
        for name, value in estimates.items()
    }


def participant_weights(
    participants: Int64[ndarray, " n"], generator: Generator, *, resamples: int
) -> Iterator[Float64[ndarray, "b n"]]:
    """Yield blocks of weights: how often the person of each row was drawn in each resample.

    The draws do not depend on the size of the blocks, which only bounds the memory.
    """
    people = int(participants.max()) + 1
    step = max(1, _BLOCK // participants.size)
    chances = np.full(people, 1 / people)
    for start in range(0, resamples, step):
        counts = generator.multinomial(people, chances, size=min(step, resamples - start))
        yield counts[:, participants].astype(np.float64)


def _percentiles(values: Float64[ndarray, " b"], level: float) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    if defined.size < 0.95 * values.size:
        return np.nan, np.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
