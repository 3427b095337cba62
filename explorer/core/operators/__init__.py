"""The operators of networks, one file each. To add one, create a file here and import it below."""

from explorer.core.operators.conv import Conv
from explorer.core.operators.factorized import Factorized
from explorer.core.operators.joining import Add, Concat
from explorer.core.operators.linear import Linear
from explorer.core.operators.mbconv import MBConv
from explorer.core.operators.norm import Norm
from explorer.core.operators.pooling import AvgPool, GlobalPool, MaxPool, Pooling
from explorer.core.operators.scatter import Scatter
from explorer.core.operators.strips import Strips
from explorer.core.operators.zero import Zero

__all__ = [
    "Add", "AvgPool", "Concat", "Conv", "Factorized", "GlobalPool", "Linear", "MBConv", "MaxPool", "Norm", "Pooling",
    "Scatter", "Strips", "Zero",
]  # fmt: skip
