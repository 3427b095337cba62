"""Names for sliders: ipywidgets gives its handles the role slider and no accessible name (jupyter-widgets#2650)."""

from __future__ import annotations

from collections.abc import Mapping

import anywidget
import traitlets

ESM = """
export default {
  render({ model }) {
    // the handles are drawn some time after this; looking for them ends when all are named
    let left = 200;
    const name = () => {
      let missing = 0;
      for (const [where, text] of Object.entries(model.get("names"))) {
        const handles = document.querySelectorAll("." + where + " .noUi-handle");
        handles.forEach((handle) => handle.setAttribute("aria-label", text));
        missing += handles.length === 0;
      }
      if (missing && left-- > 0) setTimeout(name, 100);
    };
    name();
  },
};
"""


class SliderNames(anywidget.AnyWidget):
    """Sets `aria-label` on sliders; shows nothing.

    Args:
        names: CSS class of a slider -> its name.
    """

    _esm = ESM
    names = traitlets.Dict().tag(sync=True)

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(names=dict(names))
