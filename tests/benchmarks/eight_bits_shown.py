"""Blocks of docs/results.md about eight bits, from docs/eight-bits.json (`tests.benchmarks.eight_bits`)."""

from typing import Any

from explorer.core.files import read_json
from tests.benchmarks import shown
from tests.benchmarks.shown import table


def _part(name: str) -> dict[str, Any]:
    return read_json(shown.DOCS / "eight-bits.json").get(name, {})


def int8_memory() -> str:
    """Random networks against TFLite-Micro."""
    return table(["space", "networks", "peak memory equal to the byte", "file size above the file, bytes", "most, share"], [
        [name, r["networks"], r["equal"], f"{r['above'][0]} to {r['above'][1]}", f"{r['share']:.2%}"]
        for name, r in _part("memory").items()
    ])  # fmt: skip


def int8_drop() -> str:
    """Fresh networks against the predictor."""
    return table(
        ["study", "fresh networks", "mean drop [points]", "error of the predicted drop [points]", "error of the accuracy [points]",
         "within the 90 % band", "tau", "tau of the predictor for float32", "tau of measured float32"],
        [[name, r["networks"], f"{100 * r['drop']:.2f}", f"{100 * r['drop_error']:.2f}", f"{100 * r['error']:.2f}",
          f"{r['covered']:.0%}", f"{r['tau']:.3f}", f"{r['tau_float']:.3f}", f"{r['tau_measured_float']:.3f}"]
         for name, r in _part("drop").items()],
    )  # fmt: skip


def int8_budgets() -> str:
    """1,000 budgets of latency, RAM and flash."""
    return table(
        ["study, generator", "budgets", "met", "met by the raw network", "gap to the search, mean [points]", "95th percentile"],
        [[name, f"{r['budgets']:,}", f"{r['met']:.1%}", f"{r['raw_met']:.1%}", f"{r['gap_mean']:.3f}", f"{r['gap_p95']:.3f}"]
         for name, r in _part("budgets").items()],
    )  # fmt: skip


def int8_choice() -> str:
    """Networks chosen by either accuracy."""
    return table(
        ["study", "budgets", "the same network", "gain of choosing in eight bits [points]", "standard error"],
        [[name, r["budgets"], r["same"], f"{r['gain']:+.3f}", f"{r['standard_error']:.3f}"]
         for name, r in _part("choice").items()],
    )  # fmt: skip


def int8_files() -> str:
    """Files of three networks a study."""
    rows = []
    for name, r in _part("files").items():
        npus = "; ".join(f"{one['latency_ms']:.3g} ms, {one['sram_kb']:.0f} kB" for one in r.get("npus", {}).values())
        rows.append([
            name, f"{r['drop']:+.2f}", f"{r['bytes'] / 1024:.1f}", f"{r['arena_bytes'] / 1024:.1f}",
            f"{r['micro_agrees']:.1%} of {r['micro_images']}", npus,
        ])  # fmt: skip
    return table(["network", "drop on test images [points]", "file [kB]", "RAM [kB]",
                  "TFLite-Micro agrees with LiteRT", "Vela: U55-128; U65-512; U85-256"], rows)  # fmt: skip


def int8_latency() -> str:
    """float32 and int8 on one machine."""
    return table(
        ["space", "networks", "int8 over float32: median (5 % to 95 %)", "error of `cpu`, tau", "error of `cpu-int8`, tau"],
        [[name, r["networks"], "{1:.2f} ({0:.2f} to {2:.2f})".format(*r["ratio"]),
          *(f"{r[d]['mape']:.1%}, {r[d]['kendall_tau']:.3f}" for d in ("cpu", "cpu-int8"))]
         for name, r in _part("latency").items()],
    )  # fmt: skip
