"""Pages that are made from the package say what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainclock.model.folder import load_model, shipped_models
from brainclock.predict.licences import installed_components

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(autouse=True)
def _makers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))


def test_the_model_cards_are_those_of_the_models() -> None:
    from make_model_card import PAGE, model_card_page

    text = PAGE.read_text(encoding="utf-8")
    assert text == model_card_page(), "run python docs/make_model_card.py"
    for name in shipped_models():
        card = load_model(name).card
        assert card.weights_sha256 in text
        for cohort in card.cohorts:
            (line,) = [
                line for line in text.splitlines() if line.startswith(f"| {cohort.name} |") and "F," in line
            ]
            assert f"| {cohort.participants} |" in line
            assert not line.endswith("|  |"), "where the data come from, and on what terms"


def test_every_package_is_on_the_page_with_its_licence() -> None:
    from make_licences import PAGE, differing, licences_page, versions

    parts = installed_components()
    text = PAGE.read_text(encoding="utf-8")
    for one in parts:
        if one.name in versions():
            assert f"\n| {one.name} | {versions()[one.name]} | " in text
    if other := differing(parts):
        pytest.skip(f"other versions than the pinned ones are installed: {', '.join(other)}")
    assert text == licences_page(), "run python docs/make_licences.py"


def test_lgpl_parts_are_named_first() -> None:
    text = (DOCS / "licences.md").read_text(encoding="utf-8").partition("## All packages")[0]
    for one in installed_components():
        assert (f"- {one.name} " in text) == one.copyleft
    for library in ("libquadmath, inside of numpy, scipy: LGPL-2.1-or-later", "- fill-voids "):
        assert library in text
