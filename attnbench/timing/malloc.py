"""Fixed C heap settings for a timing process.

By default, glibc may return the memory of a large activation to the system at each free and fault
it in again at the next call, or keep it. The behavior depends on the history of the process; it has
changed the time of MobileNetV2 by a third between two copies.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's <malloc.h>


def keep_heap() -> bool:
    """Configure glibc to keep freed memory; only for processes dedicated to timing.

    Returns:
        Whether the settings were accepted (glibc only).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    # 32 MiB is the maximum of the mmap threshold in glibc
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20) and mallopt(_M_TRIM_THRESHOLD, 1 << 30))
