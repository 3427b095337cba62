"""Number of threads of a compiled loop.

Starting and joining threads costs more than a small loop takes, and where another process occupies a core, each start
costs a time slice of the scheduler. So small arrays are processed on one thread. Sums do not depend on it, because
their chunks are fixed.

No compiled loop uses `fastmath`: the process that compiles a parallel loop runs different machine code than those that
load it from the cache, and where the compiler may fuse and reorder operations, their results differ in the last bit.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numba
import numpy as np
import torch

from explorer.core.protocols import Evaluator

CORES: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
LARGE = 1 << 17  # number of operations from which a second thread pays off
SMALL = 1 << 15  # pixels of a batch below which it gains less than a tenth


def set_threads(work: int) -> None:
    """Set the number of threads for the next loops in this thread: torch's, for few operations one.

    The first call starts numba's threads, which with OpenMP changes torch's number of threads, so that is set back.
    """
    torchs = torch.get_num_threads()
    numba.set_num_threads(min(CORES, torchs) if work >= LARGE else 1)
    if torch.get_num_threads() != torchs:
        torch.set_num_threads(torchs)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: for small networks, and where results must not depend on the number of threads.

    Threads that share the work of a small tensor wait for each other actively; where another process keeps a core busy,
    each wait costs a time slice of the scheduler, many times the work itself.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(batch: int, size: int) -> AbstractContextManager[None]:
    """Return a context in which networks on small images run on one thread, others on all: see `one_thread`.

    The choice depends on the work alone, never on how busy the machine is, because gradients depend on the number of
    threads in their last bits.

    Args:
        batch: number of images that are computed at once.
        size: height and width of the images.
    """
    return one_thread() if batch * size**2 < SMALL else nullcontext()


class OwnThreads:
    """An evaluator that keeps the present number of torch's threads, also inside `one_thread`: it may be large.

    Args:
        evaluator: any evaluator.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator, self.threads = evaluator, torch.get_num_threads()

    def evaluate(self, codes: np.ndarray) -> np.ndarray:
        """Return the evaluator's accuracies: (n, d) -> (n,)."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return self.evaluator.evaluate(codes)
        finally:
            torch.set_num_threads(before)
