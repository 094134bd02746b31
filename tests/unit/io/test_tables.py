"""Tables of text, in and out."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainclock.errors import InputError
from brainclock.io.tables import read_table, write_data_dictionary, write_table


def table(tmp_path: Path, content: str | bytes, name: str = "a.tsv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


EXPECTED = [{"participant_id": "sub-1", "age": "63.5"}, {"participant_id": "sub-2", "age": "n/a"}]
TEXT = "participant_id\tage\nsub-1\t63.5\nsub-2\tn/a\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.rstrip("\n").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\t", ",").encode(),
        TEXT.replace("\t", ";").encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        ("\n" + TEXT.replace("\n", "\n\n")).encode(),
        TEXT.replace("63.5", ' "63.5"').replace(' "', '"').encode(),
        TEXT.replace("sub-1", " sub-1 ").encode(),
    ],
)
def test_one_table_in_many_dresses(tmp_path: Path, content: bytes) -> None:
    assert read_table(table(tmp_path, content)) == EXPECTED


def test_a_quoted_cell_may_hold_the_separator_and_a_line_break(tmp_path: Path) -> None:
    rows = read_table(table(tmp_path, 'path,note\na.nii,"b, ""c""\nd"\ne.nii,f\n', "a.csv"))
    assert rows == [{"path": "a.nii", "note": 'b, "c"\nd'}, {"path": "e.nii", "note": "f"}]
    assert [row.line for row in rows] == [2, 4]


def test_a_row_knows_where_it_stands(tmp_path: Path) -> None:
    path = table(tmp_path, "a\tb\n\n1\t2\n")
    (row,) = read_table(path)
    assert row.where("b") == f"{path}:3, column b"
    assert copy.copy(row).where() == f"{path}:3"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\n1\t2\n1\n", r"a\.tsv:3: found 1 cells, expected 2"),
        ("a\tb\n1\t2\t3\n", r"a\.tsv:2: found 3 cells, expected 2"),
        ("a\tA\n1\t2\n", "the column 'A' twice"),
        ("", "an empty file"),
        ("\n \n", "an empty file"),
        ('a\tb\n1\t"2\n3\t4\n', r"a\.tsv:2: found a cell that cannot be read"),
        (b"a\tb\n1\t2\nJos\xe9\t3\n", r"a\.tsv:3: found text that is not UTF-8"),
        (b"PK\x03\x04\x00\x00\x00", "a binary file"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_table(table(tmp_path, content))


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "gone.tsv")


def test_cells_are_written_so_that_everybody_reads_them(tmp_path: Path) -> None:
    row = {
        "none": None,
        "nan": np.float32("nan"),
        "float": 0.1 + 0.2,
        "rounded": np.float64(63.4567),
        "minus": -0.001,
        "flag": np.bool_(True),
        "count": np.int64(3),
        "text": "two\nlines\tand  a tab",
        "empty": "",
    }
    write_table(tmp_path / "a.tsv", [row], [*row, "absent"], decimals={"rounded": 2, "minus": 2})
    lines = (tmp_path / "a.tsv").read_text().splitlines()
    assert lines[1].split("\t") == [
        *(
            "n/a",
            "n/a",
            "0.30000000000000004",
            "63.46",
            "0.00",
            "true",
            "3",
            "two lines and a tab",
            "n/a",
            "n/a",
        )
    ]


def test_an_empty_table_has_its_header(tmp_path: Path) -> None:
    write_table(tmp_path / "a.tsv", [], ["a", "b"])
    assert (tmp_path / "a.tsv").read_text() == "a\tb\n"
    assert read_table(tmp_path / "a.tsv") == []


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.floats(allow_infinity=False))
    )
)
def test_what_is_written_is_read(
    cells: list[tuple[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / "a.tsv"
    write_table(path, [{"text": text, "number": number} for text, number in cells], ["text", "number"])
    rows = read_table(path)
    assert [row["text"] for row in rows] == [" ".join(text.split()) or "n/a" for text, _ in cells]
    for row, (_, number) in zip(rows, cells, strict=True):
        assert row["number"] == "n/a" if math.isnan(number) else float(row["number"]) == number


def test_the_dictionary_lies_beside_the_table(tmp_path: Path) -> None:
    write_data_dictionary(tmp_path / "a.tsv", {"age": {"Description": "Age at the scan", "Units": "years"}})
    assert json.loads((tmp_path / "a.json").read_text())["age"]["Units"] == "years"
