"""Stage 2: the affine regressor on the embeddings of the frozen encoder."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy import ndarray
from torch import Tensor

from brainclock.config import RunSettings, derive_seed
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.regressor import AffineRegressor, fit_l1, fit_ridge
from brainclock.train.loop import Task
from brainclock.train.views import Views

_PIECE = 16


def embed_clean(model: BrainAgeModel, views: Views, rows: Int[ndarray, " m"]) -> Float64[ndarray, "m d"]:
    """Return the embeddings of scans as they are, as the model embeds them in prediction."""
    pieces = np.array_split(rows, -(-len(rows) // _PIECE)) if len(rows) else []
    return _embed(model, (views.clean(piece) for piece in pieces))


def embed_random(
    model: BrainAgeModel, views: Views, rows: Int[ndarray, " m"], seed: int
) -> Float64[ndarray, "m d"]:
    """Return the embedding of one random view of each row."""
    drawn = views.draw(rows, torch.Generator().manual_seed(seed))
    return _embed(
        model, (views.make(drawn.part(piece)) for piece in torch.split(torch.arange(len(rows)), _PIECE))
    )


def _embed(model: BrainAgeModel, batches: Iterable[Float[Tensor, "m c i j k"]]) -> Float64[ndarray, "n d"]:
    device = model.regressor.weight.device
    with torch.no_grad():
        pieces = [model.encode(images.to(device)).cpu().double().numpy() for images in batches]
    return np.concatenate([np.zeros((0, model.embedding_size)), *pieces])


def fit_regressor(model: BrainAgeModel, task: Task, settings: RunSettings) -> AffineRegressor:
    """Fit the regressor on clean scans and ``regressor.views`` random views of each training person.

    The encoder has ordered its training scans almost perfectly; their random views scatter more like
    scans that it has not seen, so the slope of the regressor on new people is less diluted.
    """
    parts = [embed_clean(model, task.views, task.rows)]
    for view in range(settings.regressor.views):
        seed = derive_seed(settings.seed, "regressor views", view)
        parts.append(embed_random(model, task.views, task.rows, seed))
    embeddings = np.concatenate(parts)
    ages, people = np.tile(task.ages, len(parts)), task.people * len(parts)
    fit = fit_ridge if settings.regressor.kind == "ridge" else fit_l1
    return fit(embeddings, ages, people, settings.regressor.log10_alpha)
