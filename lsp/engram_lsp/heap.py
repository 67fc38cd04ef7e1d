"""What becomes of memory that nobody needs any more.

What was read is kept out of the collector's way (`gc.freeze`), so it has to be told when some of that may be garbage.
Of what is free again glibc keeps much: a heap for each thread, and all below the last block in use. Other C libraries
are left to themselves.
"""

import ctypes
import gc
import sys
from contextlib import suppress
from functools import cache
from typing import Any

_ARENA_MAX = -8  # M_ARENA_MAX of <malloc.h>


@cache
def _library() -> Any:
    """glibc, None where there is another one."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError):
        library = ctypes.CDLL(None)
        if hasattr(library, "gnu_get_libc_version"):
            return library
    return None


def share() -> None:
    """From now on all threads take from two heaps. To be called before there are threads."""
    if (library := _library()) is not None:
        library.mallopt(_ARENA_MAX, 2)


def give_back() -> None:
    """Gives free memory back to the system. Takes some milliseconds, in which other threads run."""
    if (library := _library()) is not None:
        library.malloc_trim(0)


def tidy() -> None:
    """Looks for garbage among all there is, and gives it back. Other threads wait as long as that takes."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    give_back()
