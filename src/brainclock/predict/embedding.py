"""The embeddings of a run: one array, and a table that says whose each row is."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from brainclock.io.atomic import write_bytes
from brainclock.io.scan import Scan
from brainclock.io.tables import write_data_dictionary, write_table

#: Columns of embeddings.tsv.
COLUMNS: dict[str, dict[str, object]] = {
    "row": {"Description": "Row of embeddings.npy, from 0."},
    "participant_id": {"Description": "Participant."},
    "session_id": {"Description": "Session of the participant."},
    "key": {"Description": "Name of the scan in this run."},
    "sha256": {"Description": "SHA-256 of the image file."},
    "model": {"Description": "Name of the model and the beginning of the SHA-256 of its weights."},
}


def write_embeddings(
    out: Path,
    embeddings: Sequence[Float32[ndarray, " d"]],
    scans: Sequence[Scan],
    hashes: Sequence[str | None],
    model: str,
) -> None:
    """Write ``embeddings.npy`` (float32, a row a scan) and ``embeddings.tsv`` with its data dictionary.

    Parameters
    ----------
    out : Path
        Folder.
    embeddings : sequence of ndarray of float32, shape (d,)
    scans : sequence of Scan
    hashes : sequence of str or None
        SHA-256 of each image.
    model : str
        Identity of the model.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    stacked = np.stack(embeddings) if embeddings else np.zeros((0, 0), dtype=np.float32)
    buffer = io.BytesIO()
    np.save(buffer, stacked, allow_pickle=False)
    write_bytes(out / "embeddings.npy", buffer.getvalue())
    rows = [
        {
            "row": number,
            "participant_id": scan.participant_id,
            "session_id": scan.session_id,
            "key": scan.key,
            "sha256": sha256,
            "model": model,
        }
        for number, (scan, sha256) in enumerate(zip(scans, hashes, strict=True))
    ]
    write_data_dictionary(out / "embeddings.tsv", COLUMNS)
    write_table(out / "embeddings.tsv", rows, list(COLUMNS))


def as_text(embedding: Float32[ndarray, " d"]) -> str:
    """Return an embedding as text, exactly."""
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode()


def from_text(text: str) -> Float32[ndarray, " d"]:
    """Return what `as_text` gave; raises ValueError for anything else."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32)
