"""A device from 10, 20 or 30 measured networks, against a fit of the same from nothing, MACs, and 900 measurements.

    EXPLORER_REFERENCE=... python -m tests.benchmarks.few docs/few.csv

Measured: the GPU columns of the reference data (`mobilenetv3-w1.2`). The phone and the i7 are shipped as models, so their
"measurements" are what the model says, with an error of 2 % as a measurement has. Each device is held out of what the
fit starts from. Medians over 20 draws of the networks that are measured; all others judge: share of them within 10 % and
Kendall's tau. "covered" is the share of them inside the band that the fit itself states (90 % are meant to be).
"""

import sys
from pathlib import Path

import numpy as np

from explorer.core.front import kendall_tau
from explorer.devices import LayerModel, Provenance, load_device, read_measurements
from explorer.devices.features import design
from explorer.devices.few import fit_few, known_models
from explorer.devices.fit import solve
from explorer.spaces import SPACES
from tests.benchmarks.ladder import append, rows_of
from tests.conftest import REFERENCE

SPACE, TABLE = "mobilenetv3-w1.2", REFERENCE / "help_ofa_gpu" / "ofa_gpu_latency_train.csv"
SHIPPED = {  # column of the table -> the shipped device of the same hardware and batch
    "titan_rtx_1": "titan-rtx-1", "titan_rtx_64": "gpu", "v100_1": "v100-1", "v100_64": "v100-64", "2080ti_1": "",
    "2080ti_64": "",
}  # fmt: skip
MODELS, NOISE = ("mobile", "i7-8700k"), 0.02
SIZES, DRAWS, MANY = (10, 20, 30), 20, 900
NOWHERE = Provenance(kind="measured")


def judged(cost: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Share of networks within 10 %, and Kendall's tau."""
    return float((np.abs(cost / truth - 1) <= 0.1).mean()), float(kendall_tau(cost, truth))


def row(space, codes, layers, latency: np.ndarray, known: list[LayerModel], size: int) -> dict:
    """Median figures of one number of measurements."""
    macs, work = load_device("macs_m").cost(space, codes), design(layers)
    found: dict[str, list] = {"few": [], "scratch": [], "macs": [], "many": []}
    covered = []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(codes))
        own, rest = order[:size], order[MANY:]
        few = fit_few("few", [layers[i] for i in own], latency[own], NOWHERE, known).device
        made = {"few": few.cost(space, codes[rest]), "macs": macs[rest] * np.median(latency[own] / macs[own])}
        made["scratch"] = work[rest] @ solve(work[own], latency[own])
        if draw < 3:
            made["many"] = work[rest] @ solve(work[order[:MANY]], latency[order[:MANY]])
        for name, cost in made.items():
            found[name].append(judged(cost, latency[rest]))
        covered.append((np.abs(made["few"] / latency[rest] - 1) <= few.provenance.error["band"]).mean())
    figures = {f"{name}_{what}": np.median([v[i] for v in values]) for name, values in found.items()
               for i, what in enumerate(("within", "tau"))}  # fmt: skip
    return figures | {"covered": np.median(covered)}


def main(out: Path) -> None:
    """Fill the table."""
    space = SPACES[SPACE]
    done = {(r["device"], int(r["networks"])) for r in rows_of(out)}
    layers: list = []
    for name in (*SHIPPED, *MODELS):
        codes, latency = read_measurements(TABLE, space, f"latency_ms_{name if name in SHIPPED else 'v100_1'}")
        if name in MODELS:
            error = np.random.default_rng(5).normal(size=len(codes))
            latency = load_device(name).cost(space, codes) * np.exp(NOISE * error)
        layers = layers or [space.layers(code) for code in codes]
        same = SHIPPED.get(name, name)
        for size in SIZES:
            if (name, size) not in done:
                found = row(space, codes, layers, latency, known_models([same] if same else []), size)
                kind = "measured" if name in SHIPPED else "modelled"
                append(
                    out, {"device": name, "kind": kind, "networks": size} | {k: f"{v:.4f}" for k, v in found.items()}
                )
                print(rows_of(out)[-1], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
