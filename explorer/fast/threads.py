"""How many threads a compiled loop gets.

Starting and joining threads costs more than a small loop takes; where another process holds a core, it costs a time
slice of the system each time. So small arrays stay on one thread. Sums do not depend on it: their chunks are fixed.

No compiled loop has `fastmath`: the process that compiles a parallel loop runs other machine code than those that load
it from the cache, and where the compiler may fuse and reorder, their results differ in the last bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch

CORES: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
LARGE = 1 << 17  # operations from which a second thread pays


def set_threads(work: int) -> None:
    """Set the threads of the loops that follow in this thread, by their number of operations."""
    numba.set_num_threads(CORES if work >= LARGE else 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread: its sums depend on how many there are, and a worker process has one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
