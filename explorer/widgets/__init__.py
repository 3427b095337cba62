"""The widgets of the dashboard page: one shared state, and views that observe it."""

from explorer.widgets.dashboard import Dashboard, heat, page
from explorer.widgets.panels import PANELS, Panel
from explorer.widgets.state import DashboardState

__all__ = ["PANELS", "Dashboard", "DashboardState", "Panel", "heat", "page"]
