"""The served page keeps to itself: loopback, token, allow-list, no sources; and it works behind a proxy."""

import shutil
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from explorer.cli import run
from explorer.core.errors import InputError
from explorer.page.serve import address, page_folder
from tests.browser.pages import chart, chromium, ready, voila
from tests.trust.reliability import TRIED

TOKEN = "a-token-of-ones-own-0123"


def _get(url):
    """(status, body), redirects not followed."""

    class _Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    TRIED["requests"] += 1
    try:
        with urllib.request.build_opener(_Stay).open(url, timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def _own_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        found = s.getsockname()[0]
    return None if found.startswith("127.") else found


def test_addresses():
    assert address().host == "127.0.0.1"
    assert address().token is None
    everywhere = address(host="0.0.0.0")
    assert len(everywhere.token) >= 24
    assert everywhere.token != address(host="0.0.0.0").token
    assert everywhere.url.startswith("http://127.0.0.1:")
    assert address(host="0.0.0.0", token=TOKEN).url.endswith(f"/?token={TOKEN}")
    assert address(base="/tools/explorer/").url.endswith("/tools/explorer/")
    for wrong in ({"host": "nowhere"}, {"host": "203.0.113.7"}, {"base": "explorer"}, {"base": "/../"[:-1]}, {"base": "/a b/"},
                  {"token": "short"}, {"token": "x" * 20 + "\n"}, {"port": 70000}):  # fmt: skip
        with pytest.raises(InputError):
            address(**wrong)


def test_the_token_is_in_no_command_line():
    from explorer.page.serve import voila_command

    folder = page_folder(address(host="0.0.0.0", token=TOKEN))
    try:
        assert not any(TOKEN in part for part in voila_command(False))
        assert TOKEN in (folder / "voila.json").read_text()
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        shutil.rmtree(folder)


def test_bad_addresses_are_one_plain_line(capsys):
    for arguments in (["--host", "nowhere"], ["--base", "x"], ["--token", "short"]):
        assert run(["dashboard", "digits", "--no-browser", *arguments]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_page_is_for_this_machine_and_serves_its_list_only():
    with voila("digits") as url:
        own = _own_address()
        if own is not None:
            with pytest.raises(OSError, match="refused|timed out|unreachable"):
                urllib.request.urlopen(url.replace("127.0.0.1", own), timeout=10)
        status, body = _get(url)
        assert status == 200
        for source in ("import explorer", "ex.Dashboard", "from explorer", "Traceback"):
            assert source not in body
        for path in (
            "explorer.ipynb", "voila.json", "exports/secret/x.onnx", "exports/explorer-0/../../voila.json", "../voila.json",
            "..%2fvoila.json", "%2e%2e/%2e%2e/etc/passwd", "..%252f..%252fetc/passwd", "/etc/passwd", "exports/explorer-0/x.py%00.md",
        ):  # fmt: skip
            status, body = _get(f"{url}voila/files/{path}")
            assert status in (400, 403, 404), path
            assert "root:" not in body
        for path in (
            "voila/tree/",
            "voila/render/voila.json",
            "api/contents/",
            "api/terminals",
            "files/explorer.ipynb",
        ):
            status, body = _get(url + path)
            assert status in (302, 403, 404, 405), path
            assert "import explorer" not in body


def test_elsewhere_it_wants_a_token():
    where = address(host="0.0.0.0", token=TOKEN)
    with voila("digits", where=where) as url:
        bare = url.split("?")[0]
        for path in ("", "voila/files/exports/explorer-0/x.onnx", "api/kernels/x/channels", "voila/static/voila.js"):
            status, body = _get(bare + path)
            assert status in (302, 401, 403, 404) or (status == 200 and path.startswith("voila/static")), path
            assert "jupyter-config-data" not in body or "kernelId" not in body
        status, _ = _get(f"{bare}?token=a-wrong-token-0123456789")
        assert status in (302, 401, 403)
        with chromium() as browser:
            page = browser.new_page()
            ready(page, url)
            assert chart(page)["generated"]["n"] == 1


PROXY = """
daemon off; pid {folder}/pid; error_log {folder}/error; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port};
    location {base} {{
      proxy_pass http://127.0.0.1:{inner}{rest}; proxy_set_header Host $host:$server_port; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


@pytest.mark.parametrize("rest", ["", "/"], ids=["the path is passed on", "the path is removed"])
def test_it_works_below_a_path_of_nginx(tmp_path, rest):
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    inner, outer = address(base="/tools/explorer"), address()
    text = PROXY.format(folder=tmp_path, port=outer.port, inner=inner.port, base=inner.base, rest=rest)
    (tmp_path / "nginx.conf").write_text(text)
    proxy = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.PIPE)
    try:
        with voila("digits", where=inner) as direct, chromium() as browser:
            assert _get(direct.rstrip("/"))[0] in (200, 302), "without the slash at the end, too"
            page = browser.new_page()
            ready(page, f"http://127.0.0.1:{outer.port}/tools/explorer?study=digits")
            assert page.url.startswith(f"http://127.0.0.1:{outer.port}/tools/explorer/?study=digits")
            before = chart(page)
            assert before["evaluated"]["n"] > 100
            page.locator(".slider-mobile .noUi-handle").press("Home")
            page.wait_for_timeout(2000)
            assert chart(page)["generated"]["x"] != before["generated"]["x"]
    finally:
        proxy.terminate()
        proxy.wait(10)
