"""The server of the page: Voila, which also answers below a path that a proxy removes, and redirects to that path.

It refuses websockets in Jupyter's older protocol: Voila takes their messages for those of the present one, and then
fills the memory of the machine until it is stopped. Browsers use the present one.

A proxy that shows the page below a path either passes the path on or removes it. The page's own links have the path in
both cases; here a request without it is read as if it had one. Started as `python -m explorer.page.server`.
"""

from __future__ import annotations

from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RedirectHandler, RequestHandler
from voila.app import Voila

PROTOCOL = "v1.kernel.websocket.jupyter.org"


class Server(Voila):
    """Voila with one difference: see the head of this file."""

    def listen(self) -> None:
        """Start to serve."""
        answer_below(self.app, self.base_url)
        super().listen()


class Refused(RequestHandler):
    """Refuses a request in one line."""

    def get(self) -> None:
        """Answer with status 403."""
        self.set_status(403)
        self.finish(f"This page speaks {PROTOCOL} only.")


def answer_below(app: Application, base: str) -> None:
    """Let an application that serves below `base` (with slashes at both ends) also answer requests without it."""
    find = app.find_handler

    def find_handler(request: HTTPServerRequest, **more: Any) -> Any:
        path = request.path
        if path == base.rstrip("/") and base != "/":
            return app.get_handler_delegate(request, RedirectHandler, {"url": base, "permanent": False})
        asked = request.headers.get("Sec-WebSocket-Protocol", "")
        if path.endswith("/channels") and PROTOCOL not in asked:
            return app.get_handler_delegate(request, Refused)
        if not path.startswith(base):
            request.path = base.rstrip("/") + path
            request.uri = base.rstrip("/") + (request.uri or "/")
        return find(request, **more)

    app.find_handler = find_handler  # type: ignore[method-assign]


if __name__ == "__main__":
    Server.launch_instance()
