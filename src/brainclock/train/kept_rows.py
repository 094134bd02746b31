"""An array on disk that is filled row by row: killed at any moment, it goes on where it stopped."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.io.atomic import atomic_path, write_json
from brainclock.io.read import read_json

logger = logging.getLogger("brainclock")


class KeptRows:
    """Rows of half precision in ``path``; ``path`` with the suffix ``.json`` says which are filled.

    A row of an earlier run is used again if it has the same name and ``about`` is the same, wherever
    it stood. What is damaged, cut or of something else is made anew.

    Parameters
    ----------
    path : Path or None
        ``.npy``; None keeps the rows in memory, for this run alone.
    about : str
        Digest of everything that all rows depend on.
    names : sequence of str
        What each row depends on besides; each name once.
    shape : tuple of int
        Of a row.
    """

    def __init__(self, path: Path | None, about: str, names: Sequence[str], shape: tuple[int, ...]) -> None:
        self.path, self.about, self.names = path, about, list(names)
        self.filled: set[int] = set()
        whole = (len(self.names), *shape)
        self.array: Float16[ndarray, ...] = (
            np.zeros(whole, dtype=np.float16) if path is None else self._take_up(path, whole)
        )

    def missing(self) -> list[int]:
        """Return the rows that are still to be filled, in order."""
        return [row for row in range(len(self.names)) if row not in self.filled]

    def keep(self, row: int, value: Float16[ndarray, ...]) -> None:
        """Fill a row; once this returns, the row survives a kill."""
        self.array[row] = value
        self.filled.add(row)
        if self.path is not None:
            self._note(self.path)

    def _note(self, path: Path) -> None:
        if isinstance(self.array, np.memmap):
            self.array.flush()  # first the row, then the word that it is there
        content = {"about": self.about, "names": self.names, "filled": sorted(self.filled)}
        write_json(path.with_suffix(".json"), content)

    def _take_up(self, path: Path, whole: tuple[int, ...]) -> Float16[ndarray, ...]:
        """Open the array; if other rows are wanted than are there, lay it out again."""
        before = self._known(path)
        array = _open(path, (len(before), *whole[1:])) if before else None
        if array is None:
            before = []
        elif [name for name, _ in before] == self.names:
            self.filled = {row for row, (_, filled) in enumerate(before) if filled}
            return array
        old = {name: row for row, (name, filled) in enumerate(before) if filled}
        with atomic_path(path) as unfinished:
            new = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=whole)
            if hasattr(os, "posix_fallocate"):  # find a full disk now: later it would be a crash
                with unfinished.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, unfinished.stat().st_size)
            for row, name in enumerate(self.names):
                if array is not None and name in old:
                    new[row] = array[old[name]]
                    self.filled.add(row)
            new.flush()
            path.with_suffix(".json").unlink(missing_ok=True)  # it speaks of the array that goes now
        self.array = np.lib.format.open_memmap(path, mode="r+")
        self._note(path)
        return self.array

    def _known(self, path: Path) -> list[tuple[str, bool]]:
        """Return the names of the rows that lie in the array, and whether they are filled."""
        try:
            kept: Any = read_json(path.with_suffix(".json"))
            filled = set(kept["filled"])
            known = [(str(name), row in filled) for row, name in enumerate(kept["names"])]
            return known if kept["about"] == self.about else []
        except (InputError, KeyError, TypeError):
            return []


def _open(path: Path, whole: tuple[int, ...]) -> Float16[ndarray, ...] | None:
    """Return the array, or None if the file is not one of this shape (missing, cut, another file)."""
    try:
        np.lib.format.open_memmap(path, mode="r")  # refuses a cut file; "r+" would fill it up with zeros
        array = np.lib.format.open_memmap(path, mode="r+")
    except (OSError, ValueError):
        logger.warning("%s is damaged: it is made anew.", path)
        return None
    return array if array.shape == whole and array.dtype == np.float16 else None
