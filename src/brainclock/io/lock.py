"""One run at a time in an output folder, or several that keep out of each other's way."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from brainclock.errors import InputError
from brainclock.io.atomic import cannot_write, make_folder

logger = logging.getLogger("brainclock")

#: Empty, in the output folder while a run writes there; a killed run leaves it, and it locks nothing then.
LOCK = ".lock"
#: What a disk says that knows no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def writing(out: Path, *, beside_others: bool = False) -> Iterator[None]:
    """Hold an output folder while it is written.

    The lock is that of the operating system (``flock``): it ends with the process, however that ends, and
    holds across the machines of a network disk that has locks. Where the disk has none, the log says so
    and the run goes on.

    Parameters
    ----------
    out : Path
        The folder; made if it is not there.
    beside_others : bool
        Other runs with ``beside_others`` may write at the same time, each to files of its own.

    Raises
    ------
    InputError
        Another run holds the folder.
    OutputError
        The folder cannot be written.
    """
    make_folder(out)
    path = out / LOCK
    descriptor = _take(path, fcntl.LOCK_SH if beside_others else fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # others still hold it: the last one removes it
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        os.close(descriptor)


def _take(path: Path, kind: int) -> int:
    """Return the descriptor that holds the lock."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            expected = "one run at a time in an output folder"
            fix = "Wait until it has ended, or choose another folder."
            raise InputError(str(path.parent), "another run that is writing there", expected, fix) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(descriptor)
                raise
            logger.warning("%s: this disk has no locks. Let no other run write there.", path.parent)
            return descriptor
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # whoever held it before has removed it meanwhile
