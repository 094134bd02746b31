"""How far an embedding lies from those of the people who trained the model.

A scan of another kind (scanner, sequence, preparation, disease) gets an age as any other does. Its
embedding tells: it lies where no training scan lay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Shaped
from numpy import ndarray

from brainclock.errors import InputError

_FOLDS = 5
_EXPLAINED = 0.95  # share of the variance that the leading components take, if there are people enough
_MOST_COMPONENTS = 8
_ENOUGH_LEFT_OUT = 20
_EXPECTED = {"centre": 1, "components": 2, "variances": 1, "residual_variance": 0, "percentiles": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """A Gaussian around the training embeddings: leading components, and one variance for the rest.

    The distance is the Mahalanobis distance under that Gaussian (probabilistic principal components,
    Tipping and Bishop 1999, doi:10.1111/1467-9868.00196) over the square root of the number of
    features.

    Parameters
    ----------
    centre : ndarray of float32, shape (d,)
        Mean embedding.
    components : ndarray of float32, shape (k, d)
        Orthonormal leading components, rounded to half precision.
    variances : ndarray of float32, shape (k,)
        Variance along each.
    residual_variance : ndarray of float32, shape ()
        Mean variance along each other direction.
    percentiles : ndarray of float32, shape (101,)
        Percentiles 0 to 100 of the distance of people who had no part in the Gaussian.
    """

    centre: Float32[ndarray, " d"]
    components: Float32[ndarray, "k d"]
    variances: Float32[ndarray, " k"]
    residual_variance: Float32[ndarray, ""]
    percentiles: Float32[ndarray, " 101"]

    @property
    def threshold(self) -> float:
        """Distance that 1 in 100 people like those of the training exceeds."""
        return float(self.percentiles[99])

    def distance(self, embedding: Shaped[ndarray, " d"]) -> float:
        """Return the distance of one embedding; compare it with ``threshold``.

        Raises
        ------
        InputError
            The embedding has another length.
        """
        if embedding.shape != self.centre.shape:
            raise InputError(
                "embedding",
                f"shape {embedding.shape}",
                f"shape {self.centre.shape}",
                "Take it from the model that the reference belongs to.",
            )
        away = embedding.astype(np.float64) - self.centre
        scores = self.components.astype(np.float64) @ away
        rest = max(float(away @ away - scores @ scores), 0.0)
        square = np.sum(scores**2 / self.variances) + rest / self.residual_variance
        return float(np.sqrt(square / len(away)))

    def tensors(self) -> dict[str, Float32[ndarray, ...]]:
        """Return the arrays by name, to be stored."""
        return {name: getattr(self, name) for name in _EXPECTED}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Float32[ndarray, ...]]) -> Familiarity:
        """Return what `tensors` gave; ``KeyError`` or ``ValueError`` where it is something else."""
        for name, axes in _EXPECTED.items():
            if tensors[name].ndim != axes:
                raise ValueError(f"familiarity.{name} has {tensors[name].ndim} axes, not {axes}")
        (k, d), percentiles = tensors["components"].shape, tensors["percentiles"]
        if tensors["centre"].shape != (d,) or tensors["variances"].shape != (k,) or len(percentiles) != 101:
            raise ValueError("the tensors of familiarity do not fit together")
        return cls(**{name: tensors[name] for name in _EXPECTED})


@dataclass(frozen=True, slots=True)
class Familiarities:
    """The familiarity of each member of an ensemble, in their order."""

    members: tuple[Familiarity, ...]

    def unfamiliarity(self, embedding: Shaped[ndarray, " d"]) -> float:
        """Return how unfamiliar a scan is: 1 is what 1 in 100 people like those of the training exceed.

        The mean over the members of distance over threshold: each knows its own people and has its own
        space.

        Parameters
        ----------
        embedding : ndarray, shape (d,)
            Of the ensemble: those of its members, one after the other.

        Raises
        ------
        InputError
            The embedding has another length.
        """
        ends = np.cumsum([len(member.centre) for member in self.members])
        if embedding.shape != (ends[-1],):
            fix = "Take it from the model that this belongs to."
            raise InputError("embedding", f"shape {embedding.shape}", f"shape ({ends[-1]},)", fix)
        parts = np.split(embedding, ends[:-1])
        pairs = zip(self.members, parts, strict=True)
        return float(np.mean([member.distance(part) / member.threshold for member, part in pairs]))

    def tensors(self) -> dict[str, Float32[ndarray, ...]]:
        """Return the arrays by name, ``0.centre`` and so on, to be stored."""
        return {
            f"{number}.{name}": array
            for number, member in enumerate(self.members)
            for name, array in member.tensors().items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Float32[ndarray, ...]], members: int) -> Familiarities:
        """Return what `tensors` gave; ``KeyError`` or ``ValueError`` where it is something else."""
        named = [{name: tensors[f"{number}.{name}"] for name in _EXPECTED} for number in range(members)]
        return cls(tuple(Familiarity.from_tensors(own) for own in named))


def fit_familiarity(
    embeddings: Float64[ndarray, "n d"],
    participants: Sequence[str],
    left_out: Float64[ndarray, "m d"] | None = None,
) -> Familiarity:
    """Describe the training embeddings.

    Parameters
    ----------
    embeddings : ndarray of float64, shape (n, d)
        One row a training scan, no augmentation.
    participants : sequence of str, length n
    left_out : ndarray of float64, shape (m, d), optional
        Embeddings of people who trained neither encoder nor regressor, one scan each. From 20 on they
        give the percentiles; an encoder packs its own training people more tightly than others.
        With fewer, training people are left out of the Gaussian, in 5 folds: rather too many
        scans are then called unfamiliar than too few.

    Raises
    ------
    InputError
        Fewer than 10 participants, or lengths differ.
    """
    people = sorted(set(participants))
    if len(people) < 2 * _FOLDS or len(participants) != len(embeddings):
        raise InputError(
            "familiarity",
            f"{len(embeddings)} embeddings of {len(people)} participants",
            f"at least {2 * _FOLDS} participants and one name for each embedding",
            "Train on more people.",
        )
    whole = _gaussian(embeddings, len(people))
    if left_out is not None and len(left_out) >= _ENOUGH_LEFT_OUT:
        distances = [whole.distance(row) for row in left_out]
    else:
        fold_of = {person: index % _FOLDS for index, person in enumerate(people)}
        folds = np.array([fold_of[person] for person in participants])
        distances = []
        for fold in range(_FOLDS):
            others = _gaussian(embeddings[folds != fold], len(people))
            distances += [others.distance(row) for row in embeddings[folds == fold]]
    percentiles = np.percentile(distances, np.arange(101), method="higher").astype(np.float32)
    return Familiarity(whole.centre, whole.components, whole.variances, whole.residual_variance, percentiles)


def _gaussian(embeddings: Float64[ndarray, "n d"], people: int) -> Familiarity:
    """Mean, leading components and mean rest of the variance; no percentiles yet.

    At most a fifth as many components as people: the variance along more could not be told from chance.
    """
    centre = embeddings.mean(axis=0)
    _, singular, right = np.linalg.svd(embeddings - centre, full_matrices=False)
    variances = singular**2 / (len(embeddings) - 1)
    explained = np.cumsum(variances) / max(variances.sum(), np.finfo(np.float64).tiny)
    k = min(int(np.searchsorted(explained, _EXPLAINED)) + 1, people // 5, _MOST_COMPONENTS, len(singular))
    floor = max(1e-9 * variances[0], 1e-12)
    rest = max(variances[k:].sum() / max(embeddings.shape[1] - k, 1), floor)
    return Familiarity(
        centre.astype(np.float32),
        right[:k].astype(np.float16).astype(np.float32),
        np.maximum(variances[:k], floor).astype(np.float32),
        np.asarray(rest, np.float32),
        np.zeros(101, np.float32),
    )
