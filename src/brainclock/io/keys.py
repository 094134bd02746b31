"""A name for each scan: unique in a run, safe as a file name, and always a list of BIDS entities.

A BIDS name keeps its entities, so that adding scans to a dataset renames none. ``space`` and ``desc``, and
the folders above, come in (as ``src-…``) only where two names would be the same otherwise. A loose file
becomes ``sub-<its name>``. Two people of two cohorts who share a name are told apart by their cohorts.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brainclock.io.bids import build_stem, parse_name

#: What was done to an image, not which image it is.
_PROCESSING = ("space", "res", "desc", "label")
_MAX_LENGTH = 120
#: ``sub-01/ses-1/anat/``
_DEPTH = 3
_CONTRAST = re.compile(r"(?<=.)[-_. ]+t1w?$", re.IGNORECASE)
_ENTITY = {
    "sub": re.compile(r"(?:^|_)sub-([A-Za-z0-9+]+)"),
    "ses": re.compile(r"(?:^|_)ses-([A-Za-z0-9+]+)"),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a file besides its path.

    Parameters
    ----------
    participant_id, session_id : str or None
        ``sub-01``, ``ses-2``, where a table gives them.
    cohort : Path or None
        Folder within which a name means one person: that of ``participants.tsv``.
    """

    participant_id: str | None = None
    session_id: str | None = None
    cohort: Path | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Which scan it is.

    Parameters
    ----------
    key : str
        ``sub-01_ses-2_run-1``.
    participant_id : str
        ``sub-01``, or ``sub-ixi01`` where another cohort has a ``sub-01`` too.
    session_id : str or None
        ``ses-2``.
    listed_as : str
        The participant in the tables of the cohort: ``sub-01``.
    """

    key: str
    participant_id: str
    session_id: str | None
    listed_as: str


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a path says by itself.

    ``entities`` make the key. ``tail`` may tell it from others, nearest first: what the key leaves out of
    the name, then the folders. ``loose``: nothing but the name of the file says whose it is.
    """

    path: Path
    entities: Mapping[str, str]
    tail: tuple[str, ...]
    loose: bool = False

    def told_apart(self, piece: str) -> Mapping[str, str]:
        """Return the entities with a piece of the tail."""
        if self.loose:
            return {"sub": piece + _letters(_stem(self.path))}
        source = self.entities.get("src", "") + piece
        return {**self.entities, "src": source} if source else self.entities


def identify(origins: Mapping[Path, Origin]) -> dict[Path, Identity]:
    """Name scans, whatever their order.

    Parameters
    ----------
    origins : mapping of Path to Origin
        Absolute paths of the scans.

    Returns
    -------
    dict of Path to Identity
        The keys differ by more than the case of letters.
    """
    plain = [_draft(path, origins[path]) for path in sorted(origins)]
    drafts = _tell_people_apart(plain, origins)
    groups: dict[str, list[_Draft]] = defaultdict(list)
    for draft in drafts:
        groups[build_stem(draft.entities).casefold()].append(draft)
    named: dict[Path, Mapping[str, str]] = {}
    for group in groups.values():
        told = _tell_scans_apart(group) if len(group) > 1 else [group[0].entities]
        named |= zip((draft.path for draft in group), told, strict=True)
    counts = Counter(build_stem(each).casefold() for each in named.values())
    identities = {}
    for draft, before in zip(drafts, plain, strict=True):
        entities = _hashed(draft, named[draft.path], counts)
        session = f"ses-{entities['ses']}" if "ses" in entities else None
        participant = f"sub-{entities['sub']}"
        listed_as = participant if draft.loose else f"sub-{before.entities['sub']}"
        identities[draft.path] = Identity(build_stem(entities), participant, session, listed_as)
    return identities


def _hashed(draft: _Draft, entities: Mapping[str, str], counts: Mapping[str, int]) -> Mapping[str, str]:
    """Return the entities, with a hash of the path where they are still not unique, or too long."""
    key = build_stem(entities)
    too_long = len(key) > _MAX_LENGTH and (draft.loose or "src" in entities)
    if counts[key.casefold()] == 1 and not too_long:
        return entities
    last = "sub" if draft.loose else "src"
    digest = hashlib.sha256(str(draft.path).encode()).hexdigest()[:10]
    return {**entities, last: entities.get(last, "")[:40] + digest}


def _draft(path: Path, origin: Origin) -> _Draft:
    name = parse_name(path.name)
    if name is not None:
        entities = {entity: text for entity, text in name.entities.items() if entity not in _PROCESSING}
        done = [entity + name.entities[entity] for entity in _PROCESSING if entity in name.entities]
        left_out = "".join(done)
    else:
        entities = {entity: label for entity in _ENTITY if (label := _above(path, entity))}
        left_out = _stem(path)
    if origin.participant_id is not None:
        entities["sub"] = origin.participant_id.removeprefix("sub-")
    if origin.session_id is not None:
        entities["ses"] = origin.session_id.removeprefix("ses-")
    folders = _letters_of(path.parent)
    if "sub" in entities:
        return _Draft(path, entities, (_letters(left_out), *folders))
    label = _letters(_CONTRAST.sub("", _stem(path))) or "scan"
    return _Draft(path, {"sub": label}, ("", *folders), loose=True)


def _above(path: Path, entity: str) -> str | None:
    """Return the label that the name of a file, or one of the folders above, gives an entity."""
    names = (_stem(path), *(folder.name for folder in path.parents[:_DEPTH]))
    return next((match[1] for name in names if (match := _ENTITY[entity].search(name))), None)


def _tell_people_apart(drafts: list[_Draft], origins: Mapping[Path, Origin]) -> list[_Draft]:
    """Return the drafts, with the cohort in the names of people who share a name across cohorts."""
    cohorts: dict[str, set[Path]] = defaultdict(set)
    for draft in drafts:
        cohort = origins[draft.path].cohort
        if cohort is not None and not draft.loose:
            cohorts[draft.entities["sub"].casefold()].add(cohort)
    every = sorted(set().union(*cohorts.values()))
    pieces: list[str] = []
    for pieces in _pieces([_letters_of(cohort) for cohort in every]):
        if len({piece.casefold() for piece in pieces}) == len(every):
            break
    told = []
    for draft in drafts:
        cohort = origins[draft.path].cohort
        label = draft.entities["sub"]
        if cohort is not None and not draft.loose and len(cohorts[label.casefold()]) > 1:
            label = pieces[every.index(cohort)] + label
        told.append(replace(draft, entities={**draft.entities, "sub": label}))
    return told


def _tell_scans_apart(group: list[_Draft]) -> list[Mapping[str, str]]:
    """Return entities that differ, by the parts of the tails that do."""
    entities: list[Mapping[str, str]] = []
    for pieces in _pieces([draft.tail for draft in group]):
        entities = [draft.told_apart(piece) for draft, piece in zip(group, pieces, strict=True)]
        if len({build_stem(each).casefold() for each in entities}) == len(group):
            break
    return entities


def _pieces(tails: Sequence[tuple[str, ...]]) -> Iterator[list[str]]:
    """Yield ever longer pieces of the tails, from the nearest parts on, without those that all share."""
    pieces = [""] * len(tails)
    for level in range(max(map(len, tails), default=0)):
        parts = [tail[level] if level < len(tail) else "" for tail in tails]
        if len({part.casefold() for part in parts}) > 1:
            pieces = [part + piece for part, piece in zip(parts, pieces, strict=True)]
        yield pieces


def _letters_of(folder: Path) -> tuple[str, ...]:
    """Return the names of a folder and those above it, nearest first, in letters and digits."""
    return tuple(_letters(name) for name in reversed(folder.parts))


def _stem(path: Path) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def _letters(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)
