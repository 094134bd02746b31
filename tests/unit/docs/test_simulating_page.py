"""The page about simulated heads says what the code does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from brainclock.simulate.settings import load_cohort_settings

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_table_of_settings_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    from make_simulating import PAGE, simulating_page

    assert PAGE.read_text(encoding="utf-8") == simulating_page()
    sys.modules.pop("make_simulating")


def test_settings_in_its_examples_are_settings() -> None:
    text = (DOCS / "simulating.md").read_text(encoding="utf-8")
    given = re.findall(r'--set (?:"([^"]+)"|(\S+))', text)
    overrides = [
        first or second for first, second in given if "name=value" not in (first, second.rstrip("`."))
    ]
    assert len(overrides) > 6
    for override in overrides:
        load_cohort_settings(None, [override])
