"""Serving the page: Voila on a copy of the packaged notebook, and JupyterLab on the notebooks.

The copy lies in a fresh private folder, so the server sees nothing else of the machine. It binds to loopback, strips
sources and tracebacks, and ends kernels that nobody uses.
"""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from explorer.errors import InputError, MissingExtra
from explorer.files import data_folder

PAGE = "explorer.ipynb"
DOWNLOADS = (
    r"['exports/explorer-[0-9a-f]+/[^/]+\.(onnx|pt2|py|safetensors|json|md)']"  # of sessions, under unguessable names
)


def free_port(port: int | None) -> int:
    """The port asked for, or any free one.

    Raises:
        InputError: out of range or taken.
    """
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"port = {port}; choose from 1 to 65535")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port or 0))
        except OSError as error:
            raise InputError(f"port {port} is taken or not allowed: {error.strerror}") from error
        return int(s.getsockname()[1])


def page_folder() -> Path:
    """A fresh private folder with a copy of the page's notebook and Voila's settings."""
    folder = Path(tempfile.mkdtemp(prefix="explorer-page-"))
    for name in (PAGE, "voila.json"):
        shutil.copyfile(data_folder("notebooks") / name, folder / name)
    return folder


def voila_command(folder: Path, port: int, browser: bool, preheat: int = 0, theme: str = "light") -> list[str]:
    """The command that serves the page, with so many kernels that have it ready before it is asked for."""
    command = [
        sys.executable, "-m", "voila", PAGE, f"--port={port}", "--Voila.ip=127.0.0.1",
        "--MappingKernelManager.cull_interval=60", "--MappingKernelManager.cull_idle_timeout=300",
        "--VoilaConfiguration.show_tracebacks=False", "--VoilaConfiguration.strip_sources=True",
        f"--VoilaConfiguration.file_allowlist={DOWNLOADS}",
        "--VoilaConfiguration.allow_template_override=NO",
        "--VoilaConfiguration.allow_theme_override=NOTEBOOK",
    ]  # fmt: skip
    command.append(f"--VoilaConfiguration.theme={theme}")
    if preheat:
        command += ["--preheat_kernel=True", f"--pool_size={preheat}"]
    return command if browser else [*command, "--no-browser"]


def page_environment(
    study: str | None, page: bool = True, data_root: Path | None = None, theme: str = "light"
) -> dict[str, str]:
    """Which study the page opens on, whether it is a page (not a notebook in Lab), and where it may read images."""
    given = {
        "EXPLORER_STUDY": study,
        "EXPLORER_PAGE": "1" if page else None,
        "EXPLORER_DATA_ROOT": data_root,
        "EXPLORER_THEME": theme,
    }
    return os.environ | {name: str(value) for name, value in given.items() if value}


def url(port: int) -> str:
    """Where the page is."""
    return f"http://127.0.0.1:{port}/"


def lab_command(folder: Path, port: int, browser: bool) -> list[str]:
    """The command that opens the notebooks in JupyterLab.

    Raises:
        MissingExtra: JupyterLab is not installed.
    """
    from importlib.util import find_spec

    if find_spec("jupyterlab") is None:
        raise MissingExtra("JupyterLab is not installed: pip install 'pareto-explorer[lab]'")
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}", f"--notebook-dir={folder}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command if browser else [*command, "--no-browser"]


def lab_folder() -> Path:
    """A copy of the notebooks that may be changed, in the user's own folder; existing files stay."""
    from explorer.files import home

    folder = home() / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for source in data_folder("notebooks").glob("*.ipynb"):
        if not (folder / source.name).exists():
            shutil.copyfile(source, folder / source.name)
    return folder
