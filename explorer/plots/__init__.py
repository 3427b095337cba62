"""Pictures: plain data first, figures second."""

from explorer.plots.architecture import architecture_svg, describe
from explorer.plots.front import CONFIG, FrontInfo, front_figure, front_info

__all__ = ["CONFIG", "FrontInfo", "architecture_svg", "describe", "front_figure", "front_info"]
