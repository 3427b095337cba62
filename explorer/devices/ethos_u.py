"""Arm's Ethos-U NPUs, as Arm's compiler Vela estimates them (extra `mcu`). Nothing here is measured.

Vela compiles a whole `.tflite` file and says how many cycles and how much SRAM it expects. That takes half a second, so
a study prices networks with a block table whose entries are such estimates, calibrated and checked on whole networks as
measured tables are. Vela is called only to make a table, and to describe an exported file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from explorer.core.errors import InputError, MissingExtra, unknown
from explorer.core.files import scratch
from explorer.core.layer import Layer
from explorer.core.protocols import Progress, silent
from explorer.core.steps import steps_of
from explorer.core.tflite_eight_bits import schema, tflite_bytes
from explorer.devices.base import Provenance
from explorer.devices.graph import alone, with_random_weights
from explorer.devices.plan import make_plan
from explorer.devices.quantities import INT8
from explorer.devices.table import BlockTable
from explorer.spaces.base import Space

CHIPS = ("ethos-u55-128", "ethos-u65-512", "ethos-u85-256")  # Vela's names, with its own default systems


@dataclass(frozen=True)
class Estimate:
    """What Vela expects of a file on a chip.

    Attributes:
        chip: name of the chip.
        latency_ms: time of one inference.
        sram_kb: SRAM in kB of 1,024 bytes.
        whole: whether all operators run on the NPU.
        system: Vela's system and memory configuration, and the clock.
    """

    chip: str
    latency_ms: float
    sram_kb: float
    whole: bool
    system: str


class CannotCompile(InputError):
    """Vela refuses a file."""


def checked_chip(chip: str) -> str:
    """Return the name of a chip.

    Raises:
        InputError: it is not one of `CHIPS`.
    """
    if chip not in CHIPS:
        raise unknown("chip", chip, CHIPS)
    return chip


def estimate(file: bytes, chip: str) -> Estimate:
    """Estimate a `.tflite` file.

    Args:
        file: the bytes of the file.
        chip: one of `CHIPS`.

    Raises:
        InputError: the chip is unknown.
        CannotCompile: Vela refuses the file.
        MissingExtra: `ethos-u-vela` is not installed.
    """
    checked_chip(chip)
    try:
        from ethosu.vela import vela
    except ImportError as error:
        raise MissingExtra("estimating an Ethos-U needs ethos-u-vela: pip install 'pareto-explorer[mcu]'") from error
    with scratch("explorer-vela-") as folder:
        (folder / "network.tflite").write_bytes(file)
        line = [str(folder / "network.tflite"), "--accelerator-config", chip, "--output-dir", str(folder)]
        said = io.StringIO()
        try:
            with redirect_stdout(said), redirect_stderr(said):
                vela.main(line)
        except (Exception, SystemExit) as error:
            raise CannotCompile(f"Vela cannot compile the network for {chip}: {error}") from error
        return _read(folder, chip)


def _read(folder: Path, chip: str) -> Estimate:
    """Read what Vela wrote."""
    with open(next(folder.glob("network_summary_*.csv")), newline="") as file:
        [row] = csv.DictReader(file)
    classes = schema()
    model = classes.ModelT.InitFromPackedBuf((folder / "network_vela.tflite").read_bytes(), 0)
    operators = model.subgraphs[0].operators
    custom = {i for i, code in enumerate(model.operatorCodes) if code.builtinCode == classes.BuiltinOperator.CUSTOM}
    clock = float(row["core_clock"]) / 1e6
    return Estimate(
        chip, 1e3 * float(row["inference_time"]), float(row["sram_memory_used"]),
        all(operator.opcodeIndex in custom for operator in operators),
        f"{row['system_config']}, {row['memory_mode']}, {clock:g} MHz",
    )  # fmt: skip


def estimate_networks(networks: Sequence[Sequence[Layer]], chip: str, progress: Progress = silent) -> list[Estimate]:
    """Estimate networks (or single layers) with random weights.

    Raises:
        InputError: as `estimate`, or a layer has no form in eight bits.
    """
    found = []
    for layers in progress(networks, len(networks), "estimating"):
        named = alone(layers)
        network = with_random_weights(steps_of(named), named[0].cin, named[0].size)
        found.append(estimate(tflite_bytes(network), chip))
    return found


def estimate_table(
    name: str, spaces: Sequence[Space], chip: str, networks: int = 100, seed: int = 0, progress: Progress = silent
) -> BlockTable:
    """Make a block table from Vela's estimates: of every distinct block of some spaces, and of whole networks.

    Args:
        name: name of the device.
        spaces: search spaces with `parts()`.
        chip: one of `CHIPS`.
        networks: number of whole networks; half calibrate the sum of the blocks, half give its error.
        seed: seed for drawing the networks.
        progress: reports the graphs.

    Raises:
        InputError: as `estimate_networks`.
    """
    plan = make_plan(spaces, networks, seed=seed)
    found = estimate_networks(plan.graphs, chip, progress)
    about = Provenance(
        kind="modelled", hardware=f"Arm {chip.title()} ({found[-1].system})",
        runtime=f"Vela estimate ({version('ethos-u-vela')})", batch=1,
    )  # fmt: skip
    return plan.table(name, [one.latency_ms for one in found], about, INT8)
