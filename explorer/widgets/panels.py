"""The registry of the page's panels below the chart, in their order; other packages can add panels.

A panel has a title and a function that makes a widget from the page's state. The widget observes the state itself, and
shows errors through the function's second argument, `say`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets as w

from explorer.core.registry import Registry
from explorer.widgets.architecture_view import ArchitectureView
from explorer.widgets.compare_tray import CompareTray
from explorer.widgets.export_panel import ExportPanel
from explorer.widgets.guarded import Say
from explorer.widgets.measure_panel import MeasurePanel
from explorer.widgets.state import DashboardState


@dataclass(frozen=True)
class Panel:
    """One panel of the page.

    Attributes:
        title: heading above the panel, "" for none.
        make: function (state, say) -> widget.
    """

    title: str
    make: Callable[[DashboardState, Say], w.Widget]


PANELS: Registry[Panel] = Registry("panel", "explorer.panels")
PANELS.register("architecture", Panel("The network", lambda state, say: ArchitectureView(state)))
PANELS.register("measure", Panel("", lambda state, say: MeasurePanel(state)))
PANELS.register("compare", Panel("Compare", CompareTray))
PANELS.register("export", Panel("Export", lambda state, say: ExportPanel(state)))
