"""Every block of commands and of Python on the pages for users runs, in their order, on simulated people.

Python is run as it stands. Commands are run as they stand but for ``--workers``, which would make processes
without the tiny model; for trainings, which get settings that take a second; and for the bias field, which
is left out.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import brainclock
from brainclock.cli.main import main
from brainclock.config import PrepareSettings
from brainclock.io.nifti import write_volume
from brainclock.io.tables import write_table
from brainclock.io.volume import Volume
from brainclock.prepare import chain
from brainclock.prepare.prepared import PreparedScan
from brainclock.prepare.template import load_template
from brainclock.simulate.head import simulate_brain
from simulated_study import HEAD_AGE, HEAD_SEED, HEAD_SPACING_MM, write_study
from tiny_model import build_model_folder, write_brain

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *(
        DOCS / f"{name}.md"
        for name in (
            "index",
            "predicting",
            "preparation",
            "evaluating",
            "gap_analysis",
            "explaining",
            "training",
            "model_folder",
            "rank_n_contrast",
            "simulating",
        )
    ),
    *sorted((DOCS / "tutorials").glob("*.md")),
]
_BLOCK = re.compile(r"^```(?P<language>python|sh|bash|)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

#: Commands that are not run here, by what is in them, and why.
ELSEWHERE = {
    "--scheduler": "it needs a cluster: tests/unit/execution has one",
    "brainclock simulate": "seconds a head: tests/end_to_end/test_simulate.py",
    "--columns adni": "its tables may not be passed on: tests/unit/predict/test_study.py has their columns",
    "--stability": "six heads: tests/unit/predict/test_stability.py",
}
#: What is added to a command.
QUICKER = {"train": ("--config", "run.toml"), "prepare": ("--set", "prepare.bias=none")}
#: Pages whose Python runs elsewhere, on data in which something is to be found.
PYTHON_ELSEWHERE = {"gap_analysis": "test_gap_analysis_page.py"}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files and folders that the pages name."""
    folder = write_study(tmp_path_factory.mktemp("pages"))
    for name in ("ANOTHER_DATASET", "HEALTHY_DATASET", "NEW_SCANS"):
        shutil.copytree(folder / "BIDS_DATASET", folder / name)
    for number in range(20):  # healthy people of participants.tsv
        person = f"sub-{2 * number + 1:03}"
        write_brain(folder / "CONTROLS" / person / "anat", f"{person}_space-MNI152NLin2009aSym", number)
    for number in (1, 2, 3):
        shutil.copy(folder / "sub-01_T1w.nii.gz", folder / f"visit-{number}.nii.gz")
    shutil.copy(folder / "sub-01_T1w.nii.gz", folder / "scan.nii.gz")
    build_model_folder(folder / "my-model")
    build_model_folder(folder / "MODEL")
    _write_tables(folder)
    _write_images(folder)
    return folder


def _write_tables(folder: Path) -> None:
    """Write a list of scans with the table of their people, and volumes and scores into participants.tsv."""
    rng = np.random.default_rng(2)
    scan = "BIDS_DATASET/sub-01/anat/sub-01_space-MNI152NLin2009aSym_T1w.nii.gz"
    write_table(folder / "list.tsv", [{"path": scan, "participant_id": "sub-01"}], ["path", "participant_id"])
    write_table(folder / "people.tsv", [{"participant_id": "sub-01", "age": 41}], ["participant_id", "age"])
    head, *lines = (folder / "participants.tsv").read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]
    for row in rows:
        ill = row["group"] == "AD"
        row["cdr"] = str(rng.choice([0.5, 1, 2]) if ill else rng.choice([0, 0, 0, 0.5]))
        row["brain_ml"] = f"{rng.normal(1000 if ill else 1080, 60):.1f}"
        row["ventricles_ml"] = f"{rng.normal(60 if ill else 40, 12):.1f}"
    write_table(folder / "participants.tsv", rows, list(rows[0]))
    ages = {row["participant_id"]: row["age"] for row in rows}
    shutil.copy(folder / "predictions.tsv", folder / "anybody.tsv")
    head, *lines = (folder / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    text = "\n".join([f"{head}\tage", *(f"{line}\t{ages[line.split()[0]]}" for line in lines)])
    for name in ("OUT", "RESULTS"):
        (folder / name).mkdir()
        (folder / name / "predictions.tsv").write_text(f"{text}\n", encoding="utf-8")
    known = folder / "BIDS_DATASET" / "participants.tsv"
    head, *lines = known.read_text(encoding="utf-8").splitlines()
    more = ["HC\t29"] * (len(lines) - 4) + ["AD\t22"] * 4
    text = "\n".join([f"{head}\tgroup\tmmse", *("\t".join(pair) for pair in zip(lines, more, strict=True))])
    known.write_text(f"{text}\n", encoding="utf-8")


def _write_images(folder: Path) -> None:
    """Write a mask of the raw head, and an atlas in template space."""
    brain = simulate_brain(HEAD_SEED, age=HEAD_AGE, spacing_mm=HEAD_SPACING_MM)
    mask = (brain.data > 0).astype(np.uint8)
    write_volume(folder / "brain_mask.nii.gz", mask, brain.affine, dtype=np.uint8)
    template = load_template()
    atlas = (template.mask * (1 + (np.arange(template.mask.shape[0]) > 90)[:, None, None])).astype(np.uint8)
    write_volume(folder / "atlas_dseg.nii.gz", atlas, template.affine, dtype=np.uint8, space="template")
    names = [{"index": 1, "name": "left"}, {"index": 2, "name": "right"}]
    write_table(folder / "atlas_dseg.tsv", names, ["index", "name"])


@pytest.fixture(scope="module")
def prepared_once() -> Iterator[None]:
    """Prepare each scan once, however many pages begin with it."""
    kept: dict[tuple[object, ...], PreparedScan] = {}
    prepare = chain.prepare_volume

    def prepare_volume(volume: Volume, settings: PrepareSettings, **options: object) -> PreparedScan:
        mask = options.get("mask")
        key = (
            volume.data.tobytes(),
            volume.affine.tobytes(),
            settings.digest(),
            None if mask is None else np.asarray(mask).tobytes(),
            options.get("in_template"),
            options.get("stripped"),
        )
        if key not in kept:
            kept[key] = prepare(volume, settings, **options)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brainclock, "prepare_volume", prepare_volume)  # before it can be looked up below
        patch.setattr(chain, "prepare_volume", prepare_volume)
        yield


@pytest.mark.usefixtures("tiny_default", "prepared_once")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(
    page: Path,
    everything: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    folder = shutil.copytree(everything, tmp_path / "pages")
    monkeypatch.chdir(folder)
    values: dict[str, object] = {}
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["language"] == "python":
            if page.stem not in PYTHON_ELSEWHERE:
                exec(compile(block["text"], page.name, "exec"), values)  # noqa: S102  our own page
            continue
        for line in commands(block["text"]):
            code = main(line)
            said = capfd.readouterr()
            assert code == 0, f"brainclock {shlex.join(line)}: {said.err}{said.out}"
    check(values)


def commands(text: str) -> Iterator[list[str]]:
    """Each command of a block that is run here, as its words after ``brainclock``."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] != ["brainclock"] or any(part in line for part in ELSEWHERE):
            continue
        if "--workers" in words:
            place = words.index("--workers")
            del words[place : place + 2]
        yield [*words[1:], *QUICKER.get(words[1], ())]


def check(values: dict[str, object]) -> None:
    """What the pages promise of the names that they make."""
    if isinstance(losses := values.get("losses"), list):
        assert losses[-1] < losses[0] - 0.5
    if isinstance(predictions := values.get("predictions"), list):
        assert {one.brain_age.status for one in predictions} == {"ok"}
    if (answer := values.get("answer")) is not None:
        assert answer.status == "ok"  # type: ignore[attr-defined]
    if (analysis := values.get("analysis")) is not None:
        found = next(f for f in analysis.findings if f.measure == "difference (years)")  # type: ignore[attr-defined]
        assert found.low < 6 < found.high


def test_what_is_run_elsewhere_is_still_on_the_pages() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert not [part for part in ELSEWHERE if part not in text]
    assert not [
        name for name, test in PYTHON_ELSEWHERE.items() if not Path(__file__).with_name(test).exists()
    ]
