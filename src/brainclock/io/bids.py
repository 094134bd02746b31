"""Names after the Brain Imaging Data Structure (BIDS), read and built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import brainclock
from brainclock.io.atomic import write_json, write_text
from brainclock.io.read import read_json

BIDS_VERSION = "1.10.0"
CODE_URL = "https://brainclock.readthedocs.io"

#: What BIDS has no names for yet: tables and pages of a run, transforms, maps. For validators.
_NOT_BIDS = (
    *("/run.json", "/predictions.*", "/embeddings.*", "/preparation.*", "/explanations.*", "/regions.*"),
    *(
        "/agreement.*",
        "/groups.*",
        "/groups",
        "/report",
        "/evaluation.*",
        "/truth.*",
        "/volumes.*",
        "/acquisition.json",
    ),
    *("*.html", "figures", "*_predictions.*", "*_xfm.txt", "*_agemap.*", "*_change.*"),
)
_README = """{name}

Made by brainclock {version} ({url}). The JSON beside each table and image says what it holds; run.json
says how it was made: settings, versions, and the inputs with their hashes. Hidden files let a run that was
stopped go on. Not a medical device.
"""

#: Entities in the order in which BIDS writes them; others follow, by name.
ENTITIES = (
    *("sub", "ses", "sample", "task", "acq", "ce", "trc", "stain", "rec", "dir", "run", "mod", "echo"),
    *("part", "proc", "hemi", "src", "from", "to", "mode", "space", "split", "res", "den", "label", "desc"),
)
_ORDER = {entity: place for place, entity in enumerate(ENTITIES)}
_NAME = re.compile(
    r"(?P<entities>sub-[A-Za-z0-9+]+(?:_[A-Za-z]+-[A-Za-z0-9+]+)*)_(?P<suffix>[A-Za-z0-9]+)"
    r"(?P<extension>\.[A-Za-z0-9.]+)"
)


@dataclass(frozen=True, slots=True)
class Name:
    """A file name in parts.

    Parameters
    ----------
    entities : mapping of str to str
        ``{"sub": "01", "ses": "2", "desc": "brain"}``.
    suffix : str
        ``T1w``, ``mask``.
    extension : str
        ``.nii.gz``.
    """

    entities: Mapping[str, str]
    suffix: str
    extension: str


def parse_name(name: str) -> Name | None:
    """Return the parts of a file name, whatever the order of its entities; None where it isn't BIDS."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return Name(parse_stem(match["entities"]), match["suffix"], match["extension"])


def build_stem(entities: Mapping[str, str]) -> str:
    """Return ``sub-01_ses-2_run-1``: the entities in the order of BIDS."""
    ordered = sorted(entities, key=lambda entity: (_ORDER.get(entity, len(_ORDER)), entity))
    return "_".join(f"{entity}-{entities[entity]}" for entity in ordered)


def build_name(entities: Mapping[str, str], suffix: str, extension: str) -> str:
    """Return ``sub-01_ses-2_desc-brain_mask.nii.gz``."""
    return f"{build_stem(entities)}_{suffix}{extension}"


def parse_stem(stem: str) -> dict[str, str]:
    """Return the entities of ``sub-01_ses-2`` (what `build_stem` gives, and every key of a scan)."""
    return dict(piece.split("-", 1) for piece in stem.split("_"))


def derivative_path(
    out: Path, key: str, entities: Mapping[str, str], suffix: str, extension: str, *, kind: str = "anat"
) -> Path:
    """Return where a file made from a scan lies: ``OUT/sub-01/ses-2/anat/sub-01_ses-2_desc-…``.

    Parameters
    ----------
    out : Path
        Folder of the derivative dataset.
    key : str
        The scan's key.
    entities : mapping of str to str
        Added to those of the key: ``{"space": "MNI152NLin2009aSym", "desc": "preproc"}``.
    suffix, extension : str
        ``T1w``, ``.nii.gz``.
    kind : str
        Folder of the modality.
    """
    everything = {**parse_stem(key), **entities}
    folder = out / f"sub-{everything['sub']}"
    if "ses" in everything:
        folder = folder / f"ses-{everything['ses']}"
    return folder / kind / build_name(everything, suffix, extension)


def write_dataset_description(
    out: Path, name: str, *, sources: Sequence[Mapping[str, str]] = (), kind: str = "derivative"
) -> None:
    """Write what makes a folder a BIDS dataset: ``dataset_description.json``, ``README``, ``.bidsignore``.

    Parameters
    ----------
    out : Path
        Folder of the dataset.
    name : str
        What it is, in a few words.
    sources : sequence of mapping
        The datasets that it was made from, each with ``URL``, ``DOI`` or ``Version``.
    kind : {'derivative', 'raw'}

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    generator = {"Name": "brainclock", "Version": brainclock.__version__, "CodeURL": CODE_URL}
    description: dict[str, object] = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "GeneratedBy": [generator],
    }
    if sources:
        description["SourceDatasets"] = sources
    write_json(out / "dataset_description.json", description)
    write_text(out / "README", _README.format(name=name, version=brainclock.__version__, url=CODE_URL))
    write_text(out / ".bidsignore", "\n".join((*_NOT_BIDS, "")))


def describe_source(dataset: Path) -> dict[str, str]:
    """Return an entry of ``SourceDatasets`` for a dataset on disk: where it lies, and its DOI if it says one.

    Raises
    ------
    InputError
        ``dataset_description.json`` is there and cannot be read.
    """
    source = {"URL": dataset.resolve().as_uri()}
    path = dataset / "dataset_description.json"
    described = read_json(path) if path.is_file() else {}
    doi = described.get("DatasetDOI") if isinstance(described, dict) else None
    return {**source, "DOI": doi} if isinstance(doi, str) and doi else source
