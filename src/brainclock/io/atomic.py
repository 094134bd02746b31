"""Files that are whole or not there: written beside, then moved into place.

What a killed run leaves behind is a hidden ``.tmp-…`` file that no reader takes for an output; the next
run that writes into the same folder removes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import math
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from brainclock.errors import OutputError

#: Names of unfinished files begin so. ``.tmp-<host>-<process>-<count>-<name>``
UNFINISHED = ".tmp-"

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_COUNT = itertools.count()
_NAME = re.compile(re.escape(UNFINISHED) + r"(?P<host>[0-9a-f]{8})-(?P<process>\d+)-\d+-.+")
#: Folders that this process has looked through for leftovers: once each, for one may hold thousands of files.
_SWEPT: set[Path] = set()
_STALE_S = 24 * 3600.0

_REASONS = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "it is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EFBIG: "the file is too large for this disk",
    errno.EIO: "the disk reports an error",
}


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a hidden path beside ``path`` to write to; it replaces ``path`` when the block ends.

    The hidden name ends in the full name, so that writers recognise the suffix. Folders on the way are
    made. If the block raises, ``path`` stays as it was and nothing is left.

    Raises
    ------
    OutputError
        The folder or the file cannot be written: no space, no permission, a file where a folder should be.
    """
    make_folder(path.parent)
    _sweep(path.parent)
    unfinished = path.parent / f"{UNFINISHED}{_HOST}-{os.getpid()}-{next(_COUNT)}-{path.name}"
    try:
        yield unfinished
        _to_disk(unfinished)
        unfinished.replace(path)
        _to_disk(path.parent)
    except OSError as error:
        if isinstance(error, OutputError) or error.errno not in _REASONS:
            raise
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; raises `OutputError`."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, UTF-8, line ends as they are; raises `OutputError`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically: keys sorted, so that equal values give equal bytes; raises `OutputError`.

    NumPy scalars and arrays become numbers and lists, paths become strings, NaN and infinity ``null``.
    """
    text = json.dumps(_plain(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def make_folder(path: Path) -> Path:
    """Make a folder and its parents, unless it is there, and return it.

    Raises
    ------
    OutputError
        It cannot be made, is a file, or cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise cannot_write(path, PermissionError(errno.EACCES, "not writable"))
    return path


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Return the error that says in a sentence why a path cannot be written."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"{path} cannot be written: {reason}. Choose another output, or make room or access.")


def _to_disk(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what dead writers left in a folder: processes of this machine that are gone, or a day old."""
    folder = folder.absolute()
    if folder in _SWEPT:
        return
    _SWEPT.add(folder)
    for entry in os.scandir(folder):
        match = _NAME.fullmatch(entry.name) if entry.name.startswith(UNFINISHED) else None
        if match is None:
            continue
        with contextlib.suppress(OSError):  # another process may remove it at the same time
            dead = match["host"] == _HOST and not _is_running(int(match["process"]))
            if dead or time.time() - entry.stat().st_mtime > _STALE_S:
                Path(entry.path).unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _plain(value: object) -> object:
    """Return the value as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
