"""A clock in the browser: asks the kernel to look again while its place is on the screen, and not otherwise.

A kernel whose page is closed, or shows another tab, is left in peace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

ESM = """
export default {
  render({ model, el }) {
    let last = Date.now();
    const timer = setInterval(() => {
      const seconds = model.get("seconds");
      const seen = document.visibilityState === "visible" && el.getClientRects().length > 0;
      if (!seconds || !seen || Date.now() - last < 1000 * seconds) return;
      last = Date.now();
      model.send({ tick: true });
    }, 500);
    return () => clearInterval(timer);
  },
};
"""


class Ticker(anywidget.AnyWidget):
    """Calls a function every so many seconds while it is visible.

    Args:
        ticked: the function.

    Attributes:
        seconds: how often; 0 stops the clock.
    """

    _esm = ESM
    seconds = traitlets.Float(2.0).tag(sync=True)

    def __init__(self, ticked: Callable[[], Any]) -> None:
        super().__init__()
        self.on_msg(lambda _, content, __: ticked() if content.get("tick") is True else None)
