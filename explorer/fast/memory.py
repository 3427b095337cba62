"""Keep freed memory in the process while training on Linux CPUs.

glibc returns large blocks to the system and requests them again at every step; the page faults cost 10-40 % of a
training step. The setting lasts for the process.
"""

import ctypes
import sys

from explorer import fast

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h


def keep_memory() -> bool:
    """Tell glibc to keep freed blocks; return False where the C library has no such setting or it is turned off."""
    if "memory" not in fast.ON or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    values = ((M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 256 << 20))
    return all([mallopt(name, value) for name, value in values])
