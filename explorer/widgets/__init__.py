"""The page: one state, views that observe it."""

from explorer.widgets.dashboard import Dashboard, study_of_page
from explorer.widgets.state import DashboardState

__all__ = ["Dashboard", "DashboardState", "study_of_page"]
