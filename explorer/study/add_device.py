"""A study with one more device, as a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from explorer.core.errors import InputError
from explorer.core.files import empty_folder, hand_over, write_json
from explorer.core.protocols import Progress, silent
from explorer.devices import device_json
from explorer.study import Study, open_study
from explorer.study.write import seal, write_searched

SEARCHED = 60_000  # evaluations of the front that an added device gets


def add_device(study: Study, device: Any, out: str | Path, progress: Progress = silent) -> Study:
    """A study with one more device: every network is priced on it, and the generator trained again, nothing else.

    Args:
        study: stays as it is.
        device: a device with a file format (a block table or a layer model).
        out: an empty or new folder.
        progress: reports steps.

    Raises:
        InputError: `out` is not empty, the study is a family of pruned networks, the name is taken, or the device
            cannot price the space.
    """
    if study.is_table:
        raise InputError(
            f"study {study.name!r} is a family of pruned networks; add {device.name!r} to the study that it came from, "
            "and prune that one"
        )
    out = empty_folder(out)
    text = device_json(device)
    wider = study.with_device(device, progress=progress)
    with tempfile.TemporaryDirectory(prefix="explorer-device-") as scratch:
        work = Path(scratch) / "study"  # the scratch folder itself is nobody else's to read
        for name in study.manifest.files:
            if not name.startswith(("generator-", "front-", "README")):
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(study.folder / name, work / name)
        write_json(work / "devices" / f"{device.name}.json", text)
        for name in wider.generators:
            wider.generator(name).save(work / f"generator-{name}.onnx")
        if device.unit == "ms":
            write_searched(work, wider.search(devices=[device.name], evaluations=SEARCHED), study.scored)
        manifest = study.manifest.model_dump(exclude={"files", "reference", "versions", "devices", "generators"})
        manifest["name"] = f"{study.name[: 63 - len(device.name)]}-{device.name}"
        manifest["title"] = f"{study.manifest.title[: 190 - len(device.name)]} + {device.name}"
        seal(work, study.space, manifest, list(wider.devices.values()), study.scored, study.predictor)
        hand_over(work, out)
    return open_study(out)
