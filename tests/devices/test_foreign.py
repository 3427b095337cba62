"""Files of other tools are named as what they are, and what is read instead is listed."""

import json

import pytest

from explorer.core.errors import InputError
from explorer.devices import load_device

KERNEL = {"conv-bn-relu": {"id1": {"model": "x", "config": {"HW": 28, "CIN": 16}, "latency": "12.3 +- 0.1"}}}
FILES = {
    "nn-Meter": [
        {"input": {"attr": {"type": "Placeholder"}, "inbounds": [], "outbounds": ["conv1"]}}, KERNEL,
        {"kind": "layers", "conv": {"attr": {"name": "c"}, "inbounds": ["x"], "outbounds": []}},
        {"detected": {"fusion": KERNEL["conv-bn-relu"]}},
    ],
    "onnxruntime": [[{"cat": "Session", "ph": "X", "ts": 1, "dur": 2, "name": "model_loading_uri"}]],
    "torch.profiler": [{"schemaVersion": 1, "traceEvents": []}],
    "trtexec": [[{"count": 100}, {"name": "conv1", "timeMs": 2.0, "averageMs": 0.02}],
                [{"startComputeMs": 0.1, "latencyMs": 0.2}]],
    "benchmark_app": [{"execution_results": {"latency_50": 1.0}}],
    "AI Hub": [{"execution_summary": {}, "execution_detail": []}],
    "one network in once-for-all": [{"ks": [3], "e": [3], "d": [2], "r": [224]}],
    "has not run yet": [{"format": 1, "kind": "kit", "graphs": []}],
}  # fmt: skip


@pytest.mark.parametrize(("tool", "values"), [(tool, v) for tool, many in FILES.items() for v in many])
def test_json_of_other_tools(tool, values, tmp_path):
    path = tmp_path / "device.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=tool) as error:
        load_device(path)
    assert "timings.json" in str(error.value)
    assert "device.json" in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("predictors.pkl", "x", "a pickle, which is never read"), ("net.onnx", "x", "a network, not a device"),
        ("latency.xlsx", "x", "save it as CSV"), ("other.json", "{}", "choose from: "),
        ("counters.csv", "layerName;execStatus;layerType;realTime (ms)\na;b;c;1,5\n", "OpenVINO"),
    ],
)  # fmt: skip
def test_other_files(name, text, words, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_device(path)
