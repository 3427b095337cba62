"""How many threads a compiled loop gets.

Starting and joining threads costs more than a small loop takes; where another process holds a core, it costs a time
slice of the system each time. So small arrays stay on one thread. Sums do not depend on it: their chunks are fixed.
"""

import numba

LARGE = 1 << 17  # operations from which a second thread pays


def spread(work: int) -> None:
    """Set the threads of the loops that follow in this thread, by their number of operations."""
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS if work >= LARGE else 1)
