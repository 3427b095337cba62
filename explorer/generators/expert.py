"""`expert`: this package's own generator, trained to imitate the best known network for each budget (needs torch).

Expert iteration (Anthony, Tian and Barber 2017; cross-entropy method). There is a fixed set of budgets, on one device
or on several, and an "expert" for each: the best network known for it. Each round proposes one candidate per budget (in
turn mutations of the experts, crossovers with experts of similar budgets, and samples of the generator), updates each
budget's expert with the best of its own and its neighbours' candidates, and takes a few cross-entropy steps that teach
the generator to predict the expert from the budget. The generator is a plain MLP with one softmax per decision, so one
forward pass answers any number of budgets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from explorer.core.onnx_mlp import mlp_graph
from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.devices.population import cheapest, costs_of, dearest, meets, priced
from explorer.evaluators.fitting import linear_layers
from explorer.fast.threads import OwnThreads, one_thread
from explorer.generators.budgets import BudgetCode
from explorer.generators.finishing import finished, smallest_margin
from explorer.generators.runtime import BudgetGenerator
from explorer.generators.settings import ExpertConfig
from explorer.spaces.operators import active, cross, mutate, option_counts


class Experts:
    """Fixed budgets and the best known network (the expert) for each.

    Args:
        space, evaluator, devices: any objects that implement the protocols in `core.protocols`.
        limits: (n, m) budgets, NaN where unconstrained.
        code: (n, C) budget codes of the limits; budgets with similar codes are neighbours.
        neighbours: number of neighbours that each budget shares candidates with.
    """

    def __init__(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], limits: np.ndarray, code: np.ndarray,
        neighbours: int,
    ) -> None:  # fmt: skip
        self.space, self.evaluator, self.devices, self.limits = space, evaluator, devices, limits
        n = len(limits)
        self.codes = np.zeros((n, len(space.decisions)), np.int8)
        self.accuracy = np.full(n, -1.0)
        self.near = _nearest_rows(code, 2 * neighbours)
        self.shared = self.near[:, :neighbours]
        self.evaluations = 0

    def improve(self, codes: np.ndarray) -> None:
        """Update the experts with (n, d) candidates, one per budget.

        Each budget considers its own candidate and those of its neighbours.
        """
        accuracy, costs = self._score(codes)
        for source in [np.arange(len(codes)), *self.shared.T]:
            better = (accuracy[source] > self.accuracy) & meets(costs[source], self.limits)
            self.codes[better] = codes[source[better]]
            self.accuracy[better] = accuracy[source[better]]

    def consider(self, codes: np.ndarray, block: int = 256) -> None:
        """Update the experts with any number of candidates, each considered for every budget."""
        accuracy, costs = self._score(codes)
        for start in range(0, len(self.limits), block):
            rows = slice(start, start + block)
            fits = meets(costs, self.limits[rows, None])
            value = np.where(fits, accuracy, -1.0)
            best = value.argmax(1)
            value = value[np.arange(len(best)), best]
            better = value > self.accuracy[rows]
            self.codes[rows][better] = codes[best[better]]
            self.accuracy[rows] = np.maximum(self.accuracy[rows], value)

    def _score(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.evaluations += len(codes)
        return np.asarray(self.evaluator.evaluate(codes)), costs_of(self.space, self.devices, codes)


def _nearest_rows(code: np.ndarray, k: int, block: int = 512) -> np.ndarray:
    """Find the k nearest other rows of each row, nearest first: (n, C) -> (n, k)."""
    square = (code**2).sum(1)
    found = []
    for start in range(0, len(code), block):
        rows = code[start : start + block]
        distance = square[None] - 2 * rows @ code.T
        distance[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf
        part = np.argpartition(distance, k, axis=1)[:, :k]
        order = np.take_along_axis(distance, part, 1).argsort(1, kind="stable")
        found.append(np.take_along_axis(part, order, 1))
    return np.concatenate(found)


class Network(nn.Sequential):
    """MLP from a budget code to one logit per option."""

    def __init__(self, code: int, options: int, width: int, depth: int) -> None:
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(code if i == 0 else width, width), nn.ReLU()]
        super().__init__(*layers, nn.Linear(width, options))


class _Trainer:
    def __init__(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: ExpertConfig, seed: int,
        known: np.ndarray | None,
    ) -> None:  # fmt: skip
        self.space, self.config, self.rng = space, config, np.random.default_rng((seed, 9))
        self.devices, self.options = list(devices), option_counts(space)
        first = space.sample(config.pool, self.rng)
        high = known if known is not None else np.array([dearest(space, device) for device in devices])
        pool = np.concatenate([high, first, np.array([cheapest(space, device) for device in devices])])
        pool = priced(space, devices, pool)
        costs = costs_of(space, devices, pool)
        names = tuple(device.name for device in devices)
        self.code = BudgetCode(names, tuple(costs.min(0)), tuple(costs.max(0)), config.anchors)
        self.costs = costs
        limits = self.code.sample(config.budgets, costs, self.rng)
        k = min(config.neighbours, (config.budgets - 1) // 2)
        self.experts = Experts(space, evaluator, devices, limits, self.code(limits), k)
        self.experts.consider(pool)
        self.network = Network(self.code.width, int(self.options.sum()), config.width, config.depth)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.lr)

    def proposals(self, kind: int) -> np.ndarray:
        """Propose one network per budget, (n, d); `kind`: 0 mutates, 1 crosses over, 2 samples the generator."""
        e = self.experts
        if kind == 0:
            return mutate(self.space, e.codes, self.config.mutation, self.rng)
        if kind == 1:
            partner = e.near[np.arange(len(e.codes)), self.rng.integers(0, e.near.shape[1], len(e.codes))]
            return cross(self.space, e.codes, e.codes[partner], self.rng)
        return self.draw(e.limits * (1 - 0.03 * self.rng.random(e.limits.shape)), 1.0)

    def draw(self, limits: np.ndarray, heat: float) -> np.ndarray:
        """Sample one network per limit, (n, d), at temperature `heat`; 0 takes the most probable options."""
        with torch.no_grad():
            logits = self.network(torch.from_numpy(self.code(limits))).numpy()
        if heat:
            logits = logits + heat * self.rng.gumbel(size=logits.shape)
        parts = np.split(logits, np.cumsum(self.options)[:-1], axis=1)
        return self.space.canonical(np.column_stack([part.argmax(1) for part in parts]).astype(np.int8))

    def imitate(self) -> float:
        """Take one cross-entropy step towards the experts, and return the loss.

        The limits of each expert's budget are first loosened by a random share of up to `slack`.
        """
        e, c = self.experts, self.config
        rows = self.rng.integers(0, len(e.codes), c.batch)
        rows = rows[e.accuracy[rows] >= 0]
        limits = e.limits[rows] * (1 + c.slack * self.rng.random((len(rows), len(self.devices))))
        logits = self.network(torch.from_numpy(self.code(limits)))
        target = torch.from_numpy(e.codes[rows].astype(np.int64))
        on = torch.from_numpy(active(self.space, e.codes[rows]).astype(np.float32))
        parts = logits.split(self.options.tolist(), 1)
        losses = [F.cross_entropy(part, target[:, g], reduction="none") for g, part in enumerate(parts)]
        loss = (torch.stack(losses, 1) * on).sum() / on.sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def train(self, progress: Progress) -> dict[str, float]:
        c = self.config
        late = c.rounds - c.rounds // 5
        total = c.steps * (late + 3 * (c.rounds - late))
        schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, c.lr, total)
        losses = [0.0]
        for i in progress(range(c.rounds), c.rounds, "training the generator"):
            self.experts.improve(self.proposals(i % 3))
            for _ in range(c.steps * (3 if i >= late else 1)):
                losses.append(self.imitate())
                schedule.step()
        return {"loss": float(np.mean(losses[-100:])), "evaluations": self.experts.evaluations}

    def find_margin(self) -> tuple[float, float]:
        """Apply `smallest_margin` to budgets sampled as in training."""
        limits = self.code.sample(2000, self.costs, np.random.default_rng(1))
        return smallest_margin(
            self.space, self.devices, limits, lambda asked: self.draw(asked, 0.0), self.config.feasible,
            np.arange(0, 0.1, 0.005),
        )  # fmt: skip


def train_expert(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: ExpertConfig | None = None,
    seed: int = 0, progress: Progress = silent, known: np.ndarray | None = None,
) -> BudgetGenerator:  # fmt: skip
    """Improve the experts and train the generator on them, in alternation.

    Args:
        space, evaluator, devices: any objects that implement the protocols in `core.protocols`.
        config: see `ExpertConfig`.
        seed: random seed of the whole training.
        progress: reports rounds.
        known: (n, d) networks found by a search; they are among the candidates for the first experts.
    """
    config = config or ExpertConfig()
    judge = OwnThreads(evaluator)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trainer = _Trainer(space, judge, devices, config, seed, known)
        quality = trainer.train(progress)
    margin, share = trainer.find_margin()
    about = {"margin": margin, "raw_feasible": share, "seed": seed, "options": trainer.options.tolist()} | quality
    graph = mlp_graph([linear_layers(trainer.network)], "code", "logits")
    return finished(space, evaluator, devices, "expert", trainer.network, graph, trainer.code, about)
