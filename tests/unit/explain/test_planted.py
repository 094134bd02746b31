from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from brainclock.errors import InputError, ModelError
from brainclock.explain.planted import (
    REQUIRED,
    PlantedSummary,
    judge,
    read_verdict,
    score_planted,
    summarise_planted,
    write_verdict,
)


@pytest.fixture
def place() -> tuple[np.ndarray, np.ndarray]:
    region, brain = np.zeros((10, 10, 10), bool), np.zeros((10, 10, 10), bool)
    brain[1:9, 1:9, 1:9] = True
    region[2:4, 2:4, 2:4] = True
    return region, brain


def test_a_change_in_the_right_place(place: tuple[np.ndarray, np.ndarray]) -> None:
    region, brain = place
    before = np.random.default_rng(0).normal(size=brain.shape)
    score = score_planted(before, before + 0.5 * region, region, brain, 1)
    assert score.mass == pytest.approx(1)
    assert score.volume_share == 8 / 512
    assert score.ratio == pytest.approx(64)
    assert score.auc == pytest.approx(1)
    assert score.years == pytest.approx(4)
    assert score.sign_right
    assert not score_planted(before, before + 0.5 * region, region, brain, -1).sign_right


def test_a_change_anywhere_is_chance_and_outside_is_wrong(place: tuple[np.ndarray, np.ndarray]) -> None:
    region, brain = place
    noise = np.random.default_rng(1).normal(size=brain.shape)
    score = score_planted(np.zeros(brain.shape), noise, region, brain, 1)
    assert score.auc == pytest.approx(roc_auc_score(region[brain], np.abs(noise[brain])))
    assert score.ratio < 2
    outside = score_planted(np.zeros(brain.shape), (~brain).astype(float), region, brain, 1)
    assert (outside.mass, outside.sign_right, outside.auc) == (0, False, 0.5)
    assert score_planted(noise, noise, region, brain, 1).mass == 0


def test_a_region_that_is_nothing_or_everything(place: tuple[np.ndarray, np.ndarray]) -> None:
    region, brain = place
    zero = np.zeros(brain.shape)
    for wrong, direction in ((brain, 1), (~brain, 1), (region, 0)):
        with pytest.raises(InputError, match="planted region"):
            score_planted(zero, zero, wrong, brain, direction)


def summary(method: str, structure: str, ratio: float, sign: float = 1.0) -> PlantedSummary:
    return PlantedSummary(method, structure, 20, 0.1, 0.02, float(ratio), 0.9, sign)


def test_the_method_that_finds_all_structures_wins() -> None:
    ventricles, temporal = REQUIRED
    verdict = judge(
        [
            summary("a", ventricles, 30),
            summary("a", temporal, 2.9),
            summary("b", ventricles, 5),
            summary("b", temporal, 4),
            summary("c", ventricles, 4),
            summary("c", temporal, 3.5),
            summary("d", ventricles, 50),
            summary("d", temporal, 50, sign=0.9),
            summary("e", ventricles, 60),
        ]
    )
    assert verdict.method == "b"
    assert verdict.reliable("c")
    assert not any(verdict.reliable(method) for method in ("a", "d", "e", "f"))


def test_no_method_is_not_reliable() -> None:
    verdict = judge([summary("a", structure, 1.5) for structure in REQUIRED])
    assert verdict.method is None
    assert verdict.reason.startswith("Not reliable: ")
    assert judge([]).method is None


def test_summaries_are_means(place: tuple[np.ndarray, np.ndarray]) -> None:
    region, brain = place
    zero = np.zeros(brain.shape)
    scores = [score_planted(zero, sign * region.astype(float), region, brain, 1) for sign in (1, 1, 1, -1)]
    found = summarise_planted("grad-ram", "ventricles", scores)
    assert (found.pairs, found.sign_right, found.mass) == (4, 0.75, 1)
    assert not found.passes
    with pytest.raises(InputError, match="no pair"):
        summarise_planted("grad-ram", "ventricles", [])


def test_a_verdict_stays_with_its_model(tmp_path: Path) -> None:
    assert read_verdict(tmp_path, "a") is None
    verdict = judge([summary("a", structure, 5) for structure in REQUIRED])
    write_verdict(verdict, tmp_path, "a")
    assert read_verdict(tmp_path, "a") == verdict
    with pytest.raises(ModelError, match="of another model"):
        read_verdict(tmp_path, "b")
    (tmp_path / "planted.json").write_text("{}")
    with pytest.raises(ModelError, match="damaged"):
        read_verdict(tmp_path, "a")
