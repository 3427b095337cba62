"""Run work in several processes, or on a cluster, with joblib's backends.

By default the items run in this process, one after the other. Wrap any call in `joblib.parallel_config(n_jobs=2)` to
use two processes, or in `joblib.parallel_config("dask")` to use the workers of a Dask cluster. Results and their order
stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from explorer.core.errors import InputError


def map_in_workers(
    work: Callable[..., Any], items: Sequence[Any], *shared: Any, jobs: int | None = None
) -> Iterator[Any]:
    """Yield `work(item, *shared)` for every item, in the order of the items, as soon as each result is available.

    Args:
        work: the function to call; it must be picklable.
        items: one call is made per item.
        shared: further arguments, the same for all calls.
        jobs: number of processes; None uses the setting of `joblib.parallel_config`, else one.

    Raises:
        InputError: a worker process was killed. (A cluster gives its work to another worker instead.)
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        yield from Parallel(jobs, return_as="generator")(delayed(work)(item, *shared) for item in items)
    except TerminatedWorkerError as error:
        raise InputError(
            "a worker process was killed (out of memory?); finished results are kept: run the same again, perhaps with "
            "fewer processes"
        ) from error
