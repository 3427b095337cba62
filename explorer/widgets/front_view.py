"""The live Pareto chart: one FigureWidget, built whole, changed in callbacks only."""

from __future__ import annotations

import ipywidgets as w
import plotly.graph_objects as go

from explorer.plots.front import CONFIG, axis_title, budget_line, front_figure, front_info, generated_point
from explorer.widgets.guarded import guarded
from explorer.widgets.state import DashboardState


class FrontView(w.VBox):
    """Chart of one device, and the choice of the device.

    Args:
        state: of the page.
        say: where messages go.
    """

    def __init__(self, state: DashboardState, say: object) -> None:
        self.state = state
        self.info = front_info(state.study, state.chart)
        self.figure = go.FigureWidget(front_figure(self.info, self._budget(), state.candidate))
        self.figure._config = CONFIG
        self.device = w.Dropdown(
            options=list(state.study.devices), value=state.chart, description="chart of", layout={"width": "220px"}
        )
        self.device.observe(guarded(say)(lambda change: state.show(change["new"])), "value")
        state.observe(self.refresh)
        super().__init__([self.device, self.figure], layout={"width": "100%"})

    def _budget(self) -> float | None:
        return self.state.budget.get(self.state.chart)

    def refresh(self) -> None:
        """Move budget and point; exchange the cloud only where the chart shows another device."""
        state, figure = self.state, self.figure
        with figure.batch_update():
            if state.chart != self.info.device:
                self.info = info = front_info(state.study, state.chart)
                figure.data[0].x = info.cost
                figure.data[1].update(x=info.front_cost, y=info.front_accuracy, customdata=info.front_keys)
                figure.data[2].update(x=info.searched_cost, y=info.searched_accuracy, customdata=info.searched_keys)
                figure.layout.xaxis.title.text = axis_title(info)
            figure.data[3].x, figure.data[3].y = budget_line(self.info, self._budget())
            figure.data[4].update(generated_point(self.info, state.candidate))
