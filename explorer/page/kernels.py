"""The kernel manager of the served page, in the server's process: it limits the visitors and frees what they leave.

Every visit leaves megabytes of garbage in reference cycles. They hold so few objects that Python's garbage collector
would let dozens of visits pile up before it runs, so it is called here when a visitor's kernel ends.
"""

import asyncio
import gc
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError
from traitlets import Int

LATER = 1.0  # seconds until the connections of an ended kernel are closed


class Kernels(AsyncMappingKernelManager):
    """Jupyter's kernel manager, which also frees the memory of ended visits.

    The server uses it through the setting `VoilaConfiguration.multi_kernel_manager_class`.
    """

    most = Int(1000, help="Visitors at once; the next one is asked to come back later.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        gc.freeze()  # so that a collection looks only at objects made after the start

    async def start_kernel(self, **kwargs: Any) -> str:  # type: ignore[override]  # as in Jupyter
        """Start a kernel for a visitor, unless there are as many as fit."""
        if len(self.list_kernel_ids()) >= self.most:
            said = f"No place is free: this page serves {self.most} at once. Try again in some minutes."
            raise HTTPError(503, said, reason="The page is full")
        return str(await super().start_kernel(**kwargs))

    async def shutdown_kernel(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]  # as in Jupyter
        """End a kernel, and free the memory that its visit used in this process."""
        await super().shutdown_kernel(*args, **kwargs)
        asyncio.get_running_loop().call_later(LATER, gc.collect)
