"""A quantity in a unit of its own: the largest activations of a network in kilobytes, which is no sum over layers."""

import numpy as np

from explorer.devices import LayerDevice, Provenance


class Activations(LayerDevice):
    additive = False

    def __init__(self):
        super().__init__("activations_kb", "kB", Provenance(kind="counted", source="layer shapes"), quantity="memory")

    def cost(self, space, codes):
        return np.array([max(map(self.price, space.layers(row))) for row in codes])

    def price(self, layer):
        return 4 * (layer.cin * layer.size**2 + layer.widest * layer.size_out**2) / 1024
