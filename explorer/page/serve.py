"""Serving the page: Voila on a copy of the packaged notebook, and JupyterLab on the notebooks.

The copy is in a new private folder, so that the server serves no other files of the machine. The server binds to
loopback by default; on any other address it requires a token. It strips source code and tracebacks from the page, and
ends idle kernels.
"""

import ipaddress
import json
import os
import re
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from explorer.core.errors import InputError, MissingExtra
from explorer.core.files import check_writable, data_folder, expanded, home, scratch_folder

PAGE = "explorer.ipynb"
SERVER_MB, VISITOR_MB = 600, 100  # memory of the server with what visitors share, and of one visitor
TEMPLATES = Path(__file__).parent / "jupyter"  # a data folder of Jupyter with Voila's template "explorer"
# exported files of sessions, in folders with unguessable names
DOWNLOADS = r"['exports/explorer-[0-9a-f]+/[A-Za-z0-9._-]+\.(onnx|tflite|pt2|py|safetensors|json|md|html)']"


@dataclass(frozen=True)
class Address:
    """Where the page is served.

    Attributes:
        port: port of the server.
        host: address that the server binds to.
        base: path of the page, such as "/" or "/tools/explorer/"; a proxy may pass it on or remove it.
        token: token that a visitor has to give, or None.
    """

    port: int
    host: str = "127.0.0.1"
    base: str = "/"
    token: str | None = None

    @property
    def url(self) -> str:
        """The URL to open in a browser on this machine, with the token."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        query = f"?token={self.token}" if self.token else ""
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.base}{query}"


def address(port: int | None = None, host: str = "127.0.0.1", base: str = "/", token: str | None = None) -> Address:
    """Check the address to serve on, and fill in a free port and a token; only loopback may have no token.

    Raises:
        InputError: the host is not an address of this machine, the port is taken, or the path or the token has
            characters that are not allowed.
    """
    if not re.fullmatch(r"/((?!\.+/)[A-Za-z0-9._~-]+/)*", base.rstrip("/") + "/"):
        raise InputError(f"base {base!r}: expected a path that begins with /, such as /explorer/")
    base = base.rstrip("/") + "/"
    if token is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", token):
        raise InputError("token: expected 16 to 200 letters, digits, - and _")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise InputError(
            f"host {host!r} is not an IP address; choose from: 127.0.0.1, 0.0.0.0, an address of this machine"
        ) from None
    made = token or (None if local else secrets.token_urlsafe(24))
    return Address(free_port(port, host), host, base, made)


def free_port(port: int | None, host: str = "127.0.0.1") -> int:
    """The given port if it is free; any free port if none is given.

    Raises:
        InputError: the port is out of range or taken, or the host is not an address of this machine.
    """
    if port is not None and not 1 <= port <= 65535:
        raise InputError(f"port = {port}; choose from 1 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port or 0))
        except OSError as error:
            what = f"port {port}" if port else f"host {host!r}"
            raise InputError(f"{what} is taken or not allowed: {error.strerror}") from error
        return int(s.getsockname()[1])


def page_folder(where: Address) -> Path:
    """Make a private folder with a copy of the page's notebook and Voila's settings.

    The token is in these settings and not on the command line, which other users of the machine can see.
    """
    folder = scratch_folder("explorer-page-")
    shutil.copyfile(data_folder("notebooks") / PAGE, folder / PAGE)
    settings = json.loads((data_folder("notebooks") / "voila.json").read_text())
    settings["Voila"] = {"ip": where.host, "port": where.port, "base_url": where.base}
    if where.token:
        settings["Voila"]["token"] = where.token
    (folder / "voila.json").write_text(json.dumps(settings))
    return folder


def places() -> int:
    """How many visitors fit into the memory that is free now, at what one was measured to need (docs/page.md)."""
    try:
        found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:  # not Linux
        found = None
    free = int(found[1]) / 1024 if found else 4096.0
    return max(2, int((free - SERVER_MB) / VISITOR_MB))


def voila_command(
    browser: bool, preheat: int = 0, theme: str = "light", idle: int = 300, visitors: int | None = None
) -> list[str]:
    """The command that serves the page.

    Args:
        browser: whether to open the page in a browser.
        preheat: number of kernels that build the page before it is requested.
        theme: "light" or "dark".
        idle: seconds after which a kernel without a connection is ended.
        visitors: visitors at once, those kept ready included; by default as many as fit into memory.
    """
    command = [
        sys.executable, "-m", "explorer.page.server", PAGE,
        f"--MappingKernelManager.cull_interval={max(5, idle // 5)}", f"--MappingKernelManager.cull_idle_timeout={idle}",
        "--VoilaConfiguration.show_tracebacks=False", "--VoilaConfiguration.strip_sources=True",
        f"--VoilaConfiguration.file_allowlist={DOWNLOADS}",
        "--VoilaConfiguration.multi_kernel_manager_class=explorer.page.kernels.Kernels",
        f"--Kernels.most={visitors or places() + preheat}",
        "--VoilaConfiguration.template=explorer",
        "--VoilaConfiguration.allow_template_override=NO",
        "--VoilaConfiguration.allow_theme_override=NOTEBOOK",
    ]  # fmt: skip
    command.append(f"--VoilaConfiguration.theme={theme}")
    if preheat:
        command += ["--preheat_kernel=True", f"--pool_size={preheat}"]
    return command if browser else [*command, "--no-browser"]


def page_environment(
    study: str | None, page: bool = True, data_root: Path | None = None, theme: str = "light", own: bool = False
) -> dict[str, str]:
    """The environment variables of the server.

    They name the study to show first, say whether this is the page (not a notebook in Lab), give the folder below which
    it may read images and the theme, say whether visitors are this machine's user (`own`), who may watch and stop its
    trainings, and say where the page's template is.
    """
    places = [str(TEMPLATES), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    given: dict[str, object] = {
        "JUPYTER_PATH": os.pathsep.join(places),
        "EXPLORER_STUDY": study,
        "EXPLORER_PAGE": "1" if page else None,
        "EXPLORER_DATA_ROOT": data_root,
        "EXPLORER_TRAININGS": "1" if own or data_root else None,
        "EXPLORER_THEME": theme,
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "explorer-forked" if page and sys.platform == "linux" else None,
    }
    # the server works in another folder, where relative paths would lead elsewhere
    for name in ("EXPLORER_HOME", "EXPLORER_REFERENCE", "EXPLORER_FASHION_MNIST"):
        given[name] = os.environ.get(name) and expanded(os.environ[name]).resolve()
    return os.environ | {name: str(value) for name, value in given.items() if value}


def own_folders(folder: Path) -> dict[str, str]:
    """Environment variables that keep Jupyter's own files in a folder, where the home folder cannot be written."""
    try:
        check_writable(Path.home() / ".local" / "share" / "jupyter" / "runtime")
    except (InputError, RuntimeError):
        return {name: str(folder / ".jupyter") for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    return {}


def trouble() -> str:
    """One line where the user's own folder cannot be written, so that the page keeps nothing; "" otherwise."""
    try:
        check_writable(home() / "studies")
    except InputError as error:
        return f"{error}: studies trained on the page are not kept; set EXPLORER_HOME to a folder that can be written"
    return ""


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
    """Copy the notebooks to the user's own folder, where they can be edited; existing files are kept.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = home() / "notebooks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in data_folder("notebooks").glob("*.ipynb"):
            if not (folder / source.name).exists():
                shutil.copyfile(source, folder / source.name)
    except OSError as error:
        raise InputError(f"cannot write to {str(folder)!r}: {error.strerror or error}") from error
    return folder
