"""From what the user points at to the list of scans: files, folders, BIDS datasets, tables of paths."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from brainclock.errors import InputError
from brainclock.io.bids import Name, parse_name
from brainclock.io.cells import UNKNOWN, participant_label, session_label
from brainclock.io.keys import Origin, identify
from brainclock.io.nearby import Surroundings, says_stripped
from brainclock.io.people import (
    Person,
    describe,
    find_column,
    find_person,
    read_coding,
    read_people,
    read_persons,
)
from brainclock.io.scan import Scan
from brainclock.io.tables import Row, read_table

logger = logging.getLogger("brainclock")

PATH_COLUMNS = ("path", "file", "filename", "t1w")
_TABLES = (".tsv", ".csv")
_IMAGE = re.compile(r"(?P<stem>.+)\.nii(\.gz)?", re.IGNORECASE)
#: Folders of a BIDS dataset that are datasets of their own, or none.
_BESIDE = frozenset(("derivatives", "sourcedata", "code", "stimuli", "phenotype"))
#: What a loose file that is no T1w image often ends in.
_OTHER = re.compile(
    r"(^|[^a-z])(seg|aseg|dseg|probseg|aparc|parc|labels?|xfm|warp|t2w?|t2star|flair|pdw?|bold|dwi|adc|asl|"
    r"swi|sbref|fmap|phasediff|magnitude[12]?)$|mask$"
)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, and what a table that lists it says."""

    path: Path
    participant_id: str | None = None
    session_id: str | None = None
    mask_path: Path | None = None
    person: Person = field(default_factory=Person)
    listed: str | None = None

    def origin(self, around: Surroundings) -> Origin:
        """Return what is known of the file; a table that names people names each of them once."""
        cohort = around.cohort(self.path) if self.participant_id is None else None
        return Origin(self.participant_id, self.session_id, cohort)


def find_scans(
    inputs: Sequence[str | Path],
    *,
    mask: Path | None = None,
    in_template: bool = False,
    participants: Path | None = None,
    output: Path | None = None,
) -> list[Scan]:
    """Find the T1w images in what was given.

    Parameters
    ----------
    inputs : sequence of str or Path
        Images; folders, searched to the bottom; BIDS datasets, raw or derivatives (``derivatives/`` of a
        raw dataset only if it is given itself; of several versions of one image in a folder the least
        processed); tables (TSV, CSV) with a column ``path`` (or ``file``, ``filename``, ``t1w``), relative
        to the table, and if known ``participant_id``, ``session_id``, ``age``, ``sex``, ``site``,
        ``group``, ``mask``.
    mask : Path or None
        Brain mask of the scan, if it is a single one.
    in_template : bool
        All lie in MNI152 space. Otherwise ``space-MNI152…`` in the name says so.
    participants : Path or None
        Table of people; None takes ``participants.tsv`` and ``sessions.tsv`` beside the scans.
    output : Path or None
        Where results go: what an earlier run left there, inside one of the inputs, is no scan of this run.

    Returns
    -------
    list of Scan
        Sorted by key, each file once, the same whatever the order of ``inputs``.

    Raises
    ------
    InputError
        An input is missing or holds no T1w image; a table cannot be used; a mask is given with several
        scans.

    Examples
    --------
    >>> scans = brainclock.find_scans(["BIDS_DATASET"])
    >>> len(scans)
    16
    >>> scans[0].participant_id, scans[0].age, scans[0].sex
    ('sub-01', 20.0, 'F')
    """
    found: dict[Path, _Found] = {}
    for given in inputs:
        for one in _look_into(Path(given), output):
            _add(found, one)
    if not found:
        raise InputError("The input", "no T1w image", _LOOKED_FOR, "Give an image, a folder or a table.")
    around = Surroundings()
    identities = identify({path: one.origin(around) for path, one in found.items()})
    people = None if participants is None else read_people(participants)
    masks = _masks_beside(found)
    scans = []
    for path, who in identities.items():
        one, name = found[path], parse_name(path.name)
        if people is None:
            person = around.person(path, who.listed_as, who.session_id)
        else:
            person = find_person(people, who.participant_id, who.session_id)
        scan = Scan(
            key=who.key,
            participant_id=who.participant_id,
            path=path,
            session_id=who.session_id,
            mask_path=one.mask_path or masks.get(path),
            in_template=in_template or _entity(name, "space").startswith("MNI152"),
            stripped=_entity(name, "desc") == "brain" or says_stripped(path),
        )
        scans.append(describe(scan, one.person.or_else(person)))
    if participants is not None and all(scan.age is None for scan in scans):
        logger.warning("%s: it gives an age for none of the %d scans.", participants, len(scans))
    if mask is not None:
        scans = [_with_mask(scans, mask)]
    return sorted(scans, key=lambda scan: scan.key)


_LOOKED_FOR = (
    "sub-*/[ses-*/]anat/*_T1w.nii[.gz] in a BIDS dataset, or .nii[.gz] files that are not masks, label maps "
    "or other contrasts"
)


def _look_into(given: Path, output: Path | None) -> list[_Found]:
    """Return what one input holds; the folder ``output`` inside it is passed over."""
    if given.is_dir():
        folder = given.resolve()
        passed = set() if output is None else {output.resolve()} - {folder}
        images = list(_walk(folder, passed, strict=_in_dataset(folder)))
        found = [_Found(path) for path in _least_processed(images)]
        if not found:
            seen = f"{len(images)} other images and no T1w image" if images else "no T1w image"
            raise InputError(str(given), seen, _LOOKED_FOR, "Check the folder, or list the files in a table.")
        return found
    if not given.exists() and not given.is_symlink():
        expected = "an image, a folder or a table"
        raise InputError(str(given), "no such file or folder", expected, "Check the path.")
    if given.suffix.casefold() in _TABLES:
        return _read_list(given)
    if _is_image(given) and not _is_t1w(given):
        logger.warning("%s: by its name no T1w image, left out. List it in a table if it is one.", given)
        return []
    return [_Found(_absolute(given))]


def _add(found: dict[Path, _Found], one: _Found) -> None:
    """Keep a file once; what a table says of it wins, and two tables must agree."""
    before = found.get(one.path)
    if before is None or before.listed is None:
        found[one.path] = one
    elif one.listed is not None and replace(one, listed=before.listed) != before:
        what = f"{one.path} again, described differently in {before.listed}"
        raise InputError(one.listed, what, "each image once", "Keep one of the two.")


def _walk(folder: Path, visited: set[Path], *, strict: bool = False) -> Iterator[Path]:
    """Yield the images below a resolved folder; in a BIDS dataset (``strict``) only those with BIDS names."""
    if folder in visited:  # a link that leads back
        return
    visited.add(folder)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            str(folder), str(error.strerror), "a readable folder", "Check its permissions."
        ) from None
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    strict = strict or any(entry.name == "dataset_description.json" for entry in entries)
    dataset = strict or any(entry.name.startswith("sub-") and entry.is_dir() for entry in entries)
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir():
            if not (dataset and entry.name in _BESIDE):
                real = path.resolve() if entry.is_symlink() else path
                yield from _walk(real, visited, strict=strict)
        elif _is_image(path) and (parse_name(path.name) is not None or not strict):
            yield path


def _in_dataset(folder: Path) -> bool:
    """Whether a folder is that of a participant, or of a session, in a BIDS dataset."""
    above = folder.parent.parent if folder.name.startswith("ses-") else folder.parent
    own = folder.parent if folder.name.startswith("ses-") else folder
    return own.name.startswith("sub-") and (above / "dataset_description.json").is_file()


def _is_image(path: Path) -> bool:
    return _IMAGE.fullmatch(path.name) is not None


def _is_t1w(path: Path) -> bool:
    """Whether the name may be that of a T1w image."""
    name = parse_name(path.name)
    if name is not None:
        return name.suffix.casefold() in ("t1w", "t1")
    match = _IMAGE.fullmatch(path.name)
    return match is not None and _OTHER.search(match["stem"].casefold()) is None


def _least_processed(images: Sequence[Path]) -> list[Path]:
    """Return the T1w images, one version of each: the scanner's space, the whole head where there is one."""
    kept: dict[tuple[Path, object], Path] = {}
    for path in sorted(filter(_is_t1w, images), key=_processing):
        first = kept.setdefault((path.parent, _head(path)), path)
        if first != path:
            logger.warning("%s: left out; %s shows the same head.", path, first.name)
    return list(kept.values())


def _processing(path: Path) -> tuple[bool, int, str]:
    """Return how far an image is from what the scanner gave, for sorting."""
    name = parse_name(path.name)
    order = {"": 0, "preproc": 1, "brain": 3}.get(_entity(name, "desc"), 2)
    return bool(_entity(name, "space")), order, path.name


def _head(path: Path) -> object:
    """Return what all versions of an image in a folder share."""
    name = parse_name(path.name)
    return path.name if name is None else _without(name, "space", "res", "desc")


def _read_list(table: Path) -> list[_Found]:
    """Return the images that a table lists."""
    rows = read_table(table)
    column = find_column(rows[0], *PATH_COLUMNS) if rows else None
    if column is None:
        columns = f"the columns {', '.join(rows[0])}" if rows else "no rows"
        expected = f"a column {', '.join(PATH_COLUMNS[:-1])} or {PATH_COLUMNS[-1]}"
        fix = "Add one; a table of people and ages goes with --ages."
        raise InputError(str(table), columns, expected, fix)
    who, when, mask = (find_column(rows[0], name) for name in ("participant_id", "session_id", "mask"))
    spelled: dict[str | None, str] = {}
    found = []
    for row, person in zip(rows, read_persons(rows, read_coding(table)), strict=True):
        image = _path_in(row, column)
        if image is None:
            fix = "Fill it or remove the row."
            raise InputError(row.where(column), "no path", "the path of an image", fix)
        participant = None
        if who is not None and row[who].casefold() not in UNKNOWN:
            participant = participant_label(row[who], where=row.where(who))
            if spelled.setdefault(participant, row[who]) != row[who]:
                found_here = f"{row[who]!r} besides {spelled[participant]!r}, which are the same to BIDS"
                fix = "Name people by letters and digits alone."
                raise InputError(row.where(who), found_here, "one spelling for one person", fix)
        session = None if when is None else session_label(row[when], where=row.where(when))
        found.append(_Found(image, participant, session, _path_in(row, mask), person, row.where()))
    return found


def _path_in(row: Row, column: str | None) -> Path | None:
    """Return the path in a cell, relative to the table."""
    if column is None or row[column].casefold() in UNKNOWN:
        return None
    return _absolute(row.table.parent / row[column])


def _masks_beside(images: Iterable[Path]) -> dict[Path, Path]:
    """Return the brain masks of BIDS derivatives: the same entities, ``desc-brain``, suffix ``mask``."""
    masks: dict[tuple[Path, object], Path] = {}
    for folder in {image.parent for image in images}:
        for path in sorted(folder.glob("*_desc-brain*_mask.nii*")):
            name = parse_name(path.name)
            if name is not None and name.entities["desc"] == "brain":
                masks[folder, _without(name, "desc")] = path
    names = {image: parse_name(image.name) for image in images}
    keys = {
        image: (image.parent, _without(name, "desc")) for image, name in names.items() if name is not None
    }
    return {image: masks[key] for image, key in keys.items() if key in masks}


def _without(name: Name, *entities: str) -> frozenset[tuple[str, str]]:
    return frozenset((entity, label) for entity, label in name.entities.items() if entity not in entities)


def _entity(name: Name | None, entity: str) -> str:
    return "" if name is None else name.entities.get(entity, "")


def _with_mask(scans: Sequence[Scan], mask: Path) -> Scan:
    if len(scans) != 1:
        fix = "List the scans in a table with a column mask."
        raise InputError(f"--mask {mask}", f"{len(scans)} scans", "a single scan", fix)
    if not mask.is_file():
        raise InputError(f"--mask {mask}", "no such file", "a brain mask", "Check the path.")
    return replace(scans[0], mask_path=_absolute(mask))


def _absolute(path: Path) -> Path:
    """Return the path from the root; a link to a file stays a link, for its name says whose it is."""
    return path.parent.resolve() / path.name
