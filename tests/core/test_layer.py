import pytest

from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.devices.plan import all_layers
from explorer.spaces import SPACES


@pytest.mark.parametrize("name", ["mobile-tiny", "mobile-32", "mobilenetv3-w1.2", "unified-32"])
def test_a_signature_tells_all_that_costs(name):
    for layer in all_layers(SPACES[name]):
        read = Layer.of_signature(layer.signature)
        assert (read.signature, read.size_out, read.words()) == (layer.signature, layer.size_out, layer.words())


@pytest.mark.parametrize(
    "text", ["", "conv", "conv 3-16", "dense 3-16 1px", "conv 3-16 32px k3 s2 swish", "linear 3-4 1px x"]
)
def test_what_is_no_signature_is_refused(text):
    with pytest.raises(InputError, match="is not a layer"):
        Layer.of_signature(text)
