"""Stage 2: the affine regressor on the embeddings of the frozen encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy import ndarray
from torch import Tensor

from brainclock.config import RunSettings, derive_seed
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.regressor import IMAGE_FLOOR, AffineRegressor, Regressors, fit_l1, fit_ridge
from brainclock.train.loop import Task
from brainclock.train.views import Views

_PIECE = 16

_Reader = Callable[[Tensor], Tensor]


def embed_clean(model: BrainAgeModel, views: Views, rows: Int[ndarray, " m"]) -> Float64[ndarray, "m d"]:
    """Return the embeddings of scans as they are, as the model embeds them in prediction."""
    return _features(model, model.encode, _clean_batches(views, rows))


def read_clean(model: BrainAgeModel, views: Views, rows: Int[ndarray, " m"]) -> Float64[ndarray, " m"]:
    """Return the ages of scans as they are, years, as the model predicts them."""

    def read(images: Float[Tensor, "m c i j k"]) -> Float[Tensor, "m 1"]:
        return model.read(model.encode(images), images)[:, None]

    return _features(model, read, _clean_batches(views, rows))[:, 0]


def fit_regressors(model: BrainAgeModel, task: Task, settings: RunSettings) -> Regressors:
    """Fit the regressors on clean scans and ``regressor.views`` random views of each training person.

    The encoder has ordered its training scans almost perfectly; their random views scatter more like
    scans that it has not seen, so the slope of the regressor on new people is less diluted. What reads the
    blocks learns from them what it cannot know from the scans: which changes have nothing to do with age.
    """
    fit = fit_ridge if settings.regressor.kind == "ridge" else fit_l1
    views = settings.regressor.views
    ages, people = np.tile(task.ages, 1 + views), task.people * (1 + views)

    def fitted(features: _Reader, floor: float = 0.0) -> AffineRegressor:
        parts = [_features(model, features, _clean_batches(task.views, task.rows))]
        for view in range(views):
            seed = derive_seed(settings.seed, "regressor views", view)
            parts.append(_features(model, features, _random_batches(task.views, task.rows, seed)))
        return fit(np.concatenate(parts), ages, people, settings.regressor.log10_alpha, floor)

    blocks = fitted(model.block_means, IMAGE_FLOOR) if settings.regressor.blocks else None
    return Regressors(fitted(model.encode), blocks)


def _clean_batches(views: Views, rows: Int[ndarray, " m"]) -> Iterator[Float[Tensor, "b c i j k"]]:
    """Yield what the encoder sees of scans as they are, some at a time."""
    for piece in np.array_split(rows, -(-len(rows) // _PIECE)) if len(rows) else ():
        yield views.clean(piece)


def _random_batches(
    views: Views, rows: Int[ndarray, " m"], seed: int
) -> Iterator[Float[Tensor, "b c i j k"]]:
    """Yield what the encoder sees of one random view of each row, some at a time."""
    drawn = views.draw(rows, torch.Generator().manual_seed(seed))
    for piece in torch.split(torch.arange(len(rows)), _PIECE):
        yield views.make(drawn.part(piece))


def _features(
    model: BrainAgeModel, reader: _Reader, batches: Iterable[Float[Tensor, "b c i j k"]]
) -> Float64[ndarray, "n d"]:
    """Return what a reader makes of the images, one row each."""
    device = model.regressor.weight.device
    with torch.no_grad():
        pieces = [reader(images.to(device)).cpu().double().numpy() for images in batches]
    return np.concatenate(pieces) if pieces else np.zeros((0, model.embedding_size))
