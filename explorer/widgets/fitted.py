"""Charts that fill their column also where they were drawn before the browser had laid it out.

A chart of plotly fits itself to its column when it is drawn and when the window changes. One that replaces another on
an open page is drawn too early and stays 700 pixels wide. This widget, without a height, lies beside it and tells it.
"""

from __future__ import annotations

import anywidget

ESM = """
export default {
  render({ el }) {
    const observer = new ResizeObserver(() => window.dispatchEvent(new Event("resize")));
    observer.observe(el);
    return () => observer.disconnect();
  },
};
"""


class Fitted(anywidget.AnyWidget):
    """Makes the page's charts fit again whenever the width of its own place becomes known or changes."""

    _esm = ESM
