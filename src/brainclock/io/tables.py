"""Tables of text: TSV and CSV in, TSV with a data dictionary out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from brainclock.errors import InputError
from brainclock.io.atomic import atomic_path, write_json
from brainclock.io.read import read_bytes

#: How a table writes that something isn't known.
MISSING = "n/a"


class Row(dict[str, str]):
    """One row: cells by column, and where it stands.

    Parameters
    ----------
    cells : mapping of str to str
        Without white space at their ends.
    table : Path
    line : int
        Line in the file, from 1.
    """

    def __init__(self, cells: Mapping[str, str], table: Path, line: int) -> None:
        super().__init__(cells)
        self.table, self.line = table, line

    def where(self, column: str | None = None) -> str:
        """Return the place for messages: ``participants.tsv:2, column age``."""
        place = f"{self.table}:{self.line}"
        return place if column is None else f"{place}, column {column}"


def read_table(path: Path) -> list[Row]:
    r"""Read a table with a header; tabs, commas or semicolons between the cells, as the header shows.

    UTF-8 (or UTF-16 with its mark), any line ends, cells quoted or not, empty lines skipped.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty or not text; a line has more or fewer cells than the
        header; a column comes twice.
    """
    text = _read_text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    if not header:
        raise InputError(str(path), "an empty file", "a table with a header", "Check the path.")
    delimiter = next((mark for mark in "\t;" if mark in header), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    rows: list[Row] = []
    before = 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            cells = [cell.strip() for cell in cells]
            if columns is None:
                columns = _check_columns(cells, path)
                continue
            if len(cells) != len(columns):
                found, expected = f"{len(cells)} cells", f"{len(columns)}, as in the header"
                fix = "Mend the line; a cell that holds the separator needs quotes."
                raise InputError(f"{path}:{line}", found, expected, fix)
            rows.append(Row(dict(zip(columns, cells, strict=True)), path, line))
    except csv.Error as error:
        found = f"a cell that cannot be read ({error})"
        raise InputError(f"{path}:{before + 1}", found, "quotes in pairs", "Mend the line.") from None
    return rows


def write_table(
    path: Path,
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[str],
    *,
    decimals: Mapping[str, int] | None = None,
) -> None:
    """Write a TSV atomically, row by row as they come.

    Parameters
    ----------
    path : Path
    rows : iterable of mappings
        A column that a row lacks is ``n/a``, as are None and NaN. Numbers are written so that they are
        read again exactly, unless ``decimals`` rounds them. Line breaks and tabs become spaces.
    columns : sequence of str
        Columns, in order.
    decimals : mapping of str to int or None
        Decimals of the numbers in a column.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    places = decimals or {}
    with atomic_path(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row.get(column), places.get(column)) for column in columns])


def write_data_dictionary(table: Path, columns: Mapping[str, Mapping[str, object]]) -> None:
    """Write the JSON that describes the columns of a table, beside it.

    Parameters
    ----------
    table : Path
        The table; the dictionary has its name and ends in ``.json``.
    columns : mapping of str to mapping
        For each column, as BIDS has it: ``Description``, and ``Units`` or ``Levels`` where they apply.
    """
    write_json(table.with_suffix(".json"), columns)


def _read_text(path: Path) -> str:
    content = read_bytes(path, "a table (TSV or CSV)")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        fix = "Save it as a TSV or CSV in UTF-8."
        raise InputError(f"{path}:{line}", "text that is not UTF-8", "a table in UTF-8", fix) from None
    if "\0" in text:
        fix = "Export it as TSV or CSV."
        raise InputError(str(path), "a binary file", "a table (TSV or CSV)", fix)
    return text


def _check_columns(columns: list[str], path: Path) -> list[str]:
    seen: set[str] = set()
    for column in columns:
        if column.casefold() in seen:
            found = f"the column {column!r} twice"
            raise InputError(str(path), found, "each column once", "Remove or rename one.")
        seen.add(column.casefold())
    return columns


def _cell(value: object, decimals: int | None) -> str:
    """Return one cell as text."""
    if value is None:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return MISSING
        # Adding 0.0 turns the -0.0 that rounding leaves into 0.0.
        return repr(number) if decimals is None else f"{round(number, decimals) + 0.0:.{decimals}f}"
    return " ".join(str(value).split()) or MISSING
