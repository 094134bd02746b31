"""The page about maps is what its figures say, and these name nobody."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from brainclock.explain.planted import read_verdict
from brainclock.model.folder import load_model, shipped_models

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_explanations", DOCS / "make_explanations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_figures_say(page: ModuleType) -> None:
    expected = page.explanations_page()
    found = (DOCS / "explanations.md").read_text(encoding="utf-8")
    assert found == expected, "run python docs/make_explanations.py"


def test_figures_of_real_people_name_nobody() -> None:
    paths = list((DOCS / "explanations").glob("*.json"))
    assert paths
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert "sub-" not in text, path
        assert "IXI" not in text, path
        assert "OAS1" not in text, path


@pytest.mark.parametrize("name", shipped_models())
def test_what_was_planted_was_planted_for_the_models_that_are_shipped(name: str) -> None:
    loaded = load_model(name)
    read_verdict(loaded.folder, loaded.card.weights_sha256)  # of another model: it refuses
    kept = DOCS / "explanations" / f"{name}.json"
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        assert found["model"] == loaded.card.identity, "run benchmarks/planted.py again"


def test_nuance_is_claimed_only_where_every_seed_agrees(page: ModuleType) -> None:
    def rows(rnc: list[float], l1: list[float]) -> list[dict[str, object]]:
        return [
            {"method": "m", "objective": name, "by_seed": {"entropy": found, "regions_for_80": found}}
            for name, found in (("rnc", rnc), ("l1", l1))
        ]

    assert "entropy larger in every seed" in page._nuance_in_words(rows([0.8, 0.9], [0.6, 0.7]))
    assert "entropy smaller in every seed" in page._nuance_in_words(rows([0.5, 0.4], [0.6, 0.7]))
    assert "entropy not compared, with one seed" in page._nuance_in_words(rows([0.5], [0.6]))
    assert "entropy no different beyond" in page._nuance_in_words(rows([0.6, 0.9], [0.7, 0.8]))
