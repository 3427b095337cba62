"""Number of threads of a compiled loop.

Starting and joining threads costs more than a small loop takes, and where another process occupies a core, each start
costs a time slice of the scheduler. So small arrays are processed on one thread. Sums do not depend on it, because
their chunks are fixed.

No compiled loop uses `fastmath`: the process that compiles a parallel loop runs different machine code than those that
load it from the cache, and where the compiler may fuse and reorder operations, their results differ in the last bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch

CORES: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
LARGE = 1 << 17  # number of operations from which a second thread pays off


def set_threads(work: int) -> None:
    """Set the number of threads for the next loops in this thread, from their number of operations."""
    numba.set_num_threads(CORES if work >= LARGE else 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, because its sums depend on the number of threads, and worker processes have only one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
