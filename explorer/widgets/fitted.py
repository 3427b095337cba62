"""Charts that fill their column also where they were drawn before the browser had laid it out.

A chart of plotly fits itself to its column when it is drawn and when the window changes. One that replaces another on
an open page is drawn too early and stays 700 pixels wide. This widget, without a height, lies beside it and tells it.
"""

from __future__ import annotations

import anywidget

ESM = """
export default {
  render({ el }) {
    const off = (plot) => {
      const drawn = plot._fullLayout;
      return drawn && (Math.abs(drawn.width - plot.clientWidth) > 1 || Math.abs(drawn.height - plot.clientHeight) > 1);
    };
    const fit = () => {
      const page = el.closest(".pareto-explorer") ?? el.parentElement;
      const plots = [...(page?.querySelectorAll(".js-plotly-plot") ?? [])].filter((plot) => plot.clientWidth);
      if (plots.some(off)) window.dispatchEvent(new Event("resize"));
    };
    const observer = new ResizeObserver(fit);
    observer.observe(el);
    requestAnimationFrame(() => { if (el.parentElement) observer.observe(el.parentElement); });
    let left = 20;  // a chart may be drawn some time after this
    const timer = setInterval(() => { fit(); if (--left <= 0) clearInterval(timer); }, 300);
    return () => { observer.disconnect(); clearInterval(timer); };
  },
};
"""


class Fitted(anywidget.AnyWidget):
    """Makes the charts beside it fit again whenever the size of their place becomes known or changes."""

    _esm = ESM
