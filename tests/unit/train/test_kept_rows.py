import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from brainclock.errors import OutputError
from brainclock.train.kept_rows import KeptRows

NAMES = ["a", "b", "c"]


def row(name: str) -> np.ndarray:
    return np.full((2, 3), ord(name), dtype=np.float16)


def fill(rows: KeptRows) -> list[str]:
    """Fill what is missing and return it."""
    made = [rows.names[place] for place in rows.missing()]
    for place in rows.missing():
        rows.keep(place, row(rows.names[place]))
    assert (rows.array == np.stack([row(name) for name in rows.names])).all()
    return made


def open_rows(path, names=NAMES, about="x"):
    return KeptRows(path, about, names, (2, 3))


@pytest.mark.parametrize("on_disk", [True, False])
def test_everything_is_missing_at_first(tmp_path, on_disk):
    assert fill(open_rows(tmp_path / "rows.npy" if on_disk else None)) == NAMES
    assert len(list(tmp_path.iterdir())) == 2 * on_disk


def test_what_was_filled_is_there_again(tmp_path):
    first = open_rows(tmp_path / "rows.npy")
    first.keep(1, row("b"))
    del first
    assert fill(open_rows(tmp_path / "rows.npy")) == ["a", "c"]
    assert fill(open_rows(tmp_path / "rows.npy")) == []


def test_rows_keep_their_names_wherever_they_stand(tmp_path):
    fill(open_rows(tmp_path / "rows.npy"))
    assert fill(open_rows(tmp_path / "rows.npy", ["d", "c", "a"])) == ["d"]
    assert fill(open_rows(tmp_path / "rows.npy", ["a", "b"])) == ["b"]


def test_rows_of_something_else_are_not_taken(tmp_path):
    fill(open_rows(tmp_path / "rows.npy"))
    assert fill(open_rows(tmp_path / "rows.npy", about="y")) == NAMES
    assert fill(open_rows(tmp_path / "rows.npy", about="x")) == NAMES


@pytest.mark.parametrize("size", [0, 5, 64, 130, 139])
def test_a_cut_array_is_made_anew(tmp_path, size):
    path = tmp_path / "rows.npy"
    fill(open_rows(path))
    os.truncate(path, size)
    assert fill(open_rows(path)) == NAMES


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"about": "x", "names": 3, "filled": [0]}'])
def test_a_damaged_manifest_is_made_anew(tmp_path, content):
    path = tmp_path / "rows.npy"
    fill(open_rows(path))
    path.with_suffix(".json").write_text(content)
    assert fill(open_rows(path)) == NAMES


@pytest.mark.parametrize("other", [np.zeros((3, 2, 3)), np.zeros((3, 2, 4), np.float16)])
def test_another_array_is_not_taken(tmp_path, other):
    path = tmp_path / "rows.npy"
    fill(open_rows(path))
    np.save(path, other)
    assert fill(open_rows(path)) == NAMES


def test_a_missing_array_is_made_anew(tmp_path):
    path = tmp_path / "rows.npy"
    fill(open_rows(path))
    path.unlink()
    assert fill(open_rows(path)) == NAMES


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        open_rows(tmp_path / "file" / "rows.npy")


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from brainclock.train.kept_rows import KeptRows
names = [f"{number}" for number in range(200)]
rows = KeptRows(Path(sys.argv[1]), "x", names, (50,))
print("ready", flush=True)
for place in rows.missing():
    rows.keep(place, np.full(50, place, dtype=np.float16))
print("done")
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_noted(tmp_path):
    path = tmp_path / "rows.npy"
    before, said = 0, ""
    for delay in (0.0, 0.05, 0.15, None):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, path], stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(timeout=delay)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            said = process.stdout.read()  # not communicate: what readline read ahead would be lost
        filled = json.loads(path.with_suffix(".json").read_text())["filled"]
        assert len(filled) >= before
        array = np.load(path)
        assert all((array[place] == place).all() for place in filled)
        before = len(filled)
    assert said == "done\n"
    assert (np.load(path) == np.arange(200)[:, None]).all()
