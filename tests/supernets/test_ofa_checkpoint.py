"""A public checkpoint's names and slices, with a random file of the same names and shapes."""

import json

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

import explorer
from explorer.core.errors import InputError
from explorer.spaces import SPACES
from explorer.study import open_study
from explorer.supernets import MobileSupernet
from explorer.supernets.ofa_checkpoint import load_ofa, ofa_names

SPACE = SPACES["mobilenetv3-w1.0"].restrict({"r": (224,)})


def old_spelling(name):
    """As the published files of 2020 spell it: elastic layers wrap conv and bn twice."""
    name = name.replace(".conv.", ".mobile_inverted_conv.", 1) if name.startswith("blocks.") else name
    elastic = name.startswith("blocks.") and not name.startswith("blocks.0.")
    if elastic and ".se." not in name:
        name = name.replace(".conv.weight", ".conv.conv.weight").replace(".bn.", ".bn.bn.")
    return name.replace("classifier.linear.", "classifier.linear.linear.")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Random tensors under once-for-all's names, and the file that holds them."""
    state = MobileSupernet(SPACE, [0.5] * 3, [0.5] * 3).state_dict()
    draw = torch.Generator().manual_seed(0)
    tensors = {}
    for ours, theirs in ofa_names(SPACE).items():
        if ours in state and state[ours].dtype == torch.float32:
            value = torch.randn(state[ours].shape, generator=draw) * 0.1
            tensors[theirs] = value.abs() + 0.5 if theirs.endswith(("running_var", "bn.weight")) else value
    path = tmp_path_factory.mktemp("ofa") / "ofa_mbv3_d234_e346_k357_w1.0"
    torch.save({"state_dict": {old_spelling(name): value for name, value in tensors.items()}}, path)
    return path, tensors


def reference_block(t, name, x, k, mid, stride, act, se, skip):
    """One block written down by hand from once-for-all's description, on the checkpoint's own tensors."""

    def norm(y, at, c=None):
        parts = (t[f"{name}.{at}.bn.{p}"][:c] for p in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(y, *parts, eps=1e-5)

    fn = F.hardswish if act else F.relu
    y = fn(norm(F.conv2d(x, t[f"{name}.inverted_bottleneck.conv.weight"][:mid]), "inverted_bottleneck", mid))
    w = t[f"{name}.depth_conv.conv.weight"][:mid]
    if k < 7:
        w = (w[:, :, 1:6, 1:6].reshape(mid, 25) @ t[f"{name}.depth_conv.conv.7to5_matrix"].T).view(mid, 1, 5, 5)
    if k < 5:
        w = (w[:, :, 1:4, 1:4].reshape(mid, 9) @ t[f"{name}.depth_conv.conv.5to3_matrix"].T).view(mid, 1, 3, 3)
    y = fn(norm(F.conv2d(y, w, stride=stride, padding=k // 2, groups=mid), "depth_conv", mid))
    if se:
        width = max(8, (mid // 4 + 4) // 8 * 8)
        width += 8 * (width < 0.9 * (mid // 4))
        fc = f"{name}.depth_conv.se.fc"
        gate = F.relu(
            F.conv2d(y.mean((2, 3), True), t[f"{fc}.reduce.weight"][:width, :mid], t[f"{fc}.reduce.bias"][:width])
        )
        y = y * F.relu6(F.conv2d(gate, t[f"{fc}.expand.weight"][:mid, :width], t[f"{fc}.expand.bias"][:mid]) + 3) / 6
    y = norm(F.conv2d(y, t[f"{name}.point_linear.conv.weight"][:, :mid]), "point_linear")
    return x + y if skip else y


def test_slices_are_those_of_the_checkpoint(checkpoint):
    path, tensors = checkpoint
    a = SPACE.from_ofa({"d": [2, 3, 2, 2, 4], "ks": [3, 5, 7, 3] * 5, "e": [3, 4, 6, 4] * 5, "r": 224})
    supernet = load_ofa(path, SPACE, [0.5] * 3, [0.5] * 3)
    network = supernet.subnet(a)
    number = {f"stage{s + 1}.{j + 1}": 1 + 4 * s + j for s, j in SPACE.slots}
    tested = 0
    for layer in SPACE.layers(a):
        if layer.name not in number:
            continue
        x = torch.randn(2, layer.cin, 14, 14, generator=torch.Generator().manual_seed(tested))
        expected = reference_block(
            tensors, f"blocks.{number[layer.name]}.conv", x, layer.kernel, layer.mid, layer.stride,
            layer.act == "hswish", layer.se > 0, layer.residual,
        )  # fmt: skip
        with torch.no_grad():
            assert torch.allclose(network.block(layer.name)(x), expected, atol=1e-4, rtol=1e-3), layer.name
        tested += 1
    assert tested == 13


def test_export_with_and_without_weights(checkpoint, tmp_path):
    study = open_study("imagenet-mobilenetv3")
    candidate = study.generate({"mobile": study.budget_range("mobile")[0]})
    bare = explorer.export(study, candidate, tmp_path / "bare")
    assert set(bare.files) == {"onnx", "torch", "ofa", "card", "readme"}
    assert all("untrained" in file.name for file in bare.files.values())
    assert "untrained" in bare.files["readme"].read_text()
    assert json.loads(bare.files["card"].read_text())["weights"].startswith("untrained")
    meta = {p.key: p.value for p in onnx.load(bare.files["onnx"]).metadata_props}
    assert meta["weights"].startswith("untrained")
    assert study.space.from_ofa(json.loads(bare.files["ofa"].read_text())) == candidate.architecture
    module = torch.export.load(bare.files["torch"]).module()
    assert module(torch.rand(3, 3, 224, 224)).shape == (3, 1000)
    given = explorer.export(study, candidate, tmp_path / "given", ["onnx"], weights=checkpoint[0])
    assert "untrained" not in given.files["onnx"].name
    assert "ofa_mbv3_d234_e346_k357_w1.0" in given.files["readme"].read_text()
    weight = [w for w in onnx.load(given.files["onnx"]).graph.initializer if list(w.dims) == [1000, 1280]]
    if weight:
        assert np.allclose(onnx.numpy_helper.to_array(weight[0]), checkpoint[1]["classifier.linear.weight"])


def test_bad_checkpoints_are_refused(checkpoint, tmp_path, digits_study):
    path, tensors = checkpoint
    study = open_study("imagenet-mobilenetv3")
    candidate = study.generate({"mobile": 30.0})
    bad = tmp_path / "bad.pth"

    def refused(words):
        with pytest.raises(InputError, match=words) as error:
            explorer.export(study, candidate, tmp_path / "out", ["onnx"], weights=bad)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()

    bad.write_bytes(b"nonsense")
    refused("cannot be read as a PyTorch checkpoint")
    torch.save({"a": Evil()}, bad)
    refused("cannot be read as a PyTorch checkpoint")
    torch.save([1, 2], bad)
    refused("not contain a state dict")
    torch.save({k: v for k, v in tensors.items() if "blocks.3" not in k}, bad)
    refused("has no tensor 'blocks.3")
    torch.save(tensors | {"classifier.linear.weight": torch.zeros(10, 1280)}, bad)
    refused("'classifier.linear.weight' has shape")
    with pytest.raises(InputError, match="weights of its own"):
        explorer.export(digits_study, digits_study.generate({"mobile": 1.0}), tmp_path / "out", weights=path)


class Evil:
    """Unpickled carelessly, this would run a command."""

    def __reduce__(self):
        return (print, ("run",))
