"""Map a function over scans: here, in local processes, or on a Dask cluster.

All three give the same outcomes in the same order. A scan that fails is a value; a worker that dies
takes no other scan with it; a bug is raised with the scan's key.
"""

from brainclock.execution.outcome import Outcome
from brainclock.execution.scans import map_scans

__all__ = ["Outcome", "map_scans"]
