"""Work spread over processes, or over a cluster: joblib's backends, and one plain message where a worker dies.

Without anything it runs here, one item after the other. `joblib.parallel_config(n_jobs=2)` around any call takes two
processes, `joblib.parallel_config("dask")` the workers of a Dask cluster; results and their order stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from explorer.core.errors import InputError


def map_in_workers(
    work: Callable[..., Any], items: Sequence[Any], *shared: Any, jobs: int | None = None
) -> Iterator[Any]:
    """What `work(item, *shared)` gives for every item, in their order, as soon as it is there.

    Args:
        work: can be pickled.
        items: one call each.
        shared: the same for all calls.
        jobs: processes; None takes what `joblib.parallel_config` says, else one.

    Raises:
        InputError: a worker process was killed. A cluster gives its work to another one instead.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        yield from Parallel(jobs, return_as="generator")(delayed(work)(item, *shared) for item in items)
    except TerminatedWorkerError as error:
        raise InputError(
            "a worker process was killed (out of memory?); what was finished is kept, so run the same again, or with "
            "fewer processes"
        ) from error
