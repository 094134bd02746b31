from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from brainclock.config import PrepareSettings, RunSettings
from brainclock.io.atomic import write_json
from brainclock.io.tables import write_table
from brainclock.model.card import Cohort, ModelCard
from brainclock.predict.table import COLUMNS
from brainclock.report.cohort import ROWS, write_cohort_page
from browser import run_in_page
from html_page import Page

SCANS = 3000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a run of many scans: every 50th failed, every 7th age lies outside its interval."""
    out = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(1)
    cohort = Cohort(name="A", scans=9, participants=9, age_range=(20, 80), sex={}, ages_by_decade={"20": 9})
    card = ModelCard(name="none", settings=RunSettings(), cohorts=(cohort,))
    run = {"command": "predict", "model": card.facts().model_dump(mode="json"), "kept_more": False}
    settings = PrepareSettings().model_dump(mode="json")
    write_json(out / "run.json", {**run, "settings": settings, "versions": {}, "inputs": {}})
    rows = []
    for number in range(SCANS):
        row = {"participant_id": f"sub-{number:04}", "key": f"sub-{number:04}", "path": "a.nii.gz"}
        row |= {"site": f"s{number % 40:02}", "group": ("HC", "AD")[number % 2], "sex": "F"}
        if number % 50 == 0:
            rows.append({**row, "status": "failed", "reason": "template_r2: 0.1, allowed at least 0.4: so."})
            continue
        age = round(float(rng.uniform(20, 80)), 2)
        gap = 12.0 if number % 7 == 0 else round(float(rng.uniform(-9, 9)), 3)
        ages = {"age": age, "predicted_age": age + gap, "brain_age_gap": gap}
        ends = {
            "predicted_age_low": age + gap - 10,
            "predicted_age_high": age + gap + 10,
            "interval_level": 0.9,
        }
        contrast = 0.9 if number == 11 else float(rng.uniform(0.15, 0.25))
        rows.append(
            {
                **row,
                **ages,
                **ends,
                "interval_level": 0.9,
                "status": "ok",
                "age_censored": False,
                "q_contrast": contrast,
            }
        )
    write_table(out / "predictions.tsv", rows, [*COLUMNS, "q_contrast"])
    write_cohort_page(out)
    return out


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    return (run / "report" / "index.html").read_text(encoding="utf-8")


def lines_of(text: str) -> list[list[str]]:
    found = re.search(r'<script type="application/json" id="lines">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    lines: list[list[str]] = json.loads(found[1])
    return lines


def test_every_scan_is_there_once_failures_first(text: str) -> None:
    lines = lines_of(text)
    assert len({line[1] for line in lines}) == len(lines) == SCANS
    states = [line[0] for line in lines]
    assert states == sorted(states, key=["failed", "look", "ok"].index)
    failed = {f"sub-{number:04}" for number in range(0, SCANS, 50)}
    assert {line[1] for line in lines if line[0] == "failed"} == failed
    look = {line[1]: line[2] for line in lines if line[0] == "look"}
    outside = {f"sub-{number:04}" for number in range(0, SCANS, 7)} - failed
    assert {key for key, words in look.items() if "age outside its interval" in words} == outside
    assert [key for key, words in look.items() if "unusual contrast" in words] == ["sub-0011"]


def test_the_page_of_many_scans_is_small_and_shows_the_first(text: str) -> None:
    page = Page(text)
    assert len(text) < 1_200_000
    assert len(page.rows["scans"]) == ROWS + 1
    assert f"{SCANS - SCANS // 50} of {SCANS} scans" in page.words
    assert f"template r2 {SCANS // 50}" in page.words
    assert {"ages", "coverage", "gap-by-group", "gap-by-site"} <= set(page.ids)
    (sites,) = (image["alt"] for image in page.images if "by site" in (image["alt"] or ""))
    assert sites is not None
    assert "10 more with fewer people are not drawn." in sites


def test_it_can_be_sorted_filtered_and_paged(run: Path, tmp_path: Path) -> None:
    script = """
        const keys = () => [...document.querySelectorAll("#scans tbody th")].map((cell) => cell.textContent);
        const rows = () => [...document.querySelectorAll("#scans tbody tr")];
        const column = (n) => rows().map((row) => row.cells[n].textContent);
        const click = (n) => document.querySelectorAll("#scans thead button")[n].click();
        const choose = (id, value) => {
            const field = document.getElementById(id);
            field.value = value;
            field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input"));
        };
        const said = () => document.getElementById("found").textContent;
        const told = { size: keys().length };
        click(2);
        told.young = column(2);
        told.order = document.querySelectorAll("#scans thead th")[2].getAttribute("aria-sort");
        click(2);
        told.old = column(2);
        document.getElementById("after").click();
        told.next = [document.getElementById("page").textContent, keys().length];
        choose("state", "failed");
        told.failed = said();
        choose("site", "s10");
        told.site = [said(), [...new Set(column(8))]];
        choose("state", "");
        choose("site", "");
        choose("search", "sub-0011 UNUSUAL");
        told.search = keys();
        choose("search", "nobody");
        told.nobody = [said(), document.getElementById("after").disabled];
        return told;
    """
    told, console = run_in_page(run / "report" / "index.html", script, tmp_path)
    assert console == []
    ages = [float(row[3].replace("−", "-")) for row in lines_of(text_of(run)) if row[3]]
    assert told["size"] == ROWS
    assert [float(cell.replace("−", "-")) for cell in told["young"]] == sorted(ages)[:ROWS]
    assert [float(cell) for cell in told["old"]] == sorted(ages, reverse=True)[:ROWS]
    assert told["order"] == "ascending"
    assert told["next"] == [f"{ROWS + 1} to {2 * ROWS} of {SCANS}", ROWS]
    assert told["failed"] == f"{SCANS // 50} of {SCANS} scans"
    assert told["site"][1] == ["s10"]
    assert told["search"] == ["sub-0011"]
    assert told["nobody"] == [f"0 of {SCANS} scans", True]


def text_of(run: Path) -> str:
    return (run / "report" / "index.html").read_text(encoding="utf-8")
