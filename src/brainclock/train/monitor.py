"""How a training goes: a row an epoch in ``metrics.tsv``, a line in the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray

from brainclock.config import RunSettings
from brainclock.errors import InputError
from brainclock.io.tables import read_table, write_table
from brainclock.model.regressor import fit_ridge
from brainclock.train.loop import Progress, Task
from brainclock.train.rank_n_contrast import normalised_rank_n_contrast
from brainclock.train.regress import embed_clean

logger = logging.getLogger("brainclock")

COLUMNS = (
    "step", "loss", "learning_rate", "validation_loss", "embedding_order", "validation_mae",
    "validation_mean_error",
)  # fmt: skip


class Monitor:
    """Observer of `train_encoder`: looks at the people held out with a quick ridge.

    Parameters
    ----------
    task : Task
    held_out : ndarray of int, shape (v,)
        Rows of the people held out.
    ages : ndarray of float64, shape (v,), years
    sites : sequence of str, length v
    settings : RunSettings
    path : Path
        The table: `COLUMNS`, and ``mean_error, SITE`` for each site. Of an earlier run of the same
        training it keeps the rows up to the step that this one goes on from.
    """

    def __init__(
        self,
        task: Task,
        held_out: Int[ndarray, " v"],
        ages: Float64[ndarray, " v"],
        sites: Sequence[str],
        settings: RunSettings,
        path: Path,
    ) -> None:
        self.task, self.held_out, self.ages, self.sites = task, held_out, ages, np.array(sites, dtype=str)
        self.settings, self.path = settings, path
        self.columns = (*COLUMNS, *(f"mean_error, {site}" for site in sorted(set(sites))))
        self.rows: list[dict[str, object]] | None = None

    def __call__(self, progress: Progress) -> None:
        """Measure, log, and write the table."""
        if self.rows is None:
            self.rows = self._rows_until(progress.step - progress.steps_here)
        row: dict[str, object] = {
            "step": progress.step, "loss": progress.loss, "learning_rate": progress.learning_rate
        }  # fmt: skip
        if len(self.held_out) > 2:
            row |= self._look(progress)
        self.rows.append(row)
        write_table(self.path, self.rows, self.columns)
        left = self.settings.train.steps - progress.step
        error = row.get("validation_mae")
        logger.info(
            "step %d of %d: loss %.3f, held-out MAE %s, %.0f minutes left",
            progress.step, self.settings.train.steps, progress.loss,
            "n/a" if error is None else f"{error:.2f} years",
            left * progress.seconds / progress.steps_here / 60,
        )  # fmt: skip

    def _rows_until(self, done: int) -> list[dict[str, object]]:
        """Return the rows of an earlier run up to a step."""
        if done == 0 or not self.path.is_file():
            return []
        try:
            return [dict(row) for row in read_table(self.path) if int(row["step"]) <= done]
        except (InputError, KeyError, ValueError):
            logger.warning("%s was damaged: its rows up to step %d are lost.", self.path, done)
            return []

    def _look(self, progress: Progress) -> dict[str, object]:
        own = embed_clean(progress.model, self.task.views, self.task.rows)
        others = embed_clean(progress.model, self.task.views, self.held_out)
        regressor = fit_ridge(own, self.task.ages, self.task.people, (1.0, 6.0, 11))
        errors = regressor.predict(others) - self.ages
        loss = normalised_rank_n_contrast(
            torch.from_numpy(others), torch.from_numpy(self.ages), temperature=self.settings.train.temperature
        )
        found: dict[str, object] = {
            "validation_loss": float(loss) if torch.isfinite(loss) else None,
            "embedding_order": embedding_order(others, self.ages),
            "validation_mae": float(np.abs(errors).mean()),
            "validation_mean_error": float(errors.mean()),
        }
        for site in np.unique(self.sites):
            found[f"mean_error, {site}"] = float(errors[self.sites == site].mean())
        return found


def embedding_order(embeddings: Float64[ndarray, "n d"], ages: Float64[ndarray, " n"]) -> float:
    """Return Spearman's correlation of distance in the embedding with distance in age, over all pairs."""
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    return float(spearmanr(pdist(embeddings), pdist(ages[:, None])).statistic)
