"""A field for a number, with decimal comma or point, which says when it changes what was typed.

A browser's own number field drops a comma on most keyboards ("0,3" becomes "03"), and Jupyter's fields move a number
into their range without a word.
"""

from __future__ import annotations

import math
import re
from typing import Any

import anywidget
import traitlets

ESM = """
export default {
  render({ model, el }) {
    const label = document.createElement("label");
    const field = document.createElement("input");
    const note = document.createElement("div");
    label.textContent = model.get("description");
    label.htmlFor = field.id = "explorer-number-" + crypto.getRandomValues(new Uint32Array(2)).join("");
    note.id = field.id + "-note";
    note.className = "explorer-number-note";
    note.setAttribute("role", "alert");
    note.style.cssText = "font-size:12px;line-height:1.3;font-weight:600";
    Object.assign(field, { type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false });
    field.setAttribute("aria-describedby", note.id);
    field.style.cssText = "width:84px;box-sizing:border-box;height:28px;padding:0 6px;font:inherit;color:inherit;" +
      "background:var(--jp-layout-color0);border:1px solid var(--jp-border-color1)";
    const row = document.createElement("div");
    row.style.cssText = "display:flex;align-items:center;gap:8px;justify-content:flex-end;padding:5px 0";
    row.append(label, field);
    el.append(row, note);
    el.dataset.lmSuppressShortcuts = "true";  // JupyterLab's keys are not meant here
    // wide enough for the outline of the focused field, which is cut off otherwise
    Object.assign(el.style, { overflow: "visible", boxSizing: "border-box", padding: "0 5px" });
    const show = () => {
      field.value = model.get("shown");
      note.textContent = model.get("note");
      field.setAttribute("aria-invalid", String(model.get("note") !== ""));
    };
    const typed = () => { if (field.value !== model.get("shown")) model.send({ typed: field.value }); };
    field.addEventListener("change", typed);
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();  // JupyterLab takes Enter for itself
      if (event.key === "Enter") typed();
      const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (steps) { event.preventDefault(); model.send({ steps }); }
      if (event.key === "Escape") show();
    });
    const enabled = () => { field.disabled = model.get("disabled"); };
    model.on("change:shown change:note change:refreshed", show);
    model.on("change:disabled", enabled);
    show();
    enabled();
  },
};
"""
NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


class NumberField(anywidget.AnyWidget):
    """A labelled field for a number within a range.

    Args:
        value: the number.
        min, max: range; a number outside it is moved to the nearer end, and the field says so.
        step: change by an arrow key.
        description: label, with the unit.
        unit: unit in messages; it may be typed behind the number.
        whole: whether only whole numbers are allowed.
        width: width of label and field together.

    Attributes:
        value: the number; changes are observed as of any widget.
        note: what the field says about the last number that was typed.
    """

    _esm = ESM
    description = traitlets.Unicode().tag(sync=True)
    shown = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    refreshed = traitlets.Int(0).tag(sync=True)
    value = traitlets.Float()

    def __init__(
        self, value: float, min: float, max: float, step: float, description: str, unit: str = "", whole: bool = False,
        width: str = "190px",
    ) -> None:  # fmt: skip
        self.min, self.max, self.step, self.unit, self.whole = min, max, step, unit, whole
        super().__init__(
            description=description, value=value, layout={"width": width, "flex": "0 0 auto", "overflow": "visible"}
        )
        self.on_msg(lambda _, content, __: self.receive(content))

    @traitlets.validate("value")
    def _within(self, proposal: Any) -> float:
        value = min(max(float(proposal["value"]), self.min), self.max)
        return float(round(value)) if self.whole else value

    @traitlets.observe("value")
    def _display(self, _: object) -> None:
        self.shown, self.note = text_of(self.value), ""

    def receive(self, content: dict[str, Any]) -> None:
        """Handle a message of the browser: a typed text, or a number of steps up or down."""
        if "steps" in content:
            steps = int(content["steps"])
            self.type(text_of(min(max(self.value + steps * self.step, self.min), self.max)))
        elif "typed" in content:
            self.type(str(content["typed"])[:80])

    def type(self, text: str) -> None:
        """Set the number from text, as a user types it."""
        number = parsed(text, self.unit)
        if number is None:
            said = f"{text!r} is not a number"
        else:
            self.value = number
            said = self._moved(number)
        self.shown, self.note = text_of(self.value), said
        self.refreshed += 1  # the browser shows the number again, also where it did not change

    def _moved(self, number: float) -> str:
        """Say that a number was moved into the range, or to a whole number; "" if it was not."""
        if math.isclose(number, self.value, rel_tol=1e-9):
            return ""
        unit = f" {self.unit}" * bool(self.unit)
        ends = f"{text_of(self.min)} to {text_of(self.max)}{unit}"
        if self.min <= number <= self.max:
            return f"{text_of(number)} is not a whole number: set to {text_of(self.value)}"
        side = "below" if number < self.min else "above"
        return f"{text_of(number)}{unit} is {side} the range {ends}: set to {text_of(self.value)}"


def parsed(text: str, unit: str = "") -> float | None:
    """Read a number with a decimal comma or point, with or without its unit; None if it is not one.

    >>> parsed("0,3"), parsed(" .25 ms", "ms"), parsed("1.234,5")
    (0.3, 0.25, None)
    """
    text = text.strip()
    if unit and text.lower().endswith(unit.lower()):
        text = text[: -len(unit)].strip()
    if not NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def text_of(value: float) -> str:
    """Format a number with four significant digits."""
    return f"{value:.4g}" if value < 1e4 else f"{value:,.0f}".replace(",", "")
