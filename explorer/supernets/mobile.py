"""The supernet of the mobile family: elastic kernels, widths and depths (Cai et al. 2020)."""

from torch import nn

from explorer.core.layer import Layer
from explorer.supernets.elastic import ElasticMBConv
from explorer.supernets.supernet import Supernet


class MobileSupernet(Supernet):
    """Shared weights of a `MobileSpace`."""

    def make(self, layer: Layer) -> nn.Module:
        """An elastic block for every slot."""
        if layer.op != "mbconv":
            return super().make(layer)
        slot = layer.name.removeprefix("stage")
        return ElasticMBConv(layer, self.space.decisions.get(f"k{slot}", (layer.kernel,)))
