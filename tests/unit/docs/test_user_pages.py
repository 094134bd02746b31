from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from brainclock.config import GateSettings, PrepareSettings, load_settings
from brainclock.errors import ModelError
from brainclock.io.find import find_scans
from brainclock.io.people import read_people
from brainclock.model import folder as models
from brainclock.model.card import Cohort, ModelCard
from brainclock.predict.doctor import GOLDEN_TOLERANCE_YEARS
from brainclock.predict.flags import FLAGS
from brainclock.predict.predict import load
from brainclock.predict.table import COLUMNS
from brainclock.prepare import quality
from brainclock.prepare.quality import MEASURES
from brainclock.prepare.quality import allowed as words
from brainclock.prepare.scans import prepare_scans
from brainclock.prepare.template import SPACE
from tiny_model import GRID, build_model_folder, write_brain

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
#: Measures whose limits are no settings: none, or fixed.
FREE = {"rotation_degrees": "", "template_in_view": "", "mirror_margin": "at least 0"}


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def table(name: str, first: str) -> list[list[str]]:
    """Return the cells of the table whose head begins with a word."""
    lines = page(name).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def limits(setting: str) -> str:
    value = getattr(GateSettings(), setting)
    if isinstance(value, tuple):
        return f"{value[0]:g} to {value[1]:g}"
    return f"{'at least' if setting.startswith('min_') else 'at most'} {value:g}"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let a tiny model be the default one."""
    build_model_folder(tmp_path / "shipped" / models.DEFAULT)
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "shipped")
    load.cache_clear()
    yield tmp_path / "shipped" / models.DEFAULT
    load.cache_clear()


def test_every_measure_and_limit_is_on_the_page() -> None:
    rows = table("preparation", "measure")
    assert [names(row[0])[0] for row in rows] == list(MEASURES)
    settings = set()
    gated = quality.limits(GateSettings())
    for measure, unit, allowed, setting, meaning in rows:
        name = names(measure)[0]
        assert allowed == (words(*gated[name]) if name in gated else ""), name
        assert (meaning, unit or None) == MEASURES[name]
        if not setting:
            assert allowed == FREE[name]
            continue
        (key,) = names(setting)
        assert allowed == limits(key), name
        settings.add(key)
    assert settings == set(GateSettings.model_fields)


def test_prepared_files_are_those_on_the_page(tmp_path: Path) -> None:
    write_brain(tmp_path / "in", "sub-01", 1)
    settings = PrepareSettings(grid=GRID, bias="none", gates=GateSettings(min_contrast=-1.0))
    scans = find_scans([tmp_path / "in"], in_template=True)
    (row,) = prepare_scans(scans, tmp_path / "out", settings, progress=False)
    assert row.status == "ok"
    made = {path.name.replace("sub-01_", "KEY_") for path in (tmp_path / "out" / "sub-01").rglob("*.*")}
    listed = {names(row[0])[0] for row in table("preparation", "file in `PREPARED/sub-…/[ses-…/]anat/`")}
    listed = {name.replace("res-2", "res-8") for name in listed - {".json"}}
    images = {name for name in listed if name.endswith(".nii.gz")}  # each has a sidecar
    assert f"KEY_space-{SPACE}_res-8_desc-preproc_T1w.nii.gz" in images
    assert made == listed | {name.replace(".nii.gz", ".json") for name in images}
    for path in (tmp_path / "out").iterdir():
        assert path.is_dir() or f"`{path.name}`" in page("preparation"), path


def test_the_shipped_model_prepares_as_the_defaults_do() -> None:
    assert load_settings(DOCS / "models" / "whole-brain.toml").prepare == PrepareSettings()


def test_columns_and_flags_are_those_of_the_table() -> None:
    columns = [name for row in table("predicting", "column") for name in names(row[0])]
    assert columns == [*COLUMNS, "q_…"]
    assert [(names(row[0])[0], row[1]) for row in table("predicting", "flag")] == list(FLAGS.items())


def test_keys_are_those_on_the_page(tmp_path: Path) -> None:
    images: list[str] = []
    for number, (files, keys) in enumerate(table("predicting", "files")):
        listed = [name for name in names(files) if ".nii" in name]  # none: the same as in the row above
        images = [name.replace("…", "sub-01/ses-2/anat/sub-01_ses-2") for name in listed] or images
        folder = (tmp_path / str(number)).resolve()
        for name in images:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"")
            if "participants.tsv" in files:
                people = folder / Path(name).parts[0] / "participants.tsv"
                people.write_text("participant_id\tage\nsub-01\t40\n")
        found = {scan.path.relative_to(folder).as_posix(): scan.key for scan in find_scans([folder])}
        assert found == dict(zip(images, names(keys), strict=True))


def test_ages_are_read_as_the_page_says(tmp_path: Path) -> None:
    people = tmp_path / "participants.tsv"
    people.write_text("participant_id\tage\tsex\nsub-01\t89+\t1\nsub-02\tNaN\tF\n")
    first, second = (read_people(people)[f"sub-0{number}"][None] for number in (1, 2))
    assert (first.age.years, first.age.censored, first.sex, second.age) == (89.0, True, "n/a", None)
    people.with_suffix(".json").write_text('{"age": {"Units": "months"}, "sex": {"Levels": {"1": "male"}}}')
    people.write_text("participant_id\tage\tsex\nsub-01\t240\t1\n")
    person = read_people(people)["sub-01"][None]
    assert (person.age.years, person.sex) == (20.0, "M")


def test_the_fields_of_the_card_are_on_the_page() -> None:
    fields = [name for row in table("model_folder", "field") for name in names(row[0])]
    assert fields == list(ModelCard.model_fields)
    cohorts = next(row[1] for row in table("model_folder", "field") if row[0] == "`cohorts`")
    assert names(cohorts) == list(Cohort.model_fields)
    assert f"to {GOLDEN_TOLERANCE_YEARS:g} years" in page("model_folder")


def test_what_is_refused_is_said_so(shipped: Path) -> None:
    said = {row[0]: names(row[1])[0].replace("…", ".*") for row in table("model_folder", "what was done")}
    weights, card = (shipped / name for name in ("weights.safetensors", "model.json"))
    whole = {path: path.read_bytes() for path in (weights, card)}
    text = card.read_text()

    def refused(what: str, path: Path, content: bytes | None) -> None:
        for place, before in whole.items():
            place.write_bytes(before)
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(ModelError, match=said[what]):
            models.load_model(shipped)

    refused("a file is missing", weights, None)
    refused("the weights were changed or cut", weights, whole[weights][:-1])
    changed = text.replace('"bias": "none"', '"bias": "n4"')
    refused("`settings.prepare` was changed", card, changed.encode())
    refused("the card is cut, or no JSON", card, whole[card][:300])
    refused(
        "a field has an impossible value, or is unknown", card, text.replace('"seed"', '"sneed"').encode()
    )
    refused("another format", card, text.replace('"format": 2', '"format": 1').encode())
    with pytest.raises(ModelError, match=said["no such folder or name"]):
        models.load_model(shipped / "nothing")


def test_pages_named_in_the_source_exist() -> None:
    for path in (ROOT / "src").rglob("*"):
        if path.suffix in (".py", ".md"):
            for named in re.findall(r"[` ](docs/[a-z_/]+\.md)", path.read_text(encoding="utf-8")):
                assert (ROOT / named).is_file(), f"{path}: {named}"


def test_links_to_headings_lead_somewhere() -> None:
    for path in DOCS.glob("*.md"):
        for target, anchor in re.findall(r"\]\(([a-z_]+\.md)#([^)]+)\)", path.read_text(encoding="utf-8")):
            heads = re.findall(r"^#+ (.*)$", (DOCS / target).read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{path.name}: {target}#{anchor}"
