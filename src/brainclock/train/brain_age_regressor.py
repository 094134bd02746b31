"""Brain age as an estimator of scikit-learn: scans and ages in, ages of other scans out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Shaped
from numpy import ndarray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from brainclock.config import RunSettings
from brainclock.errors import ConfigError, InputError
from brainclock.model.ensemble import Ensemble
from brainclock.model.folder import LoadedModel, load_model
from brainclock.model.regressor import fit_ridge
from brainclock.prepare.prepared import PreparedScan
from brainclock.train.cohort import Cohort
from brainclock.train.cross_fit import cross_fit
from brainclock.train.images import are_images, from_images, known_images, persons


class BrainAgeRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Fit brain ages to your own people, in the shape of scikit-learn.

    By default the network of a model that comes with the package stays as it is, and so does what it reads
    off a scan; a ridge regression on its embedding learns what is *left* of the ages::

        age = age by the model + intercept + embedding · weight

    The penalty is chosen by leaving each person out. A strong one leaves little but the intercept: with a
    few people the model is shifted to their scanner. With more people, the weights move as far as others
    profit from it. (Ridge towards a known solution instead of towards zero: biased regularisation,
    Kienzle and Chellapilla 2006, doi:10.1145/1143844.1143902.)

    Parameters
    ----------
    encoder : str, Path, LoadedModel, RunSettings or None
        Where the embedding comes from: the name of a shipped model, a model folder, or a loaded model, which
        stays as it is; settings, with which a network is trained from the beginning as `brainclock.train`
        does (minutes to hours); None for tables of features of any other origin, which are then all there is.
    log10_alpha : (low, high, number)
        Penalties that are tried, evenly spaced in log10. Not with settings, which have their own.
    workers : int
        Processes that prepare scans.

    Attributes
    ----------
    left_out_ages_ : ndarray of float64, shape (n,), years
        Age of each scan of the fit by a regressor that has not seen its person; NaN where there is none.
        With an encoder that knows the person the error is too small.
    coef_, intercept_ : ndarray of float64, shape (d,), and float
        Of the ridge regression, years; not where a network was trained.
    alpha_ : float
        The penalty that was chosen; not where a network was trained.
    refused_ : dict of int to str
        Place and reason of the images of the fit that a quality gate refused; they took no part.
    model_ : Ensemble or None
        The network; None for tables.
    n_features_in_ : int
        Columns of a table that `predict` takes in place of images. Not where a network was trained.

    See Also
    --------
    brainclock.predict : one scan to its age, with interval, flags and quality measures.
    brainclock.train : a network and a model folder that every command can use.

    Notes
    -----
    ``X`` is a sequence of images: paths, what `brainclock.find_scans` found, volumes, images of nibabel,
    prepared scans, or arrays on the grid of the model that were prepared before. Or it is the table that
    `embed` makes of images: for cross-validation, so that each scan is prepared once.

    Split by person: two scans of one person must not be on both sides (``GroupKFold`` with ``groups``).

    Examples
    --------
    >>> scans = brainclock.find_scans(["BIDS_DATASET"])
    >>> ages = [scan.age for scan in scans]
    >>> regressor = brainclock.BrainAgeRegressor().fit(scans[:12], ages[:12])
    >>> regressor.predict(scans[12:]).shape
    (4,)

    Each scan prepared once, then any tool of scikit-learn:

    >>> from sklearn.model_selection import GroupKFold, cross_val_score
    >>> table = regressor.embed(scans)
    >>> people = [scan.participant_id for scan in scans]
    >>> scores = cross_val_score(
    ...     brainclock.BrainAgeRegressor(),
    ...     table,
    ...     ages,
    ...     groups=people,
    ...     cv=GroupKFold(4),
    ...     scoring="neg_mean_absolute_error",
    ... )
    >>> scores.shape
    (4,)
    """

    def __init__(
        self,
        encoder: str | Path | LoadedModel | RunSettings | None = "whole-brain",
        *,
        log10_alpha: tuple[float, float, int] = (-3.0, 9.0, 49),
        workers: int = 1,
    ) -> None:
        self.encoder = encoder
        self.log10_alpha = log10_alpha
        self.workers = workers

    def fit(self, X: Any, y: Any, participants: Sequence[str] | None = None) -> BrainAgeRegressor:
        """Fit to scans and ages.

        Parameters
        ----------
        X : sequence of images, or array of shape (n, d)
            Scans of healthy people, or the table that `embed` made of them.
        y : array of shape (n,)
            Chronological ages, years.
        participants : sequence of str, length n, optional
            Whose scan each is, so that all scans of a person are left out together. Without it, what is
            known of paths and of what `brainclock.find_scans` found; else each scan is a person of its own.

        Raises
        ------
        InputError
            A path leads nowhere, too few scans could be used, or the table is not that of this encoder.
        ModelError
            The model cannot be loaded.
        ConfigError
            The settings ask for what only `brainclock.train` can do.
        ValueError
            A table or an age is no finite number, or lengths differ (the messages are scikit-learn's).
        """
        self.refused_: dict[int, str] = {}
        if isinstance(self.encoder, RunSettings):
            return self._train(X, y, participants, self.encoder)
        loaded = self._load()
        if are_images(X):
            images = known_images(X)
            participants = persons(images) if participants is None else participants
            y = _ages(images, y, participants)
            X, self.refused_ = self._embed(images, loaded)
            used = _used(len(images), self.refused_)
            X, y, participants = X[used], y[used], [participants[row] for row in used]
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, y_numeric=True)
        if participants is None:
            participants = [f"row {row}" for row in range(len(y))]
        check_consistent_length(X, participants)
        known, embeddings = self._split(X, loaded)
        regressor = fit_ridge(embeddings, np.asarray(y - known, np.float64), participants, self.log10_alpha)
        self.model_: Ensemble | None = None if loaded is None else loaded.model
        self.coef_, self.intercept_, self.alpha_ = regressor.weight, regressor.intercept, regressor.alpha
        self.left_out_ages_ = _spread_out(known + regressor.left_out_ages, self.refused_)
        return self

    def predict(self, X: Any) -> Float64[ndarray, " n"]:
        """Return the age of each scan, years; NaN, with the reason in the log, where a gate refused it.

        Parameters
        ----------
        X : sequence of images, or array of shape (n, d)
            As for `fit`.

        Raises
        ------
        InputError, ValueError
            As `fit`.
        NotFittedError
            Nothing was fitted.
        """
        check_is_fitted(self)
        if isinstance(self.encoder, RunSettings):
            return self._read_network(X)
        if are_images(X):
            rows, _ = self._embed(known_images(X), self._load())
            used = np.flatnonzero(np.isfinite(rows[:, 0]))
            ages = np.full(len(rows), np.nan)
            ages[used] = self._read_table(rows[used]) if len(used) else []
            return ages
        return self._read_table(validate_data(self, X, reset=False, dtype=np.float64))

    def embed(self, X: Any) -> Float64[ndarray, "n d"]:
        """Return what the encoder makes of images: a table that `fit` and `predict` take in their place.

        Nothing needs to be fitted, and nothing depends on what was.

        Parameters
        ----------
        X : sequence of images

        Returns
        -------
        ndarray of float64, shape (n, 1 + d)
            The age by the model, years, and the embedding. A row of NaN where a gate refused the scan; the
            log says why.

        Raises
        ------
        InputError
            A path leads nowhere, these are no images, or this regressor has no encoder of its own.
        """
        loaded = self._load()
        if loaded is None or not are_images(X):
            found = "no encoder" if loaded is None else "no images"
            fix = "Choose a shipped model or a model folder as the encoder, and give a list of scans."
            raise InputError("BrainAgeRegressor.embed", found, "images for an encoder", fix)
        return self._embed(known_images(X), loaded)[0]

    def _load(self) -> LoadedModel | None:
        """Return the model whose embedding is used; None for tables."""
        if isinstance(self.encoder, RunSettings):
            fix = "Fit it, or choose a shipped model or a model folder as the encoder."
            raise InputError("BrainAgeRegressor.embed", "settings of a training", "a trained encoder", fix)
        if self.encoder is None or isinstance(self.encoder, LoadedModel):
            return self.encoder
        return load_model(self.encoder)

    def _embed(
        self, images: list[Any], loaded: LoadedModel | None
    ) -> tuple[Float64[ndarray, "n d"], dict[int, str]]:
        if loaded is None:
            fix = "Give the table of features, or choose an encoder."
            raise InputError("BrainAgeRegressor", "images and encoder=None", "a table of numbers", fix)
        look = partial(_look, model=loaded.model)
        values, refused = from_images(look, images, loaded.card.settings.prepare, self.workers)
        nothing = np.full(1 + loaded.model.embedding_size, np.nan)
        return np.stack([nothing if value is None else value for value in values]), refused

    def _split(
        self, rows: Float64[ndarray, "n d"], loaded: LoadedModel | None
    ) -> tuple[Float64[ndarray, " n"], Float64[ndarray, "n e"]]:
        """Return the ages by the model (0 without one) and the embeddings in a table."""
        if loaded is None:
            return np.zeros(len(rows)), rows
        width = 1 + loaded.model.embedding_size
        if rows.shape[1] != width:
            fix = "Give images, or what embed made of them; for other features choose encoder=None."
            raise InputError("BrainAgeRegressor", f"{rows.shape[1]} columns", f"{width} of this encoder", fix)
        return rows[:, 0], rows[:, 1:]

    def _read_table(self, rows: Float64[ndarray, "n d"]) -> Float64[ndarray, " n"]:
        known, embeddings = (0.0, rows) if self.model_ is None else (rows[:, 0], rows[:, 1:])
        return np.asarray(known + self.intercept_ + embeddings @ self.coef_)

    def _train(
        self, X: Any, y: Any, participants: Sequence[str] | None, settings: RunSettings
    ) -> BrainAgeRegressor:
        """Train a network from the beginning, in memory."""
        if settings.augment.synthetic > 0:
            raise ConfigError(
                "augment.synthetic is above 0, but here no label map can lie beside a scan: "
                "set it to 0, or use brainclock.train."
            )
        images = self._only_images(X)
        participants = persons(images) if participants is None else participants
        y = _ages(images, y, participants)
        values, self.refused_ = from_images(_volume, images, settings.prepare, self.workers)
        used = _used(len(images), self.refused_)
        cohort = Cohort(
            volumes=tuple(value for value in values if value is not None),
            ages=y[used],
            keys=tuple(f"row-{row}" for row in used),
            participants=tuple(str(participants[row]) for row in used),
            sites=tuple(getattr(images[row], "site", None) or "n/a" for row in used),
            sexes=tuple(getattr(images[row], "sex", "n/a") for row in used),
        )
        fitted = cross_fit(cohort, settings)
        self.model_ = fitted.model
        left_out = np.full(len(used), np.nan)
        left_out[fitted.held_out] = fitted.predicted_ages
        self.left_out_ages_ = _spread_out(left_out, self.refused_)
        return self

    def _read_network(self, X: Any) -> Float64[ndarray, " n"]:
        images, model = self._only_images(X), self.model_
        assert model is not None, "a network was trained"
        values, _ = from_images(partial(_look, model=model), images, model.settings.prepare, self.workers)
        return np.array([np.nan if value is None else value[0] for value in values], dtype=np.float64)

    def _only_images(self, X: Any) -> list[Any]:
        if not are_images(X):
            fix = "Give images, or choose a shipped model or None as the encoder."
            raise InputError("BrainAgeRegressor", "no images", "images, to train a network", fix)
        return known_images(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = self.encoder is not None
        tags.input_tags.two_d_array = not isinstance(self.encoder, RunSettings)
        return tags


def _look(prepared: PreparedScan, *, model: Ensemble) -> Float64[ndarray, " d"]:
    """Return the age by the model and the embedding."""
    with torch.inference_mode():
        embeddings, ages = model.look(torch.from_numpy(prepared.data)[None, None].to(model.device))
    return np.concatenate([ages.cpu().double().numpy(), embeddings[0].cpu().double().numpy()])


def _volume(prepared: PreparedScan) -> Shaped[ndarray, "x y z"]:
    return prepared.data.astype(np.float16)


def _ages(images: list[Any], y: Any, participants: Sequence[str]) -> Float64[ndarray, " n"]:
    """Return the ages of images, checked."""
    ages = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"), warn=True)
    check_consistent_length(images, ages, participants)
    return np.asarray(ages)


def _used(number: int, refused: dict[int, str]) -> list[int]:
    """Return the places of the images that were not refused."""
    used = [row for row in range(number) if row not in refused]
    if not used:
        found = f"none that could be prepared ({next(iter(refused.values()))})"
        raise InputError("BrainAgeRegressor.fit", found, "T1w scans", "See the log for the other reasons.")
    return used


def _spread_out(values: Float64[ndarray, " m"], refused: dict[int, str]) -> Float64[ndarray, " n"]:
    """Put NaN in the places of what was refused."""
    spread = np.full(len(values) + len(refused), np.nan)
    spread[[row for row in range(len(spread)) if row not in refused]] = values
    return spread
