"""`expert` for devices that it never saw, against the same generator trained for them.

    EXPLORER_REFERENCE=... python -m tests.benchmarks.unseen docs/unseen.csv

The ImageNet study; predicted accuracy. The GPUs of the reference data were not in its training; the phone and the i7
were, so the generator is trained again without each. "At once" is `study.with_device`: the device's prices and nothing
else. "Retrained" is the same training with the device among its own. Shares of the hypervolume of the best known
networks for 100 budgets; NSGA-II has 20,000 evaluations. Seconds are of one core; those of "at once" are from the
device's file to its first network. A row that is there is not made again.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from explorer.core.files import write_json
from explorer.core.protocols import silent
from explorer.devices import device_json, load_device
from explorer.generators import METHODS
from explorer.study import Study, open_study
from explorer.study.making import searched_fronts
from explorer.study.recipe import load_recipe
from tests.benchmarks.hundred import shares_of, truth_of
from tests.benchmarks.ladder import append, rows_of

NAME = "imagenet-mobilenetv3"
NEW, LEFT_OUT = ("titan-rtx-1", "v100-1", "v100-64"), ("cpu", "mobile")


def trained(study, devices):
    """Train `expert` for devices, as the recipe does: (generator, evaluations with those of the fronts, seconds)."""
    recipe, start = load_recipe(NAME), time.process_time()
    fronts = searched_fronts(recipe, study.space, study.predictor, devices, silent)
    known = np.concatenate([front.codes for front in fronts])
    settings = recipe.method_settings("expert")
    made = METHODS["expert"].train(study.space, study.predictor, devices, settings, recipe.seed, silent, known)
    evaluations = made.about["evaluations"] + len(fronts) * recipe.search.evaluations
    return made, evaluations, time.process_time() - start


def without(study, name):
    """The study as it would be if it had been trained without one of its devices, in memory."""
    rest = {n: device for n, device in study.devices.items() if n != name}
    made, _, _ = trained(study, list(rest.values()))
    return Study(study.folder, study.manifest, rest, study.space, {"expert": made})


def seconds_to_first(study, device) -> float:
    """Seconds from a device's file to its first network, torch not imported."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "device.json"
        write_json(path, device_json(device))
        start = time.perf_counter()
        added = study.with_device(load_device(path))
        added.generate({device.name: float(np.mean(added.budget_range(device.name)))}, "expert")
        return time.perf_counter() - start


def row(name: str) -> dict:
    """Figures of one device."""
    study = open_study(NAME)
    known = name in LEFT_OUT
    device = study.devices[name] if known else load_device(name)
    base = without(study, name) if known else study
    seconds = seconds_to_first(base, device)
    at_once = base.with_device(device).generator("expert")
    others = [d for d in study.devices.values() if d.name != name]
    retrained, evaluations, took = trained(study, [*others, device])
    truth = truth_of(study.space, study.predictor, device)
    first, second = (shares_of(generator, device, truth) for generator in (at_once, retrained))
    return {
        "device": name, "left_out": int(known), "share": first["share"], "met": first["met"], "raw_met": first["raw_met"],
        "seconds": seconds, "retrained_share": second["share"], "retrained_raw_met": second["raw_met"],
        "retrained_evaluations": evaluations, "retrained_seconds": took, "nsga2_share": truth.nsga2 / truth.best,
    }  # fmt: skip


def main(out: Path) -> None:
    """Fill the table."""
    done = {found["device"] for found in rows_of(out)}
    for name in (*NEW, *LEFT_OUT):
        if name not in done:
            append(out, {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row(name).items()})
            print(json.dumps(rows_of(out)[-1]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
