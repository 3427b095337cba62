"""Fitting the predictor's networks (torch), and writing them as one ONNX graph."""

from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn


class Ensemble:
    """Fitted members; calling it gives (n, members)."""

    def __init__(self, members: list[nn.Sequential]) -> None:
        self.members = members

    @torch.no_grad()
    def __call__(self, bits: np.ndarray) -> np.ndarray:
        """(n, D) float32 -> (n, members)."""
        return torch.cat([m(torch.from_numpy(bits)) for m in self.members], 1).numpy()


def fit_ensemble(bits: np.ndarray, accuracy: np.ndarray, config: Any, seed: int) -> Ensemble:
    """Members differ by seed. Targets are standardised while fitting; the last layer gives accuracies again."""
    mean, std = float(accuracy.mean()), float(max(accuracy.std(), 1e-6))
    x = torch.from_numpy(bits)
    y = torch.from_numpy((accuracy - mean) / std)[:, None]
    members = []
    for member in range(config.members):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * 1000 + member)
            net = nn.Sequential(
                nn.Linear(bits.shape[1], config.width), nn.ReLU(), nn.Linear(config.width, config.width), nn.ReLU(),
                nn.Linear(config.width, 1),
            )  # fmt: skip
            steps = config.epochs * max(1, len(x) // config.batch)
            optimizer = torch.optim.AdamW(net.parameters(), config.lr, weight_decay=config.weight_decay)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            for _ in range(steps):
                rows = torch.randint(0, len(x), (min(config.batch, len(x)),))
                loss = F.mse_loss(net(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            net[-1].weight.mul_(std)
            net[-1].bias.mul_(std).add_(mean)
        members.append(net.eval())
    return Ensemble(members)


def export_ensemble(members: list[nn.Sequential], bits: int) -> onnx.ModelProto:
    """`bits (n, D) -> accuracy (n, members)`; linear layers and ReLUs only, so the graph is written by hand."""
    nodes, weights, outputs = [], [], []
    for i, net in enumerate(members):
        x = "bits"
        for j, module in enumerate(net):
            y = f"m{i}_{j}"
            if isinstance(module, nn.Linear):
                for name, tensor in (("w", module.weight), ("b", module.bias)):
                    weights.append(numpy_helper.from_array(tensor.detach().numpy(), f"{y}_{name}"))
                nodes.append(helper.make_node("Gemm", [x, f"{y}_w", f"{y}_b"], [y], transB=1))
            else:
                nodes.append(helper.make_node("Relu", [x], [y]))
            x = y
        outputs.append(x)
    nodes.append(helper.make_node("Concat", outputs, ["accuracy"], axis=1))
    graph = helper.make_graph(
        nodes, "predictor", [helper.make_tensor_value_info("bits", TensorProto.FLOAT, ["n", bits])],
        [helper.make_tensor_value_info("accuracy", TensorProto.FLOAT, ["n", len(members)])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
