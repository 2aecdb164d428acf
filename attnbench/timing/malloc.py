"""One state of the C heap for a whole process.

Left alone, glibc may return the memory of a large activation to the system at each free and fault
it in again at the next call, or keep it: which of the two depends on what the process did before,
and it was seen to change MobileNetV2's time by a third between one copy and the next.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>


def keep_heap() -> bool:
    """Have glibc keep freed memory from now on; for a process that does nothing but timing.

    Returns:
        Whether it could be done (glibc only).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    # 32 MiB is the most that glibc takes for the first
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20) and mallopt(_M_TRIM_THRESHOLD, 1 << 30))
