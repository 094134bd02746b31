"""The pages about comparisons say what the code, the settings and the tables say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from brainclock.compare.representation import MEASURES
from brainclock.compare.rivals import NETWORKS
from brainclock.compare.settings import load_compare_settings
from brainclock.model.brain_age_model import BrainAgeModel

DOCS = Path(__file__).resolve().parents[3] / "docs"
CONFIGS = sorted(path for path in (DOCS / "comparison").glob("*.toml") if path.stem != "index")


@pytest.fixture(autouse=True)
def _makers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(DOCS))
    yield
    for name in ("make_settings", "make_comparing", "make_comparison"):
        sys.modules.pop(name, None)


def test_the_tables_of_settings_and_rivals_are_up_to_date():
    from make_comparing import PAGE, comparing_page

    page = PAGE.read_text(encoding="utf-8")
    assert page == comparing_page(), "run python docs/make_comparing.py"
    assert "| None |" not in page
    for name in MEASURES:
        assert f"`{name}`" in page


def test_the_page_of_results_is_what_the_tables_say():
    from make_comparison import PAGE, comparison_page

    assert PAGE.read_text(encoding="utf-8") == comparison_page(), "run python docs/make_comparison.py"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_experiment_can_be_run(path):
    settings = load_compare_settings(path)
    assert settings.simulated == (path.stem == "simulated")
    for method in settings.methods:
        if method in NETWORKS:
            BrainAgeModel.build(settings.run.model_copy(update={"train": settings.train_settings(method)}))
    for pool in settings.axes.pool:
        channels = settings.run.channels.model_copy(update={"pool": pool})
        BrainAgeModel.build(settings.run.model_copy(update={"channels": channels}))


@pytest.mark.parametrize("name", ["whole-brain", "slab"])
def test_the_full_experiment_is_the_small_one_with_more(name):
    small, full = (load_compare_settings(DOCS / "comparison" / f"{name}{end}.toml") for end in ("", "-full"))
    assert small.run.model_copy(update={"regressor": full.run.regressor}) == full.run
    assert set(small.rivals) <= set(full.rivals)
    assert len(full.seeds) >= 3
