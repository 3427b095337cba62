"""The registry of the page's panels, which are tabs below the chart, in their order; other packages can add panels.

A panel has a title and a function that makes a widget from the page's state. The widget is made when its tab is first
opened; it observes the state itself, and shows errors through the function's second argument, `say`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets as w

from explorer.core.registry import Registry
from explorer.widgets.axes_view import AxesView
from explorer.widgets.compare_tray import CompareTray
from explorer.widgets.export_panel import ExportPanel
from explorer.widgets.guarded import Say
from explorer.widgets.images_view import ImagesView
from explorer.widgets.state import DashboardState
from explorer.widgets.targets_view import TargetsView


@dataclass(frozen=True)
class Panel:
    """One panel of the page.

    Attributes:
        title: the tab's title.
        make: function (state, say) -> widget.
    """

    title: str
    make: Callable[[DashboardState, Say], w.Widget]


PANELS: Registry[Panel] = Registry("panel", "explorer.panels")
PANELS.register("compare", Panel("Compare", CompareTray))
PANELS.register("images", Panel("Images", ImagesView))
PANELS.register("targets", Panel("Targets", TargetsView))
PANELS.register("axes", Panel("Axes", AxesView))
PANELS.register("export", Panel("Export", lambda state, say: ExportPanel(state)))
