"""Keep memory that was freed, to use it again."""

from __future__ import annotations

import ctypes

# of malloc.h, glibc
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let the C library keep large arrays that were freed, instead of giving each back to the system.

    Every step needs the same hundreds of megabytes again. Fetching them page by page cost a third of
    the time of a step on a virtual machine; the process is about a quarter larger. Without glibc nothing
    happens.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
