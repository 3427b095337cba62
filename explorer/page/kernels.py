"""The kernels behind the served page, in the server's process.

Every visit leaves megabytes in cycles of so few objects that Python lets dozens of visits pile up before it looks.
Here they are freed when a visitor's kernel ends.
"""

import asyncio
import gc
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

LATER = 1.0  # seconds, in which the connections of an ended kernel close


class Kernels(AsyncMappingKernelManager):
    """Jupyter's kernels; what a visit leaves is freed. `VoilaConfiguration.multi_kernel_manager_class` names it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        gc.freeze()  # so that a collection looks only at what came after the start

    async def shutdown_kernel(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]  # as Jupyter's own does
        """End a kernel, and free what is left of its visitor."""
        await super().shutdown_kernel(*args, **kwargs)
        asyncio.get_running_loop().call_later(LATER, gc.collect)
