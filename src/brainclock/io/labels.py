"""Where the label map of a scan lies: made by MUSE or DLMUSE, named as BIDS derivatives are."""

from __future__ import annotations

from pathlib import Path

from brainclock.errors import InputError
from brainclock.io.bids import parse_name

#: Entities of a T1w image that its label map need not share.
_FREE = ("desc", "space", "res")


def find_labels(image: Path) -> Path | None:
    """Return the label map of a scan, or None.

    It is called ``sub-01[_ses-1]_desc-dlmuse_dseg.nii.gz`` (or ``desc-muse``), shares the entities of the
    image, and lies beside it or in the same folder of a dataset of derivatives, as in
    ``derivatives/dlmuse/sub-01/[ses-1/]anat/``. It is in the scanner's own space, on any grid.

    Parameters
    ----------
    image : Path
        A T1w image; one whose name is not BIDS has no label map.

    Raises
    ------
    InputError
        There are several.
    """
    name = parse_name(image.name)
    if name is None:
        return None
    wanted = {entity: label for entity, label in name.entities.items() if entity not in _FREE}
    found = []
    for folder in _folders(image):
        for path in sorted(folder.glob("*_dseg.nii*")):
            other = parse_name(path.name)
            if other is None or "space" in other.entities or not _is_muse(other.entities.get("desc", "")):
                continue
            if {entity: label for entity, label in other.entities.items() if entity != "desc"} == wanted:
                found.append(path)
    if len(found) > 1:
        names = ", ".join(str(path) for path in found)
        raise InputError(str(image), f"the label maps {names}", "one", "Remove all but one.")
    return found[0] if found else None


def _is_muse(desc: str) -> bool:
    return desc.casefold().endswith("muse")


def _folders(image: Path) -> list[Path]:
    """Return where the label map of an image may lie."""
    folder = image.parent.resolve()
    person = next((place for place in (folder, *folder.parents) if place.name.startswith("sub-")), None)
    if person is None:
        return [folder]
    dataset = person.parent
    beside = dataset.parent if dataset.parent.name == "derivatives" else dataset / "derivatives"
    others = sorted(beside.iterdir()) if beside.is_dir() else []
    return [folder, *(other / folder.relative_to(dataset) for other in others if other != dataset)]
