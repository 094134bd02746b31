"""Who may write into an output folder, between real processes."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.io.lock import LOCK, writing

HOLD = (
    "import sys\nfrom pathlib import Path\nfrom brainclock.io.lock import writing\n"
    "with writing(Path(sys.argv[1]), beside_others=sys.argv[2] == 'beside'):\n"
    "    print('held', flush=True)\n    sys.stdin.read()\n"
)


@contextmanager
def another_process(folder: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder), how]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        if process.poll() is None:
            process.communicate("", timeout=30)


def test_a_folder_is_held_while_it_is_written_and_nothing_stays(tmp_path: Path) -> None:
    out = tmp_path / "new"
    with writing(out):
        assert [path.name for path in out.iterdir()] == [LOCK]
        with pytest.raises(InputError, match=r"new: found another run that is writing there"), writing(out):
            pass
        assert (out / LOCK).exists()
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(("first", "second"), [("alone", False), ("alone", True), ("beside", False)])
def test_another_process_is_told_to_wait(tmp_path: Path, first: str, second: bool) -> None:
    with (
        another_process(tmp_path, first),
        pytest.raises(InputError, match="Wait until it has ended"),
        writing(tmp_path, beside_others=second),
    ):
        pass
    with writing(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_those_who_keep_out_of_each_others_way_write_together(tmp_path: Path) -> None:
    with another_process(tmp_path, "beside"):
        with writing(tmp_path, beside_others=True):
            pass
        assert (tmp_path / LOCK).exists()  # the other one still holds it
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    with another_process(tmp_path, "alone") as process:
        process.kill()
        process.wait(timeout=30)
    assert (tmp_path / LOCK).exists()
    with writing(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with writing(tmp_path):
        pass
    assert "this disk has no locks" in caplog.text
