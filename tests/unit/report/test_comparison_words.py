from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from brainclock.compare.summarise import compare_rivals, summarise
from brainclock.compare.tables import Budget, PairedTest, Point, Prediction
from brainclock.report.comparison_figures import draw_axis, draw_planes
from brainclock.report.comparison_words import axes, conclusion, lines, verdict

TEST = PairedTest(
    "folds", "all", "base", "rnc-ridge", "l1", 40, -1.0, -1.6, -0.4, -0.5, -0.6, 0.001, 0.002, 0.001, 0.002
)


def contest(**cells) -> PairedTest:
    return dataclasses.replace(TEST, **cells)


def experiment(shifts: dict[str, float]) -> tuple[list, list]:
    rng = np.random.default_rng(5)
    rows = [
        Prediction(
            rival, "base", "folds", "1", 1, 1, 30, f"sub-{n}", f"sub-{n}", "here", "F", 20.0 + n,
            20.0 + n + shift + rng.normal(), True,
        )
        for rival, shift in shifts.items()
        for n in range(40)
    ]  # fmt: skip
    return summarise(rows, resamples=200), compare_rivals(rows, "rnc-ridge", resamples=200)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, -1),
        ({"difference": 1.0, "low": 0.4, "high": 1.6}, 1),
        ({"p_wilcoxon_holm": 0.2}, 0),
        ({"high": 0.1}, 0),  # the interval does not agree
        ({"p_wilcoxon_holm": float("nan"), "low": float("nan"), "high": float("nan")}, 0),
    ],
)
def test_a_verdict_needs_the_test_and_the_interval(cells, expected):
    assert verdict(contest(**cells)) == expected


def test_the_conclusion_follows_the_numbers_whoever_wins():
    wins = " ".join(conclusion(*experiment({"rnc-ridge": 0.0, "l1": 4.0, "mse": 5.0}), simulated=False))
    assert "support the claim" in wins
    assert "RNC with ridge against L1: −" in wins
    loses = " ".join(conclusion(*experiment({"rnc-ridge": 5.0, "l1": 0.0, "mse": 1.5}), simulated=False))
    assert "contradict the claim" in loses
    assert "L1 erred least" in loses
    draws = " ".join(conclusion(*experiment({"rnc-ridge": 0.0, "l1": 0.0, "mse": 0.0}), simulated=False))
    assert "do not show" in draws
    mixed = " ".join(conclusion(*experiment({"rnc-ridge": 2.0, "l1": 0.0, "mse": 6.0}), simulated=False))
    assert "in part only: it is better than MSE; worse than L1." in mixed


def test_a_plain_method_that_beats_the_networks_is_named():
    said = " ".join(
        conclusion(*experiment({"rnc-ridge": 3.0, "l1": 4.0, "ridge-gradient": 0.0}), simulated=True)
    )
    assert said.startswith("The people are simulated")
    assert "the claim" not in said
    assert "ridge on gradient erred least" in said
    assert "The best without a network, ridge on gradient" in said


def test_lines_have_the_difference_of_the_reference_from_each_rival():
    summary, tests = experiment({"rnc-ridge": 0.0, "l1": 4.0})
    reference, other = lines(summary, tests, "folds", "all", "base")
    assert (reference.rival, reference.difference, reference.p) == ("RNC with ridge", "", "")
    assert other.difference.startswith("−")
    assert other.p == "< 0.001"
    assert lines(summary, tests, "site", "there", "base") == []


def test_axes_are_in_order_with_the_base_at_its_place():
    summary, _ = experiment({"l1": 0.0})
    changed = [
        dataclasses.replace(row, condition=condition)
        for condition in ("batch_size=64", "batch_size=8", "people=20", "pool=1x1x1")
        for row in summary
    ]
    budget = Budget("base", "rnc", "30 to 31", "400", 32, 25600, "0.003", 2.0, 1000, 5, 1.0)
    found = axes([*summary, *changed], [budget])
    assert [label for _, label in found["batch_size"]] == ["8", "32 (base)", "64"]
    assert [label for _, label in found["people"]] == ["20", "30 (base)"]
    assert [label for _, label in found["pool"]] == ["1x1x1", "base"]


def test_figures_say_in_words_what_they_show():
    series = {
        "L1": np.array([[5.0, 4.0, 6.0], [np.nan] * 3]),
        "RNC": np.array([[4.0, 3.0, 5.0], [3.5, 3.0, 4.0]]),
    }
    picture = draw_axis("batch_size", "people in a step", ["8", "32 (base)"], series)
    assert "L1 8: 5.0; RNC 8: 4.0, 32 (base): 3.5" in picture.alt
    assert picture.svg == draw_axis("batch_size", "people in a step", ["8", "32 (base)"], series).svg
    points = [Point("rnc", "1", site, 20.0 + n, float(n), 1.0) for n, site in enumerate(["a", "b", "a"])]
    planes = draw_planes({"RNC": points, "L1": points})
    assert planes.svg.startswith("<svg")
    assert "3 people" in planes.alt
    assert "RNC and L1" in planes.alt
