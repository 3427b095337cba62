"""Names and values of log-scale sliders for screen readers.

ipywidgets gives slider handles the role "slider" but no accessible name (jupyter-widgets#2650), and a screen reader
would read out the logarithm as the value.
"""

from __future__ import annotations

from collections.abc import Mapping

import anywidget
import traitlets

ESM = """
export default {
  render({ model }) {
    // the handles are drawn some time after this; looking for them ends when all are named
    let left = 200;
    const value = (handle, unit) => {
      const text = handle.getAttribute("aria-valuetext");
      const spoken = `${(10 ** Number(text)).toPrecision(3)} ${unit}`;
      if (text && !Number.isNaN(Number(text))) handle.setAttribute("aria-valuetext", spoken);
    };
    const name = () => {
      let missing = 0;
      for (const [where, [text, unit]] of Object.entries(model.get("names"))) {
        const handles = document.querySelectorAll("." + CSS.escape(where) + " .noUi-handle");
        handles.forEach((handle) => {
          if (handle.getAttribute("aria-label") === text) return;
          handle.setAttribute("aria-label", text);
          value(handle, unit);
          new MutationObserver(() => value(handle, unit)).observe(handle, { attributeFilter: ["aria-valuetext"] });
        });
        missing += handles.length === 0;
      }
      if (missing && left-- > 0) setTimeout(name, 100);
    };
    name();
  },
};
"""


class SliderNames(anywidget.AnyWidget):
    """Sets `aria-label` and `aria-valuetext` on sliders; an invisible widget.

    Args:
        names: CSS class of a slider -> (its name, the unit of its value).
    """

    _esm = ESM
    names = traitlets.Dict().tag(sync=True)

    def __init__(self, names: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(names={where: list(named) for where, named in names.items()})
