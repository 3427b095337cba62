"""The page without its server: a cut connection, a killed kernel; and that it asks no other host for anything."""

import os
import re
import signal
import socket
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from explorer.page.serve import address
from tests.browser.pages import chromium, ready, voila

pytestmark = pytest.mark.browser


class Relay:
    """A TCP connection to the server that can be cut and restored, as a network can."""

    def __init__(self, port):
        self.to, self.up, self.open = port, True, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self.server.accept()
                if not self.up:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.to))
                self.open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.up = False
        for end in self.open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open = []


def test_without_a_connection_the_page_says_so_and_comes_back():
    where = address()
    with chromium() as browser, voila("digits", where=where):
        relay = Relay(where.port)
        page = browser.new_page()
        ready(page, relay.url)
        bar, field = page.locator(".explorer-disconnected"), page.get_by_label("cpu [ms]").first
        field.fill("0,02")
        field.press("Enter")
        page.wait_for_timeout(6000)
        assert bar.count() == 0, "it answers"
        relay.cut()
        bar.wait_for(timeout=7000)
        assert "Not connected" in bar.inner_text()
        assert page.evaluate("document.querySelector('.pareto-explorer').inert")
        relay.up = True
        bar.wait_for(state="detached", timeout=60_000)
        assert not page.evaluate("document.querySelector('.pareto-explorer').inert")
        field.fill("0,021")
        field.press("Enter")
        page.wait_for_timeout(1000)
        seen = page.locator(".architecture-text").first.inner_text()
        assert "0.021" in field.input_value()
        for pid in _kernels():
            os.kill(pid, signal.SIGKILL)
        bar.wait_for(timeout=8000)
        bar.get_by_role("link", name="Reload this view").click()
        page.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
        page.wait_for_timeout(1000)
        assert "0.021" in page.get_by_label("cpu [ms]").first.input_value()
        assert page.locator(".architecture-text").first.inner_text() == seen
        relay.server.close()


def _children(pid):
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):
            found += open(f"/proc/{pid}/task/{thread}/children").read().split()
    return [int(child) for child in found]


def _kernels():
    """The kernels of the server that this test started."""
    below = [process for server in _children(os.getpid()) for process in _children(server)]
    nursery = next(pid for pid in below if "explorer.page.nursery" in open(f"/proc/{pid}/cmdline").read())
    return _children(nursery)


def come_in(page, address):
    """Open the page as soon as there is a place."""
    for _ in range(60):
        if page.goto(address).status == 200:
            page.wait_for_selector(".js-plotly-plot .main-svg", timeout=60_000)
            return
        page.wait_for_timeout(1000)
    raise AssertionError("no place became free")


def test_a_full_page_says_so_and_frees_its_places():
    with chromium() as browser, voila("digits", visitors=1, idle=5) as address:
        first, second = browser.new_page(), browser.new_page()
        come_in(first, address)  # the first request was that of `voila`, which waits until the server answers
        assert second.goto(address).status == 503
        assert "this page serves 1 at once" in second.locator("body").inner_text()
        first.close()
        come_in(second, address)


def test_a_websocket_in_the_old_protocol_is_refused():
    """Voila would read its messages as those of the new one, and fill the memory of the machine."""
    with voila("digits") as address:
        body = urllib.request.urlopen(address, timeout=120).read().decode()
        kernel = re.search(r'"kernelId": *"([^"]+)"', body)[1]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{address}api/kernels/{kernel}/channels", timeout=60)


def test_nothing_is_asked_of_another_host():
    """With every other host refused the page is complete; and it does not even try one."""
    with chromium() as browser, voila("digits") as url:
        here, asked = urlsplit(url).netloc, []
        page = browser.new_page()

        def only_here(route):
            other = urlsplit(route.request.url)
            if other.scheme in ("http", "https", "ws", "wss") and other.netloc != here:
                asked.append(route.request.url)
                return route.abort()
            return route.continue_()

        page.route("**/*", only_here)
        ready(page, url)
        page.get_by_role("button", name="Suggest: the knee").click()
        page.wait_for_timeout(1500)
        page.goto(f"{url}voila/render/nothing.ipynb")
        assert asked == []
