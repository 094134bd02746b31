"""Atomic writing: whole or not there, and one sentence where it cannot be."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import OutputError
from brainclock.io.atomic import UNFINISHED, atomic_path, make_folder, write_bytes, write_json, write_text


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scan.nii.gz"
    with atomic_path(path) as unfinished:
        assert unfinished.parent == path.parent
        assert unfinished.name.startswith(UNFINISHED)
        assert unfinished.name.endswith("scan.nii.gz")
        unfinished.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with atomic_path(path) as unfinished:
            unfinished.write_text("new")
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_bytes(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_the_reason_is_one_sentence(tmp_path: Path, number: int) -> None:
    def fill_the_disk() -> None:
        with atomic_path(tmp_path / "a.txt") as unfinished:
            unfinished.write_text("part")
            raise OSError(number, os.strerror(number))

    with pytest.raises(OutputError, match=r"a\.txt cannot be written: .+\. Choose another output") as caught:
        fill_the_disk()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_output_error() -> None:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("this system has no /dev/full")

    def write() -> None:
        with atomic_path(Path("/dev/shm") / "brainclock-test-of-a-full-disk"):
            device.write_bytes(b"x")

    with pytest.raises(OutputError, match="no space is left"):
        write()


def test_an_error_that_is_not_about_writing_stays_what_it_is(tmp_path: Path) -> None:
    def read_in_the_middle() -> None:
        with atomic_path(tmp_path / "a.txt"):
            (tmp_path / "missing").read_text()

    with pytest.raises(FileNotFoundError):
        read_in_the_middle()


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="a part of the path is a file"):
        write_text(tmp_path / "file" / "deeper" / "a.txt", "")


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        write_text(tmp_path / "a.txt", "")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="you may not write there"):
        make_folder(tmp_path)


def test_a_forbidden_folder_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="you may not write there"):
        make_folder(tmp_path)


def test_what_a_killed_run_left_goes_with_the_next_write(tmp_path: Path) -> None:
    code = (
        "import os, sys, signal\nfrom pathlib import Path\nfrom brainclock.io.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as unfinished:\n"
        "    unfinished.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "a.txt"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(UNFINISHED)
    write_text(tmp_path / "b.txt", "whole")
    assert [child.name for child in tmp_path.iterdir()] == ["b.txt"]


def test_a_writer_at_work_keeps_its_file_and_an_old_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    elsewhere, old = (tmp_path / f"{UNFINISHED}00000000-{number}-0-a.txt" for number in (1, 2))
    elsewhere.write_text("another machine is writing")
    old.write_text("another machine has died")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    with atomic_path(path) as unfinished:
        unfinished.write_text("ours")
        write_text(path, "another thread")
    assert path.read_text() == "ours"
    assert elsewhere.exists()
    assert not old.exists()


def test_a_folder_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a run of n scans would read n names n times."""
    looked: list[Path] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: looked.append(folder) or scandir(folder))
    for number in range(5):
        write_text(tmp_path / f"{number}.txt", "whole")
    assert looked == [tmp_path]


def test_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": {"d": np.float32(0.5), "c": np.arange(3)}})
    write_json(tmp_path / "b.json", {"a": {"c": (0, 1, 2), "d": 0.5}, "b": np.int64(1)})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_json_holds_what_json_can(tmp_path: Path) -> None:
    value = {"nan": float("nan"), "inf": np.float64("inf"), "path": Path("a/b"), "name": "Zoë", 3: True}
    write_json(tmp_path / "a.json", value)
    read = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert read == {"nan": None, "inf": None, "path": "a/b", "name": "Zoë", "3": True}
