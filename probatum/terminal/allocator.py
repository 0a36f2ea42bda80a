"""The C library's allocator, for a process that asks for the same large tensors again and again."""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_LARGEST = 2**31 - 1  # both are C ints


def keep_freed_memory() -> None:
    """Lets glibc keep what tensors free for the next ones.

    It would else give large blocks back to the system at once, which maps them anew page by page. Resident memory then
    stays at its peak until the process ends, so this is for commands, which are processes of their own. Whoever sets
    one of glibc's MALLOC_ variables is left alone, and so are other C libraries.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _LARGEST)
