"""Benchmarks of the costs of populations: compiled cost tables against a sum over layers, and growth with size."""

from collections.abc import Mapping

import numpy as np

from explorer.bench.timing import growth, in_turns, median_seconds
from explorer.core.protocols import Device, SearchSpace
from explorer.devices import load_device
from explorer.spaces import SPACES


def costs(quick: bool) -> dict[str, dict[str, float]]:
    """Compiled against layer-by-layer costs in once-for-all's space (20 slots, 25 image sizes), and growth.

    Growth is measured with the number of architectures, of layers and of choices.
    """
    repeats, most = (3, 100_000) if quick else (7, 1_000_000)
    space = SPACES["mobilenetv3-w1.2"]
    codes = space.sample(most, np.random.default_rng(0))
    ratios, slopes, times = {}, {}, {}
    for name in ("macs_m", "mobile"):
        device = load_device(name)
        device.cost(space, codes[:1])
        seconds = in_turns({
            "compiled": lambda d=device: d.cost(space, codes[:50_000]),
            "by layers": lambda d=device: [sum(map(d.price, space.layers(row))) for row in codes[:20]],
        }, repeats)  # fmt: skip
        compiled = seconds["compiled"] / 50_000
        ratios[f"{name}: compiled over layer by layer"] = compiled / (seconds["by layers"] / 20)
        times[f"{name}: microseconds a network"] = 1e6 * compiled
    device = load_device("macs_m")
    sizes = [most // 100, most // 10, most]
    slopes["with architectures"], found = growth(
        lambda n: median_seconds(lambda: device.cost(space, codes[:n]), repeats), sizes
    )
    times |= {f"seconds for {n} networks": s for n, s in found.items()}
    layers = {_layers(s): s for s in (SPACES["mobile-tiny"], SPACES["mobile-32"], space)}
    slopes["with layers"] = _with(device, layers, repeats)
    narrow = {e: SPACES["mobile-32"].restrict({"e": (2, 3, 4)[:e]}) for e in (1, 2, 3)}
    slopes["with choices"] = _with(device, {sum(map(len, s.decisions.values())): s for s in narrow.values()}, repeats)
    return {"ratios": ratios, "slopes": slopes, "times": times}


def _layers(space: SearchSpace) -> int:
    """Number of layers of the largest network."""
    return len(space.layers([len(options) - 1 for options in space.decisions.values()]))


def _with(device: Device, spaces: Mapping[int, SearchSpace], repeats: int) -> float:
    """Slope, on logarithmic axes, of the seconds to price 50,000 networks over the sizes of the spaces."""
    codes = {n: s.sample(50_000, np.random.default_rng(0)) for n, s in spaces.items()}
    for n, space in spaces.items():
        device.cost(space, codes[n][:1])
    seconds = in_turns({str(n): lambda n=n, s=s: device.cost(s, codes[n]) for n, s in spaces.items()}, repeats)
    sizes = sorted(spaces)
    return float(np.polyfit(np.log(sizes), np.log([seconds[str(n)] for n in sizes]), 1)[0])
