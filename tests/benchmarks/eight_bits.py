"""Figures in eight bits: memory, file size, the drop of accuracy, budgets, choices, files and latency.

    python -m tests.benchmarks.eight_bits PART docs/eight-bits.json [--study NAME|FOLDER ...]

Parts, each of which replaces its own figures in the file:

    memory    peak memory and file size of random networks of three spaces against TFLite-Micro and the files
    drop      fresh networks, measured in eight bits on validation images, against the predictor and its band
    budgets   1,000 random reachable budgets of latency, RAM and flash at once, against a long search
    choice    networks chosen by accuracy in eight bits against those chosen by float32, ten budgets, test images
    files     the .tflite file of the smallest, the knee and the largest network
    latency   float32 and int8 of the same networks on this machine, in the same rounds
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import explorer as ex
from explorer.core.files import read_json, write_json
from explorer.core.front import kendall_tau
from explorer.core.tflite_eight_bits import tflite_bytes
from explorer.devices import error_of, load_device
from explorer.devices.file_size import size_of
from explorer.devices.measure import measure_networks
from explorer.devices.memory import offsets
from explorer.devices.population import costs_of, overshoot
from explorer.spaces import SPACES
from explorer.supernets.sampling import largest, smallest
from tests.benchmarks.budgets import random_budgets
from tests.devices.test_memory import head_of, in_eight_bits

STUDIES = ("digits", "fashion-mnist", "fashion-mnist-unified", "clothing")
MEMORY_SPACES = ("mobile-32", "lite-w1.0", "unified-32", "mobilenetv3-w1.0")
FRESH, LONG, BUDGETS, SEED = 60, 1_000_000, 10, 77


def memory(_names) -> dict:
    """1,000 networks: RAM in bytes, and the size of the file without its labels and plan."""
    found, rng = {}, np.random.default_rng(SEED)
    for name in MEMORY_SPACES:
        space, equal, above, share = SPACES[name], 0, [], []
        for row in space.sample(1000 // len(MEMORY_SPACES), rng):
            layers = space.layers(row)
            network, plan = in_eight_bits(layers), offsets(layers)
            counted = 1024 * load_device("ram_kb").cost(space, row[None])[0]
            equal += int(head_of(tflite_bytes(network, plan)) == counted)
            file = len(tflite_bytes(network))
            above.append(size_of(layers) - file)
            share.append(above[-1] / file)
        found[name] = {"networks": len(above), "equal": equal, "above": [min(above), max(above)], "share": max(share)}
        print(name, found[name], flush=True)
    return found


def drop(names) -> dict:
    """Fresh networks that neither predictor nor change has seen."""
    found = {}
    for name in names:
        study = ex.open_study(name)
        eight = study.in_precision("int8")
        known = {row.tobytes() for one in (study, eight) for row in one.scored.codes}
        drawn = study.space.sample(50 * FRESH, np.random.default_rng(SEED))
        rows = np.unique(np.array([row for row in drawn if row.tobytes() not in known], np.int8), axis=0)
        rows = rows[np.random.default_rng(SEED).permutation(len(rows))][:FRESH]
        full, low = study.evaluate(rows), eight.evaluate(rows)
        predicted, in_float = eight.predictor.evaluate(rows), study.predictor.evaluate(rows)
        lo, hi = eight.predictor.interval(predicted)
        found[study.name] = {
            "networks": len(rows), "drop": float((full - low).mean()),
            "drop_error": float(np.abs((full - low) - (in_float - predicted)).mean()),
            "error": float(np.abs(predicted - low).mean()), "covered": float(((lo <= low) & (low <= hi)).mean()),
            "tau": kendall_tau(predicted, low), "tau_float": kendall_tau(in_float, low),
            "tau_measured_float": kendall_tau(full, low),
        }  # fmt: skip
        print(study.name, found[study.name], flush=True)
    return found


def budgets(names) -> dict:
    """Half of the budgets bound one target, half all of them."""
    found = {}
    for name in names:
        study = ex.open_study(name).in_precision("int8")
        devices, rng = list(study.devices.values()), np.random.default_rng(2026)
        limits = random_budgets(study, costs_of(study.space, devices, study.space.sample(20_000, rng)), rng)
        front = study.search(evaluations=LONG)
        columns = [list(study.devices).index(device) for device in front.devices]
        bounded = limits[:, columns]
        best = [front.accuracy[overshoot(front.costs, row[None]) <= 1].max(initial=-1.0) for row in bounded]
        best = np.where(np.array(best) < 0, np.nan, best)
        for method in study.generators:
            generator = study.generator(method)
            kept = generator.select(limits)
            raw = overshoot(costs_of(study.space, devices, generator.generate(limits, samples=1)), limits) <= 1
            gap = 100 * (best - kept.accuracy)
            found[f"{study.name} {method}"] = {
                "budgets": len(limits), "met": float(kept.feasible.mean()), "raw_met": float(raw.mean()),
                "gap_mean": float(np.nanmean(gap)), "gap_p95": float(np.nanpercentile(gap, 95)), "evaluations": LONG,
            }  # fmt: skip
            print(study.name, method, found[f"{study.name} {method}"], flush=True)
    return found


def choice(names) -> dict:
    """Test accuracy in eight bits of both choices, at the same ten joint budgets of `cpu-int8` and RAM."""
    found = {}
    for name in names:
        study = ex.open_study(name)
        eight, gain, same = study.in_precision("int8"), [], 0
        lows, highs = np.array([eight.budget_range(device) for device in ("cpu-int8", "ram_kb")]).T
        for share in np.linspace(0.1, 1, BUDGETS):
            budget = dict(zip(("cpu-int8", "ram_kb"), (lows * (highs / lows) ** share).tolist()))
            chosen = [one.generate(budget).architecture for one in (study, eight)]
            same += int(chosen[0] == chosen[1])
            measured = eight.evaluate(chosen, split="test") if chosen[0] != chosen[1] else np.zeros(2)
            gain.append(100 * float(measured[1] - measured[0]))
        error = float(np.std(gain, ddof=1) / np.sqrt(len(gain)))
        label = f"{study.name}, seed {study.manifest.seed}"
        found[label] = {"budgets": len(gain), "same": same, "gain": float(np.mean(gain)), "standard_error": error,
                        "each": gain}  # fmt: skip
        print(label, found[label], flush=True)
    return found


def files(names) -> dict:
    """Exports of three networks a study."""
    found = {}
    for name in names:
        study = ex.open_study(name)
        target = study.main_targets[0]
        roles = {
            "smallest": study.candidate(ex.Architecture(study.space, smallest(study.space))),
            "knee": study.generate({target: study.knee(target)}),
            "largest": study.candidate(ex.Architecture(study.space, largest(study.space))),
        }
        for role, candidate in roles.items():
            with tempfile.TemporaryDirectory() as folder:
                made = ex.export(study, candidate, Path(folder) / "out", formats=["onnx", "int8", "tflite"])
            tflite, int8 = made.formats["tflite"], made.formats["int8"]
            kept = ("bytes", "drop", "arena_bytes", "flash_bytes", "micro_images", "micro_agrees", "npus", "same_top1")
            found[f"{study.name} {role}"] = {k: tflite[k] for k in kept if k in tflite} | {
                "int8_drop": int8.get("drop"),
                "int8_speedup": int8.get("speedup"),
                "key": candidate.key,
            }
            print(study.name, role, found[f"{study.name} {role}"], flush=True)
    return found


def latency(_names) -> dict:
    """50 networks of two spaces, one thread; run it on an idle machine."""
    found, rng = {}, np.random.default_rng(SEED)
    for name in ("mobile-32", "lite-w1.0"):
        space = SPACES[name]
        codes = space.sample(50, rng)
        layers = [space.layers(row) for row in codes]
        full, low = measure_networks(layers), measure_networks(layers, precision="int8")
        ratio = low / full
        found[name] = {
            "networks": len(codes), "ratio": [float(np.percentile(ratio, p)) for p in (5, 50, 95)],
            "cpu": error_of(load_device("cpu").cost(space, codes), full),
            "cpu-int8": error_of(load_device("cpu-int8").cost(space, codes), low),
        }  # fmt: skip
        print(name, found[name], flush=True)
    return found


PARTS = {part.__name__: part for part in (memory, drop, budgets, choice, files, latency)}


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--study", action="append")
    asked = parser.parse_args()
    made = PARTS[asked.part](asked.study or STUDIES)
    known = read_json(asked.out) if asked.out.exists() else {}
    write_json(asked.out, known | {asked.part: known.get(asked.part, {}) | made})


if __name__ == "__main__":
    main()
