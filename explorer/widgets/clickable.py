"""HTML with buttons that name networks: one click, key press or touch takes one, pointing at it marks it in the chart.

Jupyter's buttons hold plain text; a row of drawings or a table with a button per row needs HTML.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

ESM = """
export default {
  render({ model, el }) {
    const show = () => {
      const focused = el.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      el.innerHTML = model.get("html");
      if (focused) el.querySelector(`button[data-key="${CSS.escape(focused)}"]`)?.focus();
    };
    const key = (event) => event.target.closest?.("button[data-key]")?.dataset.key;
    let pointed = "";
    const point = (to) => { if (to !== pointed) { pointed = to; model.send({ pointed: to }); } };
    el.addEventListener("click", (event) => { const at = key(event); if (at) model.send({ taken: at }); });
    el.addEventListener("mouseover", (event) => point(key(event) ?? ""));
    el.addEventListener("mouseleave", () => point(""));
    el.addEventListener("focusin", (event) => point(key(event) ?? ""));
    el.addEventListener("focusout", () => point(""));
    el.dataset.lmSuppressShortcuts = "true";  // JupyterLab's keys are not meant here
    model.on("change:html", show);
    show();
  },
};
"""


class Clickable(anywidget.AnyWidget):
    """Shows HTML; its `<button data-key="...">` report their key.

    Args:
        taken: called with the key of a button that was pressed.
        pointed: called with the key of the button that the mouse or the keyboard is on, "" when it leaves.

    Attributes:
        html: the content; whoever sets it has to escape text from outside.
    """

    _esm = ESM
    html = traitlets.Unicode().tag(sync=True)

    def __init__(self, taken: Callable[[str], Any], pointed: Callable[[str], Any] = lambda key: None) -> None:
        super().__init__()
        self._taken, self._pointed = taken, pointed
        self.on_msg(lambda _, content, __: self.receive(content))

    def receive(self, content: dict[str, Any]) -> None:
        """Handle a message of the browser; only keys of buttons that are shown count."""
        for name, act in (("taken", self._taken), ("pointed", self._pointed)):
            key = content.get(name)
            if isinstance(key, str) and (f'data-key="{key}"' in self.html or (name == "pointed" and not key)):
                act(key)
