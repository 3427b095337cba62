"""A bar on the page while it has no connection to its kernel; without it, sliders move and numbers silently stay.

The browser asks the kernel every two seconds. Without an answer for `SILENT` seconds the page is made inert and the bar
says how to go on; it disappears with the next answer, because Jupyter reconnects where the kernel still lives.
"""

from __future__ import annotations

import os
from typing import Any

import anywidget
import traitlets

SILENT = 3.0  # seconds without an answer after which the bar is shown
ESM = """
export default {
  initialize({ model }) {
    const root = () => document.querySelector(".pareto-explorer");
    let asked = 0, answered = performance.now(), bar = null, tries = 0;
    const kernel = () => {
      const manager = model.widget_manager;
      return manager?.kernel ?? manager?.context?.sessionContext?.session?.kernel;
    };
    const address = () => {
      const old = new URLSearchParams(location.search), query = new URLSearchParams(model.get("query"));
      if (old.has("token")) query.set("token", old.get("token"));
      return location.pathname + "?" + query;
    };
    const show = () => {
      bar = document.createElement("div");
      bar.className = "explorer-disconnected";
      bar.setAttribute("role", "alert");
      bar.style.cssText = "position:fixed;z-index:10000;top:0;left:0;right:0;padding:12px 16px;background:#8a1c00;" +
        "color:#fff;font:600 15px/1.4 system-ui,sans-serif;text-align:center";
      bar.append(model.get("text") + " ");
      if (model.get("reload")) {
        history.replaceState(null, "", address());  // so that the browser's own reload restores the view, too
        const link = document.createElement("a");
        Object.assign(link, { href: address(), textContent: "Reload this view" });
        link.style.cssText = "color:#fff;text-decoration:underline";
        bar.append(link);
      }
      document.body.append(bar);
      const page = root();
      if (page) { page.inert = true; page.style.opacity = 0.5; }
    };
    const hide = () => {
      bar?.remove();
      bar = null;
      tries = 0;
      const page = root();
      if (page) { page.inert = false; page.style.opacity = ""; }
    };
    model.on("msg:custom", (content) => {
      if (content.answer === undefined) return;
      answered = performance.now();
      hide();
    });
    const ask = () => {
      if (document.hidden) { answered = performance.now(); return; }
      const silent = performance.now() - answered;
      if (silent > model.get("silent") * 1000 && !bar) show();
      // Jupyter gives up after some tries; this goes on, ever less often
      if (bar && ++tries % 8 === 0) kernel()?.reconnect?.()?.catch?.(() => {});
      try { model.send({ ask: ++asked }); } catch (error) { /* no connection: the bar says so */ }
    };
    const timer = setInterval(ask, 1000);
    return () => { clearInterval(timer); hide(); };
  },
  render() {},
};
"""


class Connection(anywidget.AnyWidget):
    """Watches the connection between the page and its kernel; an invisible widget.

    Attributes:
        query: the query string that restores the present view.
    """

    _esm = ESM
    query = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    reload = traitlets.Bool().tag(sync=True)
    silent = traitlets.Float(SILENT).tag(sync=True)

    def __init__(self) -> None:
        page = bool(os.environ.get("EXPLORER_PAGE"))
        text = "Not connected: no answer from the server, so nothing here is updated."
        super().__init__(reload=page, text=text if page else f"{text} If the kernel was restarted, run the cell again.")
        self.on_msg(lambda _, content, __: self.receive(content))

    def receive(self, content: dict[str, Any]) -> None:
        """Answer a message of the browser."""
        if "ask" in content:
            self.send({"answer": content["ask"]})
