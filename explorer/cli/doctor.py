"""The checks of `explorer doctor`: mainly parts whose absence would only show as a blank page."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from explorer import fast
from explorer.core.files import data_folder, home


def checks() -> list[dict[str, str]]:
    """Rows of {"what", "state": "ok" | "absent" | "broken", "detail"}."""
    rows = [_row("python", sys.version_info >= (3, 11), platform.python_version())]
    for name in ("numpy", "pandas", "onnxruntime", "plotly", "ipywidgets", "anywidget", "voila"):
        rows.append(_package(name, needed=True))
    for name in ("torch", "torchvision", "lightning-fabric", "jupyterlab"):
        rows.append(_package(name, needed=False))
    for name in ("anywidget", "@jupyter-widgets/jupyterlab-manager"):
        folder = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / name
        rows.append(_row(f"widget extension {name}", folder.is_dir(), str(folder)))
    rows.append(_row("notebook kernel", find_spec("ipykernel") is not None, "ipykernel"))
    rows.append(_row("shipped studies", any(data_folder("studies").glob("*/study.json")), str(data_folder("studies"))))
    rows.append(_row("fast training on CPUs", True, _fast()))
    writable = os.access(_existing(home()), os.W_OK)
    rows.append(_row("own folder", writable, str(home())))
    return rows


def _fast() -> str:
    """Which fast (compiled) operations are on."""
    if not fast.ON:
        return "off (EXPLORER_FAST=0)"
    return "on: " + ", ".join(name for name in fast.NAMES if name in fast.ON)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _row(what: str, fine: bool, detail: str) -> dict[str, str]:
    return {"what": what, "state": "ok" if fine else "broken", "detail": detail}


def _package(name: str, needed: bool) -> dict[str, str]:
    try:
        return {"what": name, "state": "ok", "detail": version(name)}
    except PackageNotFoundError:
        extra = "lab" if name == "jupyterlab" else "train"
        detail = "pip install pareto-explorer" + ("" if needed else f"[{extra}]")
        return {"what": name, "state": "broken" if needed else "absent", "detail": detail}
