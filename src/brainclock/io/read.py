"""Bytes and JSON from disk; what cannot be read is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brainclock.errors import InputError


def read_bytes(path: Path, expected: str) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    path : Path
    expected : str
        What it should be, for the message: ``"a NIfTI image"``.

    Raises
    ------
    InputError
        It is missing, a folder, unreadable or empty.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            found, fix = "a link to a file that is not here", "Fetch it first, for example with datalad get."
        else:
            found, fix = "no such file", "Check the path."
        raise InputError(str(path), found, expected, fix) from None
    except IsADirectoryError:
        raise InputError(str(path), "a folder", expected, "Give the file itself.") from None
    except OSError as error:
        found = error.strerror or type(error).__name__
        raise InputError(str(path), found, expected, "Check the path and its permissions.") from None
    if not content:
        raise InputError(str(path), "an empty file", expected, "Copy, download or make it again.")
    return content


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty or not JSON.
    """
    content = read_bytes(path, "JSON")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise InputError(str(path), f"no JSON ({error})", "JSON", "Mend or replace the file.") from None
