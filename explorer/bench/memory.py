"""Benchmarks of memory: a training step with unified against separate blocks, and a process with an open study.

A unified block holds all its choices; separate blocks are one plain MBConv for every kernel and expansion. A step
trains the weights of one sampled network ("path") or runs all choices at once, weighted ("soft", as in the training of
a generator). Peak memory is how far the step raises the high-water mark of its process; every step is measured in a
process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from explorer.spaces import UnifiedSpace

BATCH = 128


def peak_mb() -> float:
    """Peak memory of this process so far, in MB.

    On Linux it is read from VmHWM, since a child process there inherits the `ru_maxrss` of its parent.
    """
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource

        scale = 1024 if sys.platform == "linux" else 1024**2
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def separate(space: UnifiedSpace) -> nn.Module:
    """A supernet with one MBConv per kernel and expansion in every block."""
    from torch import nn

    from explorer.core.operators import MBConv
    from explorer.supernets.plain import module_of

    class Separate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = space.layers([len(o) - 1 for o in space.decisions.values()])
            self.fixed = [layer for layer in layers if not getattr(layer, "places", ())]
            blocks = [layer for layer in layers if isinstance(layer, MBConv) and layer.places]
            self.stem = nn.Conv2d(1, layers[0].cout, 3, 2, 1)
            self.blocks = nn.ModuleList(
                nn.ModuleList(
                    module_of(MBConv(b.cin, b.cout, b.size, k, b.stride, "relu", mid=b.cin * e, residual=b.residual))
                    for k in space.kernels
                    for e in range(1, space.subblocks + 1)
                )
                for b in blocks
            )
            self.out = nn.Linear(blocks[-1].cout, 10)

        def forward(self, x: Any, chosen: Any) -> Any:
            x = self.stem(x)
            choices: Any
            for choices, c in zip(self.blocks, chosen):
                x = choices[c](x) if isinstance(c, int) else sum(p * block(x) for p, block in zip(c, choices))
            return self.out(x.mean((2, 3)))

    return Separate()


def measure(kind: str, how: str) -> dict:
    """Measure one step in this process.

    Args:
        kind: "unified" or "separate" blocks.
        how: "path" or "soft".

    Returns:
        {"params_m": weights in millions, "step_mb": peak memory of the step in MB}.
    """
    import numpy as np
    import torch

    from explorer.spaces import SPACES, UnifiedSpace
    from explorer.supernets import make_supernet
    from explorer.supernets.sampling import forced

    torch.set_num_threads(1)
    space = SPACES["unified-32"].for_images(1, 10, 28)
    assert isinstance(space, UnifiedSpace)
    net: Any = make_supernet(space, [0.3], [0.3]) if kind == "unified" else separate(space)
    images = torch.rand(BATCH, 1, 28, 28)
    if how == "soft":
        net.requires_grad_(False)
    if kind == "unified":
        blocks, options = len(space.widths), 1 + len(space.kernels)
        logits = torch.zeros(blocks, space.subblocks, options, requires_grad=True)
        run = lambda: net.soft(images, logits.softmax(2)) if how == "soft" else net(images, forced(space, 0, 0, 1)[0])  # noqa: E731
    else:
        n = len(net.blocks[0])
        logits = torch.zeros(len(net.blocks), n, requires_grad=True)
        path = [int(c) for c in np.random.default_rng(0).integers(0, n, len(net.blocks))]
        run = lambda: net(images, logits.softmax(1) if how == "soft" else path)  # noqa: E731
    small = images[:2]
    images, whole = small, images
    run().sum().backward()  # a warm-up, so that memory allocated only once does not count
    images = whole
    before = peak_mb()
    run().sum().backward()
    return {"params_m": sum(p.numel() for p in net.parameters()) / 1e6, "step_mb": peak_mb() - before}


def memory(quick: bool) -> dict[str, dict[str, float]]:
    """Peak memory of a step with each kind of block; memory of an open study relative to bare numpy and pandas."""
    ratios, times = {}, {}
    found = {
        (kind, how): json.loads(_process(MEASURE.format(kind, how)))
        for how in (["path"] if quick else ["path", "soft"])
        for kind in ("unified", "separate")
    }
    for (kind, how), figures in found.items():
        times[f"MB of a step, {NAMES[how]}, {kind}"] = figures["step_mb"]
        times[f"million weights, {kind}"] = figures["params_m"]
        if kind == "unified":
            other = found["separate", how]
            ratios[f"{NAMES[how]}: unified over separate"] = figures["step_mb"] / other["step_mb"]
            ratios["weights: unified over separate"] = figures["params_m"] / other["params_m"]
    opened = {name: float(_process(code + RESIDENT)) for name, code in PROCESSES.items()}
    ratios["a study that has generated over numpy and pandas"] = opened["study"] / opened["bare"]
    times |= {f"MB of a process, {name}": mb for name, mb in opened.items()}
    return {"ratios": ratios, "slopes": {}, "times": times}


NAMES = {"path": "a sampled path", "soft": "all choices at once"}
MEASURE = "from explorer.bench.memory import measure; import json; print(json.dumps(measure({!r}, {!r})))"
PROCESSES = {
    "bare": "import numpy, pandas\n",
    "study": "import explorer as ex\ns = ex.open_study('fashion-mnist')\ns.generate({'mobile': s.knee('mobile')})\n",
}
RESIDENT = "from explorer.bench.memory import peak_mb; print(peak_mb())"


def _process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
