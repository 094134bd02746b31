"""The predictions of a run, read from disk one by one, and the files that are written from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from jaxtyping import Float32
from numpy import ndarray

from brainclock.io.atomic import write_json
from brainclock.io.bids import write_dataset_description
from brainclock.io.scan import Scan
from brainclock.io.tables import write_data_dictionary, write_table
from brainclock.model.folder import LoadedModel
from brainclock.predict.answers import age_versions, read_answer
from brainclock.predict.beside_age import beside_age
from brainclock.predict.brain_age import BrainAge
from brainclock.predict.flags import flag_age, flag_scan
from brainclock.predict.interval import LEVEL, with_interval
from brainclock.predict.predict import refused
from brainclock.predict.table import data_dictionary, prediction_columns, prediction_row

#: What a folder of predictions is called in its description.
NAME = "Brain ages"
_NOT_YET = "no answer yet: run the participant level for it first."


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One scan of a run and its answer.

    Parameters
    ----------
    scan : Scan
    brain_age : BrainAge
    input_sha256 : str or None
        Of the image file; None where it cannot be read.
    embedding : ndarray of float32, shape (d,), or None
        Where it was asked for and the scan has an age.
    """

    scan: Scan
    brain_age: BrainAge
    input_sha256: str | None
    embedding: Float32[ndarray, " d"] | None = None


class Predictions(Sequence[Prediction]):
    """The predictions of a run in the order of its scans; each is read from its folder when it is asked for.

    Thousands take no more memory than the list of their scans. What another run does to the folder shows.

    Parameters
    ----------
    scans : sequence of Scan
    out : Path
        The folder.
    loaded : LoadedModel
    level, older_than
        As for `predict`.
    """

    def __init__(
        self,
        scans: Sequence[Scan],
        out: Path,
        loaded: LoadedModel,
        level: float = LEVEL,
        older_than: float | None = None,
    ) -> None:
        self.scans, self.out, self.loaded = scans, out, loaded
        self.level, self.older_than = level, older_than

    def __len__(self) -> int:
        return len(self.scans)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> list[Prediction]: ...
    def __getitem__(self, index: int | slice) -> Prediction | list[Prediction]:
        if isinstance(index, slice):
            return [self._read(scan) for scan in self.scans[index]]
        return self._read(self.scans[index])

    def _read(self, scan: Scan) -> Prediction:
        kept = read_answer(self.out, scan.key)
        if kept is None:
            return Prediction(scan, self._without_age(scan, _NOT_YET), None)
        card = self.loaded.card
        if kept.brain_age.model != card.identity:
            reason = f"answered by {kept.brain_age.model}, not by {card.identity}: predict it again."
            return Prediction(scan, self._without_age(scan, reason), kept.sha256)
        answer = with_interval(kept.brain_age, card, self.level, self.older_than)
        return Prediction(scan, answer, kept.sha256, kept.embedding)

    def _without_age(self, scan: Scan, reason: str) -> BrainAge:
        answer = refused(reason, self.loaded, {}, flag_scan(scan))
        return with_interval(answer, self.loaded.card, self.level, self.older_than)


def write_run(
    predictions: Predictions, sources: Sequence[Mapping[str, str]] = (), *, kept_more: bool = False
) -> None:
    """Write ``predictions.tsv`` and its data dictionary, ``run.json`` and what makes the folder a dataset.

    ``kept_more``: whether a keeper saw the scans. The table comes last, so that it only ever describes a
    whole run. Raises `OutputError`.
    """
    out, card = predictions.out, predictions.loaded.card
    measures: set[str] = set()
    inputs = {}
    for p in predictions:
        measures.update(p.brain_age.quality)
        inputs[p.scan.key] = {
            "path": str(p.scan.path),
            "sha256": p.input_sha256,
            "mask": None if p.scan.mask_path is None else str(p.scan.mask_path),
            "in_template": p.scan.in_template,
            "stripped": p.scan.stripped,
        }
    write_dataset_description(out, NAME, sources=sources)
    write_json(
        out / "run.json",
        {
            "command": "predict",
            "model": card.facts().model_dump(mode="json"),
            "kept_more": kept_more,
            "settings": card.settings.prepare.model_dump(mode="json"),
            "preparation": card.preparation,
            "versions": age_versions(),
            "inputs": inputs,
        },
    )
    write_predictions(out / "predictions.tsv", predictions, prediction_columns(measures))


def write_predictions(table: Path, predictions: Predictions, columns: Sequence[str]) -> None:
    """Write a table of predictions, row by row, and its data dictionary; raises `OutputError`."""
    write_data_dictionary(table, data_dictionary(columns))
    write_table(table, _rows(predictions), columns)


def _rows(predictions: Predictions) -> Iterator[dict[str, object]]:
    card = predictions.loaded.card
    for p in predictions:
        beside = beside_age(p.scan, p.brain_age, card)
        yield prediction_row(p.scan, p.brain_age, flag_age(p.scan, card), beside)
