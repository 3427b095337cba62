"""A slider for another device, at once: a known one, or a device file of the user."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as w
import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import scratch
from explorer.devices import LayerDevice, is_target, load_device
from explorer.devices.files import shipped_devices
from explorer.devices.population import prices
from explorer.study import Study
from explorer.study.add_device import answered
from explorer.widgets.guarded import alert, guarded

LARGEST = 20 << 20  # bytes of a device file


class OwnDevice(w.VBox):
    """A menu of known devices, a button, and a field for a device file.

    Args:
        study: returns the study on the page.
        add: adds a device to it, and shows it.
    """

    def __init__(self, study: Callable[[], Study], add: Callable[[LayerDevice], None]) -> None:
        self.study, self.add_device = study, add
        say = self._say  # here, because the page's own place for messages may be out of sight
        self.known = w.Dropdown(description="device", layout={"width": "340px"})
        self.add = w.Button(description="Add its slider", layout={"width": "140px"})
        self.upload = w.FileUpload(
            accept=".json,.csv,.yaml,.yml", multiple=False, description="Device file", layout={"width": "160px"}
        )
        self.about = w.HTML()
        self.add.on_click(guarded(say)(lambda _: self._done(load_device(str(self.known.value)))))
        self.upload.observe(guarded(say)(lambda change: self._uploaded(change["new"])), "value")
        super().__init__([
            w.HTML(
                "<small>A slider at once, without training. <code>explorer device measure</code>, "
                "<code>kit</code> or <code>fit</code> write a device file; a latency table will do, too.</small>"
            ),
            w.HBox([self.known, self.add], layout={"flex_flow": "row wrap"}), self.upload, self.about,
        ])  # fmt: skip

    def refreshed(self) -> OwnDevice:
        """The panel, with the devices that there are now."""
        self.refresh()
        return self

    def refresh(self) -> None:
        """List the known devices that the study does not have and that have a cost for its networks."""
        study = self.study()
        one = study.space.canonical(np.zeros((1, len(study.space.decisions)), np.int8))
        names = [
            name for name in shipped_devices()
            if name not in study.devices and not np.isnan(prices(study.space, load_device(name), one)[0])
        ]  # fmt: skip
        self.known.options, self.known.value = names, names[0] if names else None
        self.known.disabled = self.add.disabled = not names

    def _uploaded(self, files: tuple) -> None:
        if not files:
            return
        name, content = Path(str(files[0]["name"])).name, bytes(files[0]["content"])
        self.upload.value = ()
        if len(content) > LARGEST:
            raise InputError(f"{name!r} has {len(content) >> 20} MB; a device file has at most {LARGEST >> 20} MB")
        with scratch("explorer-device-") as folder:
            path = folder / (name if name.isprintable() and len(name) < 200 else "device.json")
            path.write_bytes(content)
            try:
                device = load_device(path)
            except InputError as error:
                raise InputError(str(error).replace(str(path), name)) from error
        self._done(device)

    def _say(self, text: str, details: str = "") -> None:
        self.about.value = alert(text, details)

    def _done(self, device: LayerDevice) -> None:
        if not is_target(device):
            raise InputError(
                f"device {device.name!r} counts; only a latency, a memory, a size or an energy gets a slider"
            )
        self.add_device(device)
        self.refresh()
        self.about.value = (
            f'<div role="status">{escape(device.name)} has a slider while this page is open. '
            f"{escape(answered(self.study(), device.name))} To keep it: "
            f"<code>explorer device add STUDY {escape(device.name)} --out FOLDER</code></div>"
        )
