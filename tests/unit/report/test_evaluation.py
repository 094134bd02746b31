import base64
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from brainclock.io.tables import read_table
from brainclock.predict.evaluate import Evaluation, evaluate
from brainclock.predict.observation import AgeInterval, Observation
from brainclock.report.evaluation import (
    COLUMNS,
    evaluation_page,
    methods,
    pictures,
    summary,
    write_evaluation,
)
from html_page import Page


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rng = np.random.default_rng(2)
    ages = rng.uniform(20, 90, 60)
    people = [
        Observation(
            f"sub-secret{i}", 10 + 0.8 * age + rng.normal(0, 5), age, "FM"[i % 2], ["A&B", "<C>"][i % 2]
        )
        for i, age in enumerate(ages.tolist())
    ]
    return evaluate(people, counts={"rows": 64, "failed": 3, "without_age": 1, "used": 60}, resamples=200)


def test_the_page_needs_nothing_else(evaluation: Evaluation) -> None:
    html = evaluation_page(evaluation)
    page = Page(html)
    assert page.references
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert "<script" not in html
    assert len(set(page.ids)) == len(page.ids)


def test_numbers_on_the_page_are_the_numbers_of_the_evaluation(evaluation: Evaluation) -> None:
    rows = Page(evaluation_page(evaluation)).rows
    shown = {row[0]: row[1].replace("−", "-") for row in rows["metrics"][1:]}
    assert list(shown) == list(evaluation.all.estimates)
    for name, estimate in evaluation.all.estimates.items():
        assert float(shown[name]) == pytest.approx(estimate.value, abs=0.0051)
    assert [row[1] for row in rows["counts"]] == ["64", "3", "1", "60", "60"]
    decades = [s for s in evaluation.strata if s.by == "decade"]
    assert [row[:2] for row in rows["by-decade"][1:]] == [
        [f"{s.level} to {int(s.level) + 10}", str(s.people)] for s in decades
    ]


def test_every_picture_says_what_it_shows(evaluation: Evaluation) -> None:
    page = Page(evaluation_page(evaluation))
    assert len(page.images) == 6
    assert all(len(image["alt"] or "") > 40 for image in page.images)
    for image in page.images:
        svg = base64.b64decode((image["src"] or "").partition("base64,")[2]).decode()
        assert svg.startswith("<svg")
    mae = {s.level: s.estimates["mae"].value for s in evaluation.strata if s.by == "site"}
    (by_site,) = (p for p in pictures(evaluation) if p.name == "error-by-site")
    assert f"A&B {mae['A&B']:.1f}" in by_site.alt


def test_names_of_sites_are_escaped_and_people_are_not_named(evaluation: Evaluation) -> None:
    html = evaluation_page(evaluation)
    assert "&lt;C&gt;" in html
    assert "<C>" not in html
    assert "secret" not in html


def test_the_same_evaluation_gives_the_same_page(evaluation: Evaluation) -> None:
    assert evaluation_page(evaluation) == evaluation_page(evaluation)


def test_summary_and_methods_state_who_and_how(evaluation: Evaluation) -> None:
    mae = evaluation.all.estimates["mae"].value
    assert f"{mae:.2f} years" in summary(evaluation)
    assert "60 people" in summary(evaluation)
    assert "200 resamples" in methods(evaluation)
    assert "averaged first" in methods(evaluation)


def test_an_evaluation_without_slope_still_has_a_page() -> None:
    same_age = [Observation(f"sub-{i}", 40.0 + i, 42.0) for i in range(5)]
    page = Page(evaluation_page(evaluate(same_age, resamples=100)))
    assert ["r2", "n/a", "n/a"] in [row[:3] for row in page.rows["metrics"]]


def test_json_and_table_hold_the_same_numbers(evaluation: Evaluation, tmp_path: Path) -> None:
    write_evaluation(evaluation, tmp_path / "new", {"predictions": Path("p.tsv")})
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "evaluation.html",
        "evaluation.json",
        "evaluation.tsv",
    ]
    written = json.loads((tmp_path / "new" / "evaluation.json").read_text())
    rows = read_table(tmp_path / "new" / "evaluation.tsv")
    assert list(rows[0]) == list(COLUMNS)
    assert written["columns"] == COLUMNS
    assert written["counts"]["failed"] == 3
    assert written["source"] == {"predictions": "p.tsv"}
    measured = [row for row in rows if row["metric"] != "n/a"]
    assert len(measured) > 100
    for row in measured:
        found = written["metrics"][row["by"]][row["level"]][row["metric"]]
        for name in ("value", "low", "high"):
            assert row[name] == ("n/a" if found[name] is None else repr(found[name]))


def test_intervals_are_measured_and_drawn() -> None:
    rng = np.random.default_rng(3)
    ages = rng.uniform(20, 90, 60)
    people = [
        Observation(
            f"sub-{i}",
            age + error,
            age,
            "FM"[i % 2],
            "AB"[i % 2],
            interval=AgeInterval(age + error - 8, age + error + 8, 0.9),
            chance=float(stats.norm.cdf(error / 5)),
        )
        for i, (age, error) in enumerate(zip(ages.tolist(), rng.normal(0, 5, 60).tolist(), strict=True))
    ]
    evaluation = evaluate(people, resamples=100)
    page = Page(evaluation_page(evaluation))
    drawn = {picture.name: picture for picture in pictures(evaluation)}
    assert {"calibration", "coverage", "coverage-by-level"} < set(drawn)
    share = 100 * evaluation.all.estimates["coverage"].value
    assert f"all {share:.0f}, decade 20 to 30 " in drawn["coverage"].alt
    assert "Asked for: 90 %." in drawn["coverage"].alt
    assert f"{share:.0f} % of the ages lie in their 90 % intervals" in summary(evaluation)
    assert "Clopper" in methods(evaluation)
    assert page.rows["by-site"][0][-1] == "coverage"
    inside = np.mean([abs(o.chance - 0.5) <= 0.45 for o in people])
    assert f"{inside:.0%} at 90 %" in drawn["coverage-by-level"].alt
    ages_of = {f"{o.predicted_age // 10 * 10:.0f}": [] for o in people}
    for o in people:
        ages_of[f"{o.predicted_age // 10 * 10:.0f}"].append(o.age)
    own = next(values for values in ages_of.values() if len(values) >= 5)
    assert f"{np.mean(own):.1f} where" in drawn["calibration"].alt


def test_without_intervals_nothing_is_said_of_them(evaluation: Evaluation) -> None:
    page = Page(evaluation_page(evaluation))
    assert "coverage" not in page.rows["by-decade"][0]
    assert "coverage" not in evaluation.all.estimates
    assert "intervals" not in summary(evaluation)
