"""SGNAS: a convolutional generator trained by gradient through a frozen judge (needs torch).

Huang and Chu 2021 ("Searching by generating: flexible and efficient one-shot NAS with architecture generator"). Kept:
the map of layers x choices, a budget and a prior branch, Gumbel-softmax with a falling temperature, cross-entropy on
held-out training images plus a hardware loss through the expected cost. Repaired and widened: a pool of priors, any
device's cost (not MACs alone), several budgets at once, a hardware loss on the network that would be returned, so that
its cost follows the budget, and cross-entropy to the best networks known for the budgets, where the judge's gradient is
too faint to tell similar networks apart. A space without a differentiable supernet is judged by a network fitted to its
evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from pydantic import Field
from torch import Tensor, nn

from explorer.core.config import Settings
from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.devices.population import cheapest, costs_of
from explorer.generators.budgets import BudgetCode
from explorer.generators.finishing import finished, smallest_margin
from explorer.generators.known import Known
from explorer.generators.layout import Layout, layout
from explorer.generators.one_pass import prior_around
from explorer.generators.runtime import BudgetGenerator
from explorer.spaces.operators import active, option_counts

DEAD = 0.002  # relative distance to a budget that costs nothing
AROUND = 0.9  # share of the steps that start from the priors around the budget; the others from any of the pool

# (D,) probabilities of all options in gene order, step -> a loss whose gradient says which options are accurate
Signal = Callable[[Tensor, int], Tensor]


class SgnasConfig(Settings):
    """How the generator is trained (Adam, betas 0.5 and 0.999).

    Attributes:
        anchors: of the budget code, per device; 10 gives the published number of parameters for one device.
        steps: of `batch` budgets each; a supernet judges one of them, a fitted judge all.
        hardware: weight of the hardware loss, on squared relative distance (the published 3e-4 at 360 M MACs is 39).
        imitation: weight of learning from the best architecture known for a budget, per decision; 0 is the published
            method.
        rise: how much heavier that loss gets towards the end, so that costs settle on their budgets.
        temperature: of the Gumbel-softmax, from first to last, geometrically.
        judged: networks that a judge is fitted to, where no supernet judges.
        priors: networks in the pool; 1 is the published one.
        feasible: share of raw networks inside their budget to aim at.
        held_out: share of the training images that the supernet leaves to the generator.
        images: of a step, through a supernet.
    """

    anchors: int = Field(10, ge=2, le=1000)
    steps: int = Field(2000, ge=1, le=100_000_000)
    batch: int = Field(64, ge=1, le=100_000)
    lr: float = Field(2e-3, gt=0, le=1000)
    hardware: float = Field(39.0, ge=0, le=1e6)
    imitation: float = Field(10.0, ge=0, le=1e6)
    rise: float = Field(5.0, ge=0, le=1e6)
    temperature: tuple[float, float] = (5.0, 0.3)
    judged: int = Field(20_000, ge=100, le=10_000_000)
    priors: int = Field(32, ge=1, le=10_000)
    feasible: float = Field(0.95, gt=0, lt=1)
    held_out: float = Field(0.2, gt=0, lt=0.9)
    images: int = Field(64, ge=2, le=100_000)

    @classmethod
    def of(cls, evaluations: int) -> SgnasConfig:
        """Settings whose judge is fitted to so many networks."""
        return cls(judged=int(np.clip(evaluations, 100, 1_000_000)))


class ArchitectureGenerator(nn.Module):
    """Budget code and prior map -> logits map; all convolutions 3x3 with 32 channels, a bias in the last one only.

    67,969 parameters where the budget code has 10 numbers.
    """

    def __init__(self, code: int, channels: int = 32) -> None:
        super().__init__()

        def conv(cin: int, cout: int = channels, bias: bool = False) -> nn.Conv2d:
            return nn.Conv2d(cin, cout, 3, padding=1, bias=bias)

        self.budget = nn.ModuleList([conv(code), conv(channels), conv(channels)])
        self.prior = nn.ModuleList([conv(1), conv(channels)])
        self.head = conv(channels)
        self.body = nn.ModuleList([conv(channels) for _ in range(3)])
        self.tail = conv(channels, 1, bias=True)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)

    def forward(self, code: Tensor, prior: Tensor) -> Tensor:
        """(n, C) and (n, 1, rows, columns) -> (n, rows * columns)."""
        x = code[:, :, None, None].expand(-1, -1, *prior.shape[2:])
        for layer in self.budget:
            x = F.relu(layer(x))
        y = prior
        for layer in self.prior:
            y = F.relu(layer(y))
        both = x + y
        z = F.relu(self.head(both))
        for layer in self.body:
            z = F.relu(layer(z))
        return self.tail(z + both).flatten(1)


class ExpectedCost:
    """A device's cost under probabilities, with gradients: exact where the cost is a sum over compiled parts.

    A device that is no such sum is fitted by one weight per option (least squares on 4,000 networks), for gradients.
    """

    def __init__(self, space: SearchSpace, device: Any) -> None:
        self.counts = option_counts(space).tolist()
        compiled = device.compiled(space) if hasattr(device, "compiled") and hasattr(space, "parts") else None
        if compiled is not None:
            self.scale, self.offset = compiled.scale, compiled.offset
            self.parts = [(genes, torch.from_numpy(table).float()) for genes, table in compiled.parts]
            return
        rng = np.random.default_rng(0)
        raw = rng.integers(0, self.counts, (4000, len(self.counts))).astype(np.int8)
        bits = np.concatenate([np.eye(c)[raw[:, g]] for g, c in enumerate(self.counts)], 1)
        weights = np.linalg.lstsq(bits, device.cost(space, space.canonical(raw)), rcond=None)[0]
        tables = np.split(weights, np.cumsum(self.counts)[:-1])
        self.scale, self.offset = 1.0, 0.0
        self.parts = [((g,), torch.from_numpy(table).float()) for g, table in enumerate(tables)]

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """One (n, options) tensor per decision -> (n,)."""
        n = len(probabilities[0])
        total = torch.zeros(n)
        for genes, table in self.parts:
            value = table.expand(n, *table.shape)
            for gene in reversed(genes):  # contract the last decision first
                p = probabilities[gene]
                value = (value * p.view(n, *([1] * (value.ndim - 2)), -1)).sum(-1)
            total = total + value
        return self.offset + self.scale * total


class SupernetSignal:
    """Cross-entropy of a soft network on held-out training images; the supernet's weights stay as they are.

    Args:
        supernet: of the unified family; norms use the batch.
        images, labels: uint8 (n, c, h, w) and (n,), not trained on.
        batch: images per step.
        seed: of the order.
    """

    def __init__(self, supernet: Any, images: Tensor, labels: Tensor, batch: int, seed: int) -> None:
        self.supernet = supernet.train().requires_grad_(False)
        self.images, self.labels, self.batch, self.seed = images, labels, batch, seed
        counts = option_counts(supernet.space)
        self.shape = (len(supernet.space.widths), supernet.space.subblocks, int(counts.max()))
        first = counts.reshape(self.shape[:2]) < counts.max()
        self.empty = torch.from_numpy(first)

    def __call__(self, probabilities: Tensor, step: int) -> Tensor:
        """(D,) -> the loss on the step's images."""
        per_epoch = max(1, len(self.images) // self.batch)
        order = np.random.default_rng((self.seed, 31, step // per_epoch)).permutation(len(self.images))
        rows = order[(step % per_epoch) * self.batch :][: self.batch]
        parts, at = [], 0
        for empty in self.empty.flatten().tolist():  # a sub-block that is never skipped has one option less
            width = self.shape[2] - empty
            parts.append(F.pad(probabilities[at : at + width], (int(empty), 0)))
            at += width
        logits = self.supernet.soft(self.images[rows].float() / 255, torch.stack(parts).view(self.shape))
        return F.cross_entropy(logits, self.labels[rows], label_smoothing=0.1)


class FittedSignal:
    """What an evaluator says, as a small network fitted to it: a loss in standard deviations of accuracy.

    It reads raw options, so what does not matter is noise that it learns to pass over.
    """

    def __init__(self, space: SearchSpace, evaluator: Evaluator, seed: int, networks: int = 20_000) -> None:
        counts, rng = option_counts(space), np.random.default_rng((seed, 33))
        last = np.broadcast_to(counts - 1, (networks, len(counts)))
        share = rng.random((networks, 1)) * (rng.random((networks, 1)) < 0.5)
        raw = np.where(rng.random((networks, 1)) < 0.5, rng.integers(0, counts, last.shape), rng.binomial(last, share))
        accuracy = np.asarray(evaluator.evaluate(space.canonical(raw.astype(np.int8))))
        x = torch.from_numpy(np.concatenate([np.eye(c, dtype=np.float32)[raw[:, g]] for g, c in enumerate(counts)], 1))
        y = torch.from_numpy(((accuracy - accuracy.mean()) / max(accuracy.std(), 1e-9)).astype(np.float32))
        net = nn.Sequential(nn.Linear(x.shape[1], 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 1))
        steps = 1500
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            rows = torch.from_numpy(rng.integers(0, networks, 256))
            loss = F.mse_loss(net(x[rows])[:, 0], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.net = net.requires_grad_(False)

    def __call__(self, probabilities: Tensor, step: int) -> Tensor:
        """(n, D) -> minus the mean standardised accuracy."""
        return -self.net(probabilities).mean()


class _Trainer:
    def __init__(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: SgnasConfig, seed: int,
        known: np.ndarray | None, signal: Signal | None,
    ) -> None:  # fmt: skip
        self.space, self.config, self.rng = space, config, np.random.default_rng((seed, 11))
        self.devices, self.counts, self.map = list(devices), option_counts(space), layout(space)
        last = np.broadcast_to(self.counts - 1, (4000, len(self.counts)))
        spread = space.canonical(self.rng.binomial(last, np.linspace(0, 1, 4000)[:, None]).astype(np.int8))
        ends = np.array([cheapest(space, device) for device in devices])
        pool = np.concatenate([ends, spread, space.sample(1000, self.rng)])
        self.known = Known(space, evaluator, devices)
        if known is not None and config.imitation:
            self.known.add(known)
        self.costs = costs_of(space, devices, pool)
        names = tuple(device.name for device in devices)
        self.code = BudgetCode(names, tuple(self.costs.min(0)), tuple(self.costs.max(0)), config.anchors)
        rows = np.linspace(len(ends), len(ends) + len(spread) - 1, config.priors + 2)[1:-1].round().astype(int)
        self.priors, self.prior_costs = pool[rows], self.costs[rows]
        self.prior_maps = self.map.one_hot(self.priors)
        self.single = signal is not None  # a supernet judges one network at a time
        self.signal = signal or FittedSignal(space, evaluator, seed, config.judged)
        self.expected = [ExpectedCost(space, device) for device in devices]
        self.network = ArchitectureGenerator(self.code.width)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.lr, betas=(0.5, 0.999))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, config.steps)

    def logits(self, limits: np.ndarray, prior: np.ndarray) -> list[Tensor]:
        """(n, m) limits and (n, 1, rows, columns) maps -> one (n, options) tensor per decision."""
        flat = self.network(torch.from_numpy(self.code(limits)), torch.from_numpy(prior))
        flat = flat[:, torch.from_numpy(self.map.cells)]
        return list(flat.split(self.counts.tolist(), 1))

    def step(self, i: int) -> float:
        """One gradient step; returns the loss."""
        c = self.config
        share = i / max(1, c.steps - 1)
        heat = c.temperature[0] ** (1 - share) * c.temperature[1] ** share
        limits = self.code.sample(c.batch, self.costs, self.rng)
        logits = self.logits(limits, self.prior(limits))
        noise = [torch.from_numpy(self.rng.gumbel(size=part.shape).astype(np.float32)) for part in logits]
        soft = torch.cat([F.softmax((part + n) / heat, 1) for part, n in zip(logits, noise)], 1)
        loss = self.signal(soft[int(self.rng.integers(len(soft)))] if self.single else soft, i)
        self.update(loss + self.steering(logits, limits, 1 + c.rise * share**2))
        return float(loss.detach())

    def prior(self, limits: np.ndarray) -> np.ndarray:
        """(n, 1, rows, columns): what the step starts from."""
        if self.rng.random() < AROUND:
            return prior_around(self.prior_maps, self.prior_costs, limits)
        return self.prior_maps[self.rng.integers(0, len(self.priors), len(limits))]

    def steering(self, logits: Sequence[Tensor], limits: np.ndarray, weight: float) -> Tensor:
        """Hardware loss, so many times, and imitation."""
        loss = self.config.hardware * weight * self.hardware_loss(logits, limits)
        if len(self.known.codes):
            loss = loss + self.config.imitation * self.imitation_loss(logits, limits)
        return loss

    def update(self, loss: Tensor) -> None:
        """Follow the gradient."""
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.schedule.step()

    def hardware_loss(self, logits: Sequence[Tensor], limits: np.ndarray) -> Tensor:
        """Squared relative distance of the tightest device, 1.2 times where it is over; on the most probable network.

        The forward pass takes the most probable options, the gradient that of their softmax (straight through).
        """
        hard = []
        for part in logits:
            p = F.softmax(part, 1)
            one = F.one_hot(part.argmax(1), part.shape[1]).to(p.dtype)
            hard.append(one - p.detach() + p)
        ratios = []
        for column, expected in enumerate(self.expected):
            bound = torch.from_numpy(limits[:, column].astype(np.float32))
            ratios.append(torch.where(bound.isnan(), torch.zeros(()), expected(hard) / bound.nan_to_num(1.0)))
        off = torch.stack(ratios, 1).max(1).values - 1
        weight = torch.where(off > 0, 1.2, 1.0) * (off.abs() > DEAD)
        return (weight * off**2).mean()

    def imitation_loss(self, logits: Sequence[Tensor], limits: np.ndarray) -> Tensor:
        """Mean cross-entropy per decision to the best architecture known for each request, inactive genes left out."""
        codes, there = self.known.experts(limits)
        on = torch.from_numpy(active(self.space, codes) & there[:, None]).float()
        target = torch.from_numpy(codes.astype(np.int64))
        each = [F.cross_entropy(part, target[:, gene], reduction="none") for gene, part in enumerate(logits)]
        return (torch.stack(each, 1) * on).sum() / on.sum().clamp(min=1)

    def raw(self, limits: np.ndarray) -> np.ndarray:
        """(n, d): the most probable networks."""
        with torch.no_grad():
            parts = self.logits(limits, prior_around(self.prior_maps, self.prior_costs, limits))
        return self.space.canonical(np.column_stack([part.argmax(1).numpy() for part in parts]).astype(np.int8))

    def find_margin(self) -> tuple[float, float]:
        """See `smallest_margin`, on budgets like those of the training."""
        limits = self.code.sample(1000, self.costs, np.random.default_rng(1))
        margins = np.arange(0, 0.16, 0.005)
        return smallest_margin(self.space, self.devices, limits, self.raw, self.config.feasible, margins)


def train_sgnas(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: SgnasConfig | None = None,
    seed: int = 0, progress: Progress = silent, known: np.ndarray | None = None, signal: Signal | None = None,
) -> BudgetGenerator:  # fmt: skip
    """Train the generator.

    Args:
        space, evaluator, devices: anybody's.
        config: see `SgnasConfig`.
        seed: of everything.
        progress: reports steps.
        known: (n, d) architectures that a search found, to be imitated; without them the judge teaches alone.
        signal: a `SupernetSignal`; without one a network is fitted to the evaluator.
    """
    config = config or SgnasConfig()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trainer = _Trainer(space, evaluator, devices, config, seed, known, signal)
        losses = [trainer.step(i) for i in progress(range(config.steps), config.steps, "training the generator")]
    margin, share = trainer.find_margin()
    about = {
        "margin": margin, "raw_feasible": share, "seed": seed, "options": trainer.counts.tolist(),
        "priors": trainer.priors.tolist(), "judge": "supernet" if signal else "fitted",
        "loss": float(np.mean(losses[-100:])),
    }  # fmt: skip
    graph = generator_graph(trainer.network, trainer.map, trainer.code.width)
    return finished(space, evaluator, devices, "sgnas", trainer.network, graph, trainer.code, about)


def generator_graph(network: ArchitectureGenerator, where: Layout, code: int) -> onnx.ModelProto:
    """`code (n, C), prior (n, 1, rows, columns) -> logits (n, D)`."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(name: str, value: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(x: str, name: str, module: nn.Module, relu: bool = True) -> str:
        tensors = [constant(f"{name}.{n}", p.detach().numpy()) for n, p in module.named_parameters()]
        y = add("Conv", [x, *tensors], f"{name}_out", kernel_shape=[3, 3], pads=[1] * 4)
        return add("Relu", [y], f"{name}_relu") if relu else y

    ones = constant("ones", np.ones((1, 1, where.rows, where.columns), np.float32))
    x = add("Unsqueeze", ["code", constant("axes", np.array([2, 3], np.int64))], "code_map")
    x = add("Mul", [x, ones], "code_maps")
    for i, layer in enumerate(network.budget):
        x = conv(x, f"budget{i}", layer)
    y = "prior"
    for i, layer in enumerate(network.prior):
        y = conv(y, f"prior{i}", layer)
    both = add("Add", [x, y], "both")
    z = conv(both, "head", network.head)
    for i, layer in enumerate(network.body):
        z = conv(z, f"body{i}", layer)
    z = conv(add("Add", [z, both], "sum"), "tail", network.tail, relu=False)
    flat = add("Flatten", [z], "flat", axis=1)
    add("Gather", [flat, constant("cells", where.cells.astype(np.int64))], "logits", axis=1)
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "sgnas",
        [
            helper.make_tensor_value_info("code", floats, ["n", code]),
            helper.make_tensor_value_info("prior", floats, ["n", 1, where.rows, where.columns]),
        ],
        [helper.make_tensor_value_info("logits", floats, ["n", len(where.cells)])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
