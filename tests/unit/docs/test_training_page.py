import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from brainclock.config import RunSettings, load_settings
from brainclock.model.brain_age_model import BrainAgeModel

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["whole-brain", "slab"])
def test_the_shipped_models_can_be_trained_again(name):
    assert f"models/{name}.toml" in PAGE
    BrainAgeModel.build(load_settings(DOCS / "models" / f"{name}.toml"))


def test_the_examples_on_the_page_are_settings_that_work():
    assert len(BLOCKS) == 3
    for block in BLOCKS:
        BrainAgeModel.build(RunSettings.model_validate(tomllib.loads(block)))


def test_the_oblique_box_is_what_the_page_says():
    grid = RunSettings.model_validate(tomllib.loads(BLOCKS[2])).prepare.grid
    assert np.allclose(grid.spacing_mm, 2.0, atol=1e-3)
    axes = grid.matrix[:3, :3] / 2
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-3)
    assert np.rad2deg(np.arctan2(axes[1, 2], axes[2, 2])) == pytest.approx(20, abs=0.1)
    middle = grid.matrix @ [*((np.array(grid.shape) - 1) / 2), 1]
    assert np.allclose(middle[:3], [0.0, -20.0, 5.0], atol=0.1)


def test_settings_that_the_page_names_exist():
    settings = (DOCS / "settings.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:train|augment|encoder|channels)\.(?!log)\w+)", PAGE)
    assert len(named) > 8
    for setting in named:
        assert f"| `{setting}` |" in settings, setting
