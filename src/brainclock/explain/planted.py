"""Does a map find what was changed? Pairs of brains that differ in one structure, and what follows from them.

The change of the map between the two must fall into the structure, and have the right sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.errors import InputError, ModelError
from brainclock.io.atomic import write_json
from brainclock.io.read import read_json

#: Structures that the method shown to users must find.
REQUIRED = ("ventricles", "medial_temporal_lobe")
#: A method passes if the part of its change in the structure is so many times the structure's part of the
#: brain, and its sign is right so often.
LEAST_RATIO, LEAST_SIGN = 3.0, 0.95
_FILE = "planted.json"


@dataclass(frozen=True, slots=True)
class PlantedScore:
    """How the change of one map matches one planted change.

    Parameters
    ----------
    mass : float
        Part of the absolute change that lies in the region, 0 to 1.
    volume_share : float
        Part of the brain that the region is: the mass to be expected by chance.
    auc : float
        Chance that a voxel of the region changes more (absolute) than one elsewhere in the brain.
    sign_right : bool
        Whether the change summed over the region has the sign of the planted one.
    years : float
        Change summed over the region.
    """

    mass: float
    volume_share: float
    auc: float
    sign_right: bool
    years: float

    @property
    def ratio(self) -> float:
        """Mass over chance."""
        return self.mass / self.volume_share


@dataclass(frozen=True, slots=True)
class PlantedSummary:
    """One method on all pairs of one structure: means, and how often the sign was right."""

    method: str
    structure: str
    pairs: int
    mass: float
    volume_share: float
    ratio: float
    auc: float
    sign_right: float

    @property
    def passes(self) -> bool:
        """Whether the method finds the structure."""
        return self.ratio >= LEAST_RATIO and self.sign_right >= LEAST_SIGN


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which map may be shown.

    Parameters
    ----------
    method : str or None
        The method that passes on all required structures with the largest mass over chance (the smallest of
        its structures counts); None: no map of this model is reliable.
    summaries : tuple of PlantedSummary
    reason : str
        One sentence for the report.
    """

    method: str | None
    summaries: tuple[PlantedSummary, ...]
    reason: str

    def reliable(self, method: str) -> bool:
        """Whether a method passed on every required structure."""
        return _passes_all(method, self.summaries)


def score_planted(
    before: Float64[ndarray, "x y z"],
    after: Float64[ndarray, "x y z"],
    region: Bool[ndarray, "x y z"],
    brain: Bool[ndarray, "x y z"],
    direction: int,
) -> PlantedScore:
    """Compare the change of a map with where the change was planted.

    Parameters
    ----------
    before, after : ndarray of float64, shape of the grid
        Maps of the two brains by one method.
    region : ndarray of bool, shape of the grid
        Where the two brains differ; dilate it by the distance over which the structure moves.
    brain : ndarray of bool, shape of the grid
        Both brains together. The map outside counts as a change in the wrong place.
    direction : {1, −1}
        1 if the planted change makes the brain older, −1 if younger.

    Raises
    ------
    InputError
        The region is empty or is the whole brain, or the direction is neither.
    """
    from scipy.stats import rankdata

    inside = region & brain
    if not inside.any() or inside.sum() == brain.sum() or direction not in (1, -1):
        found = f"{int(inside.sum())} of {int(brain.sum())} voxels, direction {direction}"
        raise InputError("planted region", found, "a part of the brain, 1 or −1", "Give the region's mask.")
    change = after - before
    size = np.abs(change)
    whole = float(size.sum())
    years = float(change[inside].sum())
    ranks = rankdata(size[brain])
    ours = inside[brain]
    n, m = int(ours.sum()), int((~ours).sum())
    auc = (float(ranks[ours].sum()) - n * (n + 1) / 2) / (n * m)
    return PlantedScore(
        mass=float(size[inside].sum()) / whole if whole > 0 else 0.0,
        volume_share=n / (n + m),
        auc=auc,
        sign_right=bool(np.sign(years) == direction),
        years=years,
    )


def summarise_planted(method: str, structure: str, scores: Sequence[PlantedScore]) -> PlantedSummary:
    """Return the means over the pairs of one structure; raises `InputError` if there is none."""
    if not scores:
        raise InputError(f"planted {structure}", "no pair", "one or more", "Simulate pairs of brains.")
    return PlantedSummary(
        method=method,
        structure=structure,
        pairs=len(scores),
        mass=float(np.mean([s.mass for s in scores])),
        volume_share=float(np.mean([s.volume_share for s in scores])),
        ratio=float(np.mean([s.ratio for s in scores])),
        auc=float(np.mean([s.auc for s in scores])),
        sign_right=float(np.mean([s.sign_right for s in scores])),
    )


def judge(summaries: Iterable[PlantedSummary]) -> Verdict:
    """Return which method may be shown, from all methods on all structures."""
    summaries = tuple(summaries)
    methods = sorted({s.method for s in summaries})
    worst = {
        method: min(s.ratio for s in summaries if s.method == method and s.structure in REQUIRED)
        for method in methods
        if _passes_all(method, summaries)
    }
    wanted = " and ".join(REQUIRED).replace("_", " ")
    if not worst:
        return Verdict(
            None,
            summaries,
            f"Not reliable: no method found planted changes of {wanted} with {LEAST_RATIO:g} times the mass "
            f"of chance and the right sign in {100 * LEAST_SIGN:g} % of the pairs.",
        )
    best = max(worst, key=lambda method: worst[method])
    return Verdict(
        best,
        summaries,
        f"{best} found planted changes of {wanted} with at least {worst[best]:.1f} times the mass of chance.",
    )


def write_verdict(verdict: Verdict, folder: Path, weights_sha256: str) -> None:
    """Write ``planted.json`` into a model folder; raises `OutputError`."""
    write_json(
        folder / _FILE,
        {
            "model_weights_sha256": weights_sha256,
            "method": verdict.method,
            "reason": verdict.reason,
            "summaries": [asdict(summary) for summary in verdict.summaries],
        },
    )


def read_verdict(folder: Path, weights_sha256: str) -> Verdict | None:
    """Return the verdict on a model; None if its maps were never tried on planted truth.

    Raises
    ------
    ModelError
        It is of another model, or damaged.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    tree = read_json(path)
    try:
        own = tree["model_weights_sha256"] == weights_sha256
        summaries = tuple(PlantedSummary(**summary) for summary in tree["summaries"])
        verdict = Verdict(tree["method"], summaries, tree["reason"])
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged ({error}): copy the model folder again.") from None
    if not own:
        raise ModelError(f"{path} is of another model: remove it, or copy the model folder again.")
    return verdict


def _passes_all(method: str, summaries: Sequence[PlantedSummary]) -> bool:
    own: Mapping[str, PlantedSummary] = {s.structure: s for s in summaries if s.method == method}
    return all(structure in own and own[structure].passes for structure in REQUIRED)
