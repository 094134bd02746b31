from __future__ import annotations

from pathlib import Path

import pytest

from brainclock.config import PrepareSettings
from brainclock.model.card import ModelFacts
from brainclock.model.folder import load_model
from brainclock.report.references import SOURCES, methods
from brainclock.report.run_folder import RunFacts
from tiny_model import build_model_folder


@pytest.fixture
def model(tmp_path: Path) -> ModelFacts:
    return load_model(build_model_folder(tmp_path / "model")).card.facts()


def facts_of(model: ModelFacts, **settings: object) -> RunFacts:
    versions = {"brainclock": "9.8.7", "deepbet": "6.5", "SimpleITK": "4.3"}
    return RunFacts(Path("out"), model, PrepareSettings.model_validate(settings), versions, True)


def test_what_was_done_is_said_and_cited_and_nothing_else(model: ModelFacts) -> None:
    whole = methods(facts_of(model))
    for said in ("brainclock 9.8.7", "deepbet 6.5", "SimpleITK 4.3", "40 healthy people", model.identity):
        assert said in whole.text
    assert whole.sources[:2] == (SOURCES["crete"], SOURCES["zha"])
    assert SOURCES["vovk"] not in whole.sources, "this model has no intervals"
    assert "Rank-N-Contrast" in whole.text
    less = methods(facts_of(model, bias="none"), mapped=False)
    assert set(whole.sources) - set(less.sources) == {SOURCES[k] for k in ("tustison", "wang", "selvaraju")}
    assert "N4" not in less.text


def test_a_model_of_another_objective_is_not_said_to_be_contrastive(model: ModelFacts) -> None:
    told = methods(facts_of(model.model_copy(update={"objective": "l1"})))
    assert "trained with l1" in told.text
    assert SOURCES["zha"] not in told.sources


def test_the_papers_are_those_of_the_citation_file() -> None:
    citation = (Path(__file__).resolve().parents[3] / "CITATION.cff").read_text(encoding="utf-8")
    for paper in ("crete", "zha"):
        number = SOURCES[paper].rsplit("arXiv:", 1)[1]
        assert f'value: "arXiv:{number}"' in citation
