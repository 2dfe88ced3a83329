"""Memory that one training step frees is kept for the next.

glibc hands large blocks back to the system as soon as they are free, and a training step frees its activations every time: the next step
gets them as pages that the system has to find and clear, one fault every 4 KiB.
"""

from __future__ import annotations

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
_MOST = 2**31 - 1
_CHOSEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Tell the allocator of this process to keep up to 2 GiB of what is freed, for as long as it lives.

    Nothing happens where the allocator is not glibc's, or the user has said how it should behave (by the environment of mallopt(3)).

    Returns:
        Whether it was told.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _CHOSEN):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, _MOST)) and bool(mallopt(_TRIM_THRESHOLD, _MOST))
