"""The page: one state, views that observe it."""

from explorer.widgets.dashboard import Dashboard, heat, page
from explorer.widgets.state import DashboardState

__all__ = ["Dashboard", "DashboardState", "heat", "page"]
