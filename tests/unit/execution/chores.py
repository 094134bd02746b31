"""What the workers of the tests do; a module of its own, so that other processes can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from brainclock.errors import InputError, OutputError, ScanRefused

Chore = tuple[str, Path]


def name_of(chore: Chore) -> str:
    return chore[0]


def write(chore: Chore) -> str:
    """Leave one file for each time that the chore was done."""
    name, folder = chore
    time.sleep(0.02)
    part = folder / f".{name}-{os.getpid()}-{time.monotonic_ns()}"
    part.write_text(name)
    part.rename(folder / f"{name}-{time.monotonic_ns()}.done")
    return name.upper()


def later_first(chore: Chore) -> str:
    time.sleep(0.3 if chore[0] == "a0" else 0.0)
    return chore[0]


def die_on_a3(chore: Chore) -> str:
    if chore[0] == "a3":
        os.kill(os.getpid(), signal.SIGKILL)
    return write(chore)


def die_once_on_a3(chore: Chore) -> str:
    """Die with the chore half done, the first time only; note who else works meanwhile."""
    name, folder = chore
    if name == "a3":
        try:
            (folder / "died").touch(exist_ok=False)
        except FileExistsError:
            return write(chore)
        os.kill(os.getpid(), signal.SIGKILL)
    return write(chore)


def refuse_a1(chore: Chore) -> str:
    if chore[0] == "a1":
        raise ScanRefused("contrast", "0.01 is below 0.05", {"contrast": 0.01})
    if chore[0] == "a2":
        raise InputError("a2.nii", "2 axes", "3", "Give a volume.")
    if chore[0] == "a3":
        raise MemoryError
    return chore[0]


def full_disk_on_a1(chore: Chore) -> str:
    if chore[0] == "a1":
        raise OutputError("a1.json cannot be written: no space is left on the disk.")
    return write(chore)


def bug_on_a2(chore: Chore) -> str:
    if chore[0] == "a2":
        raise ZeroDivisionError("oh")
    return chore[0]


class StubbornError(Exception):
    """Cannot be unpickled: its arguments are not those of its class."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def stubborn_bug(chore: Chore) -> str:
    raise StubbornError("left", "right")


def returns_a_function(chore: Chore) -> object:
    return lambda: None


def threads(chore: Chore) -> str:
    return os.environ["OMP_NUM_THREADS"] + os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"]


def pid(chore: Chore) -> int:
    time.sleep(0.05)
    return os.getpid()


def chores_of_size(folder: Path, gigabytes: list[int]) -> list[Chore]:
    return [(f"a{i}", folder / str(size)) for i, size in enumerate(gigabytes)]


def fill(chore: Chore) -> str:
    """Take so much memory as the path says."""
    name, path = chore
    return name if len(bytes(int(path.name) * 10**9)) >= 0 else ""
