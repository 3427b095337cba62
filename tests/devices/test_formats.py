import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.devices import load_device, read_block_table, read_measurements
from explorer.devices.formats import ofa_layers
from explorer.spaces import SPACES

NOTE10 = "expanded_conv-input:10x10x136-output:10x10x136-expand:408-kernel:5-stride:1-idskip:1-se:1-hs:1"
RATIO = "MBConv-input:10x10x16-output:5x5x24-expand:4-kernel:3-stride:2-idskip:0-se:0"
OLD = "expanded_conv-input:10x10x16-output:5x5x24-expand:6-kernel:3-stride:2-idskip:0"


def test_keys_of_both_dialects():
    (layer,) = ofa_layers(NOTE10)
    assert layer.signature == "mbconv 136-136 10px m408 k5 s1 hswish se104 skip"
    relu, hswish = ofa_layers(RATIO)
    assert relu.signature == "mbconv 16-24 10px m64 k3 s2 relu"
    assert hswish.act == "hswish"
    assert ofa_layers(OLD)[0].mid == 96
    assert ofa_layers("classifier-input:1280-output:1000")[0].signature == "linear 1280-1000 1px"
    assert ofa_layers("AvgPool2D-input:5x5x1152-output:1x1x1152")[0].signature == "pool 1152-1152 5px"


def hand_written(rng):
    """Depths, kernels, ratios and channels of width 1.2, written down here and not taken from the package."""
    depths, kernels, ratios = rng.integers(2, 5, 5), rng.choice([3, 5, 7], (5, 4)), rng.choice([3, 4, 6], (5, 4))
    return depths, kernels, ratios, [24, 32, 48, 96, 136, 192], [2, 2, 2, 1, 2], [0, 1, 0, 1, 1], [0, 0, 1, 1, 1]


def hand_sum(table, size, network):
    depths, kernels, ratios, width, strides, se, hs = network
    total, f = (
        table[f"Conv-input:{size}x{size}x3-output:{(size + 1) // 2}x{(size + 1) // 2}x24"]["mean"],
        (size + 1) // 2,
    )
    key = "expanded_conv-input:{0}x{0}x{1}-output:{2}x{2}x{3}-expand:{4}-kernel:{5}-stride:{6}-idskip:{7}-se:{8}-hs:{9}"
    total += table[key.format(f, 24, f, 24, 24, 3, 1, 1, 0, 0)]["mean"]
    for s in range(5):
        for j in range(depths[s]):
            cin, stride = (width[s], strides[s]) if j == 0 else (width[s + 1], 1)
            o = (f - 1) // stride + 1
            skip = int(stride == 1 and cin == width[s + 1])
            total += table[
                key.format(f, cin, o, width[s + 1], cin * ratios[s][j], kernels[s][j], stride, skip, se[s], hs[s])
            ]["mean"]
            f = o
    for name in (f"Conv_1-input:{f}x{f}x192-output:{f}x{f}x1152", f"AvgPool2D-input:{f}x{f}x1152-output:1x1x1152",
                 "Conv_2-input:1x1x1152-output:1x1x1536", "Logits-input:1x1x1536-output:1000"):  # fmt: skip
        total += table[name]["mean"]
    return total


def test_a_network_is_the_sum_of_its_published_blocks_at_every_resolution(reference, rng):
    import yaml

    folder = reference("ofa_note10")
    space = SPACES["mobilenetv3-w1.2"]
    whole = read_block_table(folder, "note10")
    for path in sorted(folder.glob("*.yaml")):
        size = int(path.name[:3])
        table, alone = yaml.safe_load(path.read_text()), load_device(path)
        for _ in range(5):
            network = hand_written(rng)
            depths, kernels, ratios = network[:3]
            a = space.from_ofa({"d": list(depths), "ks": list(kernels.ravel()), "e": list(ratios.ravel()), "r": size})
            expected = hand_sum(table, size, network)
            one = space.restrict({"r": (size,)})
            assert abs(whole.cost(space.restrict({"r": range(160, 225, 4)}), codes_of(space, a))[0] - expected) < 1e-9
            assert abs(alone.cost(one, one.from_ofa(space.to_ofa(a)).codes[None])[0] - expected) < 1e-9


def codes_of(space, a):
    """The codes of an architecture in the space narrowed to the tables' resolutions."""
    return space.restrict({"r": range(160, 225, 4)}).from_ofa(space.to_ofa(a)).codes[None]


def test_tables_refuse_what_they_lack(reference, rng):
    table = read_block_table(reference("ofa_note10"), "note10")
    for space in (SPACES["mobilenetv3-w1.0"], SPACES["mobile-32"]):
        with pytest.raises(InputError, match="no measurement of layer 'stem'.*ofa_note10"):
            table.cost(space, space.sample(1, rng))
    i7 = read_block_table(reference("ofa_i7") / "i7-8700K_lut.yaml", "i7")
    space = SPACES["mobilenetv3-w1.0"]
    with pytest.raises(InputError, match="layer 'pool'"):
        i7.cost(space, space.sample(1, rng))
    counted = read_block_table(reference("ofa_i7") / "i7-8700K_lut.yaml", "i7", uncounted=("pool",))
    assert (counted.cost(space, space.sample(5, rng)) > 5).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{NOTE10}: {{mean: -1, std: 0}}", ["-1", "expand:408"]),
        (f"{NOTE10}: {{mean: .nan}}", ["nan", "expand:408"]),
        (f"{NOTE10}: {{std: 1}}", ["None"]),
        (f"{NOTE10}: {{mean: 0}}", ["0"]),
        (f"{NOTE10}: fast", ["fast"]),
        ("Warp-input:1x1x1-output:1: {mean: 1}", ["Warp", "choose from"]),
        ("expanded_conv-input:10x10: {mean: 1}", ["missing or malformed"]),
        ("a: &x [1]\nb: *x", ["aliases"]),
        ("!!python/object/apply:os.system ['true']", ["not valid YAML"]),
        ("[1, 2]", ["mapping"]),
        ("{", ["not valid YAML"]),
        ("", ["mapping"]),
    ],
)
def test_bad_lookup_tables_are_refused(text, words, tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_block_table(path, "t")
    assert all(word in str(error.value) for word in [*words, "t.yaml"]), error.value
    assert "\n" not in str(error.value)


BLOCKS = "op,cin,cout,size,kernel,stride,mid,se,act,residual,{latency}\nmbconv,8,16,8,3,2,16,0,relu,0,{value}\nlinear,32,10,1,,,,,,,2\n"


def test_csv_block_tables_and_their_unit(tmp_path):
    def table(latency, value, unit=None):
        path = tmp_path / "blocks.csv"
        path.write_text(BLOCKS.format(latency=latency, value=value))
        return read_block_table(path, "t", unit)

    blocks = table("latency_us", 1500).blocks
    assert blocks == {"mbconv 8-16 8px m16 k3 s2 relu": 1.5, "linear 32-10 1px": 0.002}
    assert table("latency", 1.5, "ms").blocks["linear 32-10 1px"] == 2
    for latency, value, unit, words in [
        ("latency", 1, None, "specify one of ms, us, ns, s"), ("latency_ms", 1, "us", "in ms, not in the declared unit 'us'"),
        ("latency_ms", -1, None, "line 2, layer 'mbconv 8-16"), ("latency_ms", "nan", None, "'nan'"),
        ("latency_ms", "", None, "line 2"), ("time", 1, None, "latency columns"), ("latency", 1, "h", "unknown unit 'h'"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=words):
            table(latency, value, unit)


def test_a_block_with_two_latencies_is_refused_with_both_places(tmp_path):
    path = tmp_path / "blocks.csv"
    rows = "mbconv,8,16,8,3,2,16,0,relu,0,{}\n"
    path.write_text(BLOCKS.format(latency="latency_us", value=125) + rows.format(999))
    with pytest.raises(InputError, match=r"line 2 and .*line 4 are the same block .* with 0.125 and 0.999 ms"):
        read_block_table(path, "t")
    path.write_text(BLOCKS.format(latency="latency_us", value=125) + rows.format(125))
    assert len(read_block_table(path, "t").blocks) == 2
    path = tmp_path / "160_a.yaml"
    path.write_text(f"{NOTE10}: {{mean: 1}}\n{NOTE10}: {{mean: 9}}\n")
    with pytest.raises(InputError, match="is in lines 1 and 2"):
        read_block_table(path, "t")
    path.write_text(f"{NOTE10}: {{mean: 1}}\n{NOTE10.replace('kernel:5', 'kernel:05')}: {{mean: 9}}\n")
    with pytest.raises(InputError, match="are the same block"):
        read_block_table(path, "t")


def test_measurements_of_whole_networks(reference, tmp_path):
    space = SPACES["mobilenetv3-w1.2"]
    path = reference("help_ofa_gpu") / "ofa_gpu_latency_train.csv"
    codes, ms = read_measurements(path, space, "latency_ms_v100_1")
    assert codes.shape == (3000, 46)
    assert ms.min() > 5
    with pytest.raises(InputError, match="latency_ms_v100_1"):
        read_measurements(path, space)
    with pytest.raises(InputError, match="unknown column"):
        read_measurements(path, space, "latency_ms_tpu")
    tiny = SPACES["mobile-tiny"]
    for body, words in [("a0000000000,1\nb,2\n", "line 3"), ("a0000000000,-1\n", "line 2: latency '-1'")]:
        bad = tmp_path / "bad.csv"
        bad.write_text("key,latency_ms\n" + body)
        with pytest.raises(InputError, match=words):
            read_measurements(bad, tiny)


def test_a_net_config_reads_as_an_architecture():
    space = SPACES["mobilenetv3-w1.0"]
    a = space.from_ofa({"d": [2, 3, 4, 2, 2], "ks": [3, 5] * 10, "e": [3, 6] * 10, "r": [192]})
    blocks = [{"mobile_inverted_conv": {"in_channels": 16, "out_channels": 16, "kernel_size": 3, "expand_ratio": 1}}]
    blocks += [
        {
            "mobile_inverted_conv": {
                "in_channels": layer.cin,
                "out_channels": layer.cout,
                "kernel_size": layer.kernel,
                "expand_ratio": layer.mid / layer.cin,
                "mid_channels": None,
            }
        }
        for layer in space.layers(a)
        if layer.name.startswith("stage")
    ]
    assert space.from_ofa({"blocks": blocks, "r": 192}) == a
    newer = [{"conv": b["mobile_inverted_conv"]} for b in blocks]
    assert space.from_ofa({"blocks": newer, "r": 192}) == a
    assert np.array_equal(space.from_ofa(space.to_ofa(a)).codes, a.codes)
