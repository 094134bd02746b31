"""How well an embedding of people who did not train is ordered by age, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.train.monitor import embedding_order
from brainclock.train.rank_n_contrast import loss_bounds, rank_n_contrast

#: Name, unit and meaning of each measure.
MEASURES: dict[str, tuple[str, str]] = {
    "embedding_order": ("1", "Spearman correlation of distance in the embedding and in age, over all pairs"),
    "rnc_loss": (
        "1",
        "normalised Rank-N-Contrast loss at the best scale of the embedding: 1 without order, 0 at the bound",
    ),
    "retest_distance": (
        "1", "distance of two scans of one person over the mean distance of two people"
    ),
    "site_accuracy": ("1", "share of people whose site is told by the embedding, mean over sites"),
    "site_accuracy_by_age": ("1", "the same, told by age alone: what a perfect embedding of age gives away"),
}  # fmt: skip

#: Fewer people than this are not measured.
FEWEST = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure and its standard error (jackknife over people); NaN where it is not defined."""

    measure: str
    value: float
    standard_error: float


def measure_embedding(
    embeddings: Float64[ndarray, "n d"], ages: Float64[ndarray, " n"], people: Sequence[str]
) -> list[Measured]:
    """Measure the embeddings of people who did not train.

    Parameters
    ----------
    embeddings : ndarray of float, shape (n, d)
    ages : ndarray of float, shape (n,), years
    people : sequence of str, length n
        Whose scan it is; the order is measured on the first scan of each.
    """
    first = np.array(sorted({person: row for row, person in reversed(list(enumerate(people)))}.values()))
    points, years = embeddings[first], ages[first]
    found = []
    for name, function in (("embedding_order", embedding_order), ("rnc_loss", best_scale_loss)):
        found.append(Measured(name, *_jackknife(function, points, years)))
    found.append(Measured("retest_distance", *_retest(embeddings, points, people)))
    return found


def best_scale_loss(embeddings: Float64[ndarray, "n d"], ages: Float64[ndarray, " n"]) -> float:
    """Return the normalised Rank-N-Contrast loss, least over the scale of the embedding.

    The loss depends on the scale, which only Rank-N-Contrast sets: at the scale of the training it would
    measure that.
    """
    from scipy.spatial.distance import pdist

    span = float(pdist(embeddings).mean())
    collapsed, bound = loss_bounds(torch.from_numpy(ages))
    if span == 0 or collapsed == bound:
        return float("nan")
    points, years = torch.from_numpy(embeddings / span), torch.from_numpy(ages)
    temperatures = 2.0 ** np.arange(-7, 3)
    losses = [float(rank_n_contrast(points, years, temperature=float(t))) for t in temperatures]
    return (min(losses) - bound) / (collapsed - bound)


def tell_sites(
    own: Float64[ndarray, "n d"], sites: Sequence[str], others: Float64[ndarray, "m d"]
) -> list[str] | None:
    """Return the site that a classifier of the training embeddings sees in others; None for one site.

    Logistic regression on standardised features, all sites of equal weight.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(set(sites)) < 2 or not len(others):
        return None
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    )
    classifier.fit(own, list(sites))
    return [str(site) for site in classifier.predict(others)]


def plane(embeddings: Float64[ndarray, "n d"]) -> Float64[ndarray, "n 2"]:
    """Return the first two principal components; signs are those that make the largest entry positive."""
    centred = embeddings - embeddings.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(embeddings), 2))
    kept = (left * sizes)[:, :2]
    flat[:, : kept.shape[1]] = kept
    signs = np.sign(flat[np.abs(flat).argmax(axis=0), [0, 1]])
    result: Float64[ndarray, "n 2"] = flat * np.where(signs == 0, 1.0, signs)
    return result


def _jackknife(
    function: Callable[[ndarray, ndarray], float],
    points: Float64[ndarray, "n d"],
    ages: Float64[ndarray, " n"],
) -> tuple[float, float]:
    """Return a measure of all people and its standard error, from leaving out each.

    A person drawn twice would be a pair at distance 0 in both, so this is no measure to bootstrap.
    """
    n = len(points)
    if n < FEWEST or np.ptp(ages) == 0:
        return float("nan"), float("nan")
    without = np.array([function(points[keep], ages[keep]) for keep in _all_but_one(n)])
    error = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    return float(function(points, ages)), error


def _all_but_one(n: int) -> list[Int[ndarray, " m"]]:
    return [np.delete(np.arange(n), row) for row in range(n)]


def _retest(
    embeddings: Float64[ndarray, "n d"], points: Float64[ndarray, "p d"], people: Sequence[str]
) -> tuple[float, float]:
    """Return the distance of the first two scans of a person, over that of two people, and its error."""
    from scipy.spatial.distance import pdist

    rows_of: dict[str, list[int]] = {}
    for row, person in enumerate(people):
        rows_of.setdefault(person, []).append(row)
    pairs = [rows[:2] for rows in rows_of.values() if len(rows) > 1]
    if not pairs or len(points) < 2:
        return float("nan"), float("nan")
    apart = np.array([np.linalg.norm(embeddings[a] - embeddings[b]) for a, b in pairs])
    apart = apart / max(float(pdist(points).mean()), 1e-300)
    error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else float("nan")
    return float(apart.mean()), error
