"""Who keeps more of a scan than its answer, while it is in memory: pictures for a page, say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from brainclock.io.scan import Scan
from brainclock.predict.brain_age import BrainAge
from brainclock.prepare.prepared import PreparedScan
from brainclock.prepare.snapshot import Snapshot

if TYPE_CHECKING:
    from brainclock.model.folder import LoadedModel


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Everything of one scan that is in memory when it has been answered, or has failed.

    Parameters
    ----------
    scan : Scan
    digest : str
        Of all that the answer depends on.
    sha256 : str
        Of the image file.
    loaded : LoadedModel
    snapshot : Snapshot
        As far as the preparation got; empty for a scan that was prepared before.
    prepared : PreparedScan or None
        None where the preparation failed.
    answer : BrainAge or None
        None where the scan failed.
    """

    scan: Scan
    digest: str
    sha256: str
    loaded: LoadedModel
    snapshot: Snapshot
    prepared: PreparedScan | None = None
    answer: BrainAge | None = None


@runtime_checkable
class Keeper(Protocol):
    """Keeps what it wants of each scan, in the process that answers it: it must be picklable."""

    def has(self, scan: Scan, digest: str, loaded: LoadedModel) -> bool:
        """Whether what an earlier run kept of a scan still holds."""

    def keep(self, sight: Sight) -> None:
        """Keep it, atomically; may raise `OutputError`."""
