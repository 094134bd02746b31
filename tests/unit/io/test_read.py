"""Bytes and JSON from disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainclock.errors import InputError
from brainclock.io.read import read_bytes, read_json


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: found no such file, expected a table\. Check the path\."):
        read_bytes(tmp_path / "gone", "a table")


def test_a_link_to_content_that_was_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "annex")
    with pytest.raises(InputError, match=r"a link to a file that is not here.*datalad get"):
        read_bytes(tmp_path / "link", "an image")


def test_a_folder_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found a folder"):
        read_bytes(tmp_path, "an image")
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="found an empty file"):
        read_bytes(tmp_path / "empty", "an image")


def test_json_with_a_mark_and_without(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("content", [b'{"a": ', b"\xff\xfe\xff", b"no"])
def test_what_is_not_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"no JSON .*Mend or replace the file"):
        read_json(tmp_path / "a.json")
