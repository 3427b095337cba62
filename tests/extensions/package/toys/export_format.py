"""An export format: the weights as numpy arrays."""

import numpy as np

from explorer.exports import Format


def write(original, path):
    np.savez(path, **{name: tensor.numpy() for name, tensor in original.network.state_dict().items()})


FORMAT = Format("numpy arrays", ".npz", write)
