"""The page's panels below the chart, in order: one table, open to other packages.

A panel is a title and a function of the page's state that gives a widget. The widget observes the state itself, and
says what went wrong through the second argument.
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
    """A part of the page.

    Attributes:
        title: heading above it, "" for none.
        make: (state, say) -> widget.
    """

    title: str
    make: Callable[[DashboardState, Say], w.Widget]


PANELS: Registry[Panel] = Registry("panel", "explorer.panels")
PANELS.register("architecture", Panel("The network", lambda state, say: ArchitectureView(state)))
PANELS.register("measure", Panel("", lambda state, say: MeasurePanel(state)))
PANELS.register("compare", Panel("Compare", CompareTray))
PANELS.register("export", Panel("Export", lambda state, say: ExportPanel(state)))
