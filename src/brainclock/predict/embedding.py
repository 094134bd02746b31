"""The embeddings of a run: one array, and a table that says whose each row is."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from brainclock.io.atomic import atomic_path
from brainclock.io.tables import write_data_dictionary, write_table

if TYPE_CHECKING:
    from brainclock.predict.predictions import Prediction

#: Columns of embeddings.tsv.
COLUMNS: dict[str, dict[str, object]] = {
    "row": {"Description": "Row of embeddings.npy, from 0."},
    "participant_id": {"Description": "Participant."},
    "session_id": {"Description": "Session of the participant."},
    "key": {"Description": "Name of the scan in this run."},
    "sha256": {"Description": "SHA-256 of the image file."},
    "model": {"Description": "Name of the model and the beginning of the SHA-256 of its weights."},
}


def write_embeddings(out: Path, predictions: Iterable[Prediction], model: str) -> None:
    """Write ``embeddings.npy`` (float32, a row a scan) and ``embeddings.tsv`` with its data dictionary.

    Parameters
    ----------
    out : Path
        Folder.
    predictions : iterable of Prediction
        Those with an embedding, in the order of the rows.
    model : str
        Identity of the model.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    values = array("f")
    rows: list[dict[str, object]] = []
    for p in predictions:
        if p.embedding is not None:
            values.frombytes(p.embedding.tobytes())
            rows.append(
                {
                    "row": len(rows),
                    "participant_id": p.scan.participant_id,
                    "session_id": p.scan.session_id,
                    "key": p.scan.key,
                    "sha256": p.input_sha256,
                    "model": model,
                }
            )
    stacked = np.frombuffer(values, dtype=np.float32).reshape(len(rows), -1 if rows else 0)
    with atomic_path(out / "embeddings.npy") as unfinished, unfinished.open("wb") as file:
        np.save(file, stacked, allow_pickle=False)
    write_data_dictionary(out / "embeddings.tsv", COLUMNS)
    write_table(out / "embeddings.tsv", rows, list(COLUMNS))


def as_text(embedding: Float32[ndarray, " d"]) -> str:
    """Return an embedding as text, exactly."""
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode()


def from_text(text: str) -> Float32[ndarray, " d"]:
    """Return what `as_text` gave; raises ValueError for anything else."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32)
