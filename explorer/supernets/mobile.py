"""The supernet of the mobile family: elastic kernels, widths and depths (Cai et al. 2020)."""

from torch import nn

from explorer.core.layer import Layer
from explorer.core.operators import MBConv
from explorer.supernets.elastic import ElasticMBConv
from explorer.supernets.supernet import Supernet


class MobileSupernet(Supernet):
    """Shared weights of a `MobileSpace`."""

    def make(self, layer: Layer) -> nn.Module:
        """Create an `ElasticMBConv` with the slot's kernel options for an MBConv, else the default module."""
        if not isinstance(layer, MBConv):
            return super().make(layer)
        kernels = {f"stage{'.'.join(map(str, r.place))}": r.options for r in self.space.records if r.kind == "kernel"}
        return ElasticMBConv(layer, kernels.get(layer.name, (layer.kernel,)))
