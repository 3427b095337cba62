"""The checks of `explorer doctor`: mainly parts whose absence would only show as a blank page."""

import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from explorer import fast
from explorer.core.errors import InputError, first_line
from explorer.core.files import check_writable, data_folder, home


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
    rows.append(_fast())
    rows.append(_writable("own folder", home()))
    rows.append(_temporary())
    return rows


def _temporary() -> dict[str, str]:
    try:
        return _row("temporary files", True, tempfile.gettempdir())  # it writes a file to find out
    except OSError as error:
        return _row("temporary files", False, f"{first_line(error)}; set TMPDIR to a folder that can be written")


def _writable(what: str, folder: Path) -> dict[str, str]:
    """Whether a folder can be written, known by writing a file: permissions alone do not tell."""
    try:
        check_writable(folder)
    except InputError as error:
        return _row(what, False, str(error))
    return _row(what, True, str(folder))


def _fast() -> dict[str, str]:
    """Which fast (compiled) operations are on."""
    said = "on: " + ", ".join(name for name in fast.NAMES if name in fast.ON) if fast.ON else "off (EXPLORER_FAST=0)"
    if fast.ON and find_spec("numba") is not None:
        from explorer.fast.compiled import cached

        said += "" if cached() else "; compiled again in every process, because no folder for the result can be written"
    return _row("fast training on CPUs", True, said)


def _row(what: str, fine: bool, detail: str) -> dict[str, str]:
    return {"what": what, "state": "ok" if fine else "broken", "detail": detail}


def _package(name: str, needed: bool) -> dict[str, str]:
    try:
        return {"what": name, "state": "ok", "detail": version(name)}
    except PackageNotFoundError:
        extra = "lab" if name == "jupyterlab" else "train"
        detail = "pip install pareto-explorer" + ("" if needed else f"[{extra}]")
        return {"what": name, "state": "broken" if needed else "absent", "detail": detail}
