"""`expert`: this package's own generator, trained to imitate the best known network for each budget (needs torch).

Expert iteration (Anthony, Tian and Barber 2017; cross-entropy method). There is a fixed set of budgets, on one device
or on several, and an "expert" for each: the best network known for it. Each round proposes one candidate per budget (in
turn mutations of the experts, crossovers with experts of near budgets, and samples of the generator), updates each
budget's expert with the best of its own and its neighbours' candidates, and takes a few cross-entropy steps that teach
the generator to predict the expert from the budget.

The generator reads a description of every bounded device next to its limit, and a part of the budgets bounds devices
that are not the given ones (`family`); so it also answers for a device that it never saw, from its costs alone. One
forward pass, a softmax per decision, answers any number of budgets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.devices.population import cheapest, dearest, priced, prices
from explorer.evaluators.fitting import linear_layers
from explorer.evaluators.scoring import spread_sample
from explorer.fast.threads import OwnThreads, one_thread
from explorer.generators.budgets import BudgetCode, positions
from explorer.generators.descriptions import Reference
from explorer.generators.expert_graph import expert_graph
from explorer.generators.experts import PROBES, Budgets, Experts
from explorer.generators.family import Family
from explorer.generators.finishing import finished, smallest_margin
from explorer.generators.runtime import BudgetGenerator
from explorer.generators.settings import ExpertConfig
from explorer.spaces.operators import active, cross, mutate, option_counts

SIZES = 2000  # networks of all sizes, at whose costs the joint budgets lie
CALIBRATED = 1000  # budgets by which a margin is chosen
MOST = 3  # devices of the family that one budget bounds


class Network(nn.Module):
    """From descriptions and limits of devices to one logit per option; see `expert_graph`.

    Args:
        read: number of inputs per device.
        options: number of options of all decisions.
        entry, width, depth: see `ExpertConfig`.
    """

    def __init__(self, read: int, options: int, entry: int, width: int, depth: int) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Linear(read, entry), nn.ReLU(), nn.Linear(entry, width))
        layers: list[nn.Module] = []
        for _ in range(depth - 1):
            layers += [nn.ReLU(), nn.Linear(width, width)]
        self.trunk = nn.Sequential(*layers, nn.ReLU(), nn.Linear(width, options))

    def forward(self, devices: Tensor, bounded: Tensor) -> Tensor:
        """Compute (n, D) logits from (n, m, C) devices and (n, m, 1) flags."""
        logits: Tensor = self.trunk((self.entry(devices) * bounded).sum(1))
        return logits


class _Trainer:
    def __init__(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: ExpertConfig, seed: int,
        known: np.ndarray | None,
    ) -> None:  # fmt: skip
        self.space, self.config, self.rng = space, config, np.random.default_rng((seed, 9))
        self.devices, self.options, own = list(devices), option_counts(space), len(devices)
        sizes = priced(space, devices, spread_sample(space, SIZES, lambda c: prices(space, devices[0], c), self.rng))
        self.family = Family(space, devices, config.family, sizes, self.rng)
        reference = Reference(space)
        self.about = reference.describe(self.family.costs(reference.codes))
        self.costs = self.family.costs(sizes)
        budgets = self._budgets(config.budgets, own)
        probes = sizes[self.rng.permutation(len(sizes))[:PROBES]]
        k = min(config.neighbours, (config.budgets - 1) // 2)
        self.experts = Experts(space, evaluator, self.family.costs, own, budgets, probes, k)
        high = known if known is not None else np.array([dearest(space, device) for device in devices])
        ends = np.array([cheapest(space, device) for device in devices])
        self.experts.consider(priced(space, devices, np.concatenate([high, space.sample(config.pool, self.rng), ends])))
        self.described = torch.from_numpy(self.about.features)
        read = reference.width + config.anchors
        self.network = Network(read, int(self.options.sum()), config.entry, config.width, config.depth)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.lr)

    def _budgets(self, n: int, own: int) -> Budgets:
        """Sample budgets on the given devices and, as the config says, on the others of the family."""
        others = np.flatnonzero(self.about.usable)[own:] if self.about.usable[:own].all() else np.zeros(0, int)
        most = max(MOST, own)
        more = round(self.config.others * n) if len(others) else 0
        low, high, costs = self.about.low, self.about.high, self.costs
        first = Budgets.sample(n - more, np.arange(own), most, low, high, costs, self.rng)
        second = Budgets.sample(more, np.arange(len(low))[self.about.usable], most, low, high, costs, self.rng)
        keep = np.arange(most) < MOST
        return Budgets(
            np.concatenate([first.device, second.device]),
            np.concatenate([first.limit, np.where(keep, second.limit, np.nan)]),
        )

    def read(self, budgets: Budgets) -> tuple[Tensor, Tensor]:
        """Return the inputs of the network: (n, k, C) devices and (n, k, 1) flags."""
        low, high = self.about.low[budgets.device], self.about.high[budgets.device]
        at = torch.from_numpy(positions(budgets.limit, low, high, self.config.anchors))
        bounded = torch.from_numpy((~np.isnan(budgets.limit))[:, :, None].astype(np.float32))
        return torch.cat([self.described[torch.from_numpy(budgets.device)], at], 2), bounded

    def proposals(self, kind: int) -> np.ndarray:
        """Propose one network per budget, (n, d); `kind`: 0 mutates, 1 crosses over, 2 samples the generator."""
        e = self.experts
        if kind == 0:
            return mutate(self.space, e.codes, self.config.mutation, self.rng)
        if kind == 1:
            partner = e.near[np.arange(len(e.codes)), self.rng.integers(0, e.near.shape[1], len(e.codes))]
            return cross(self.space, e.codes, e.codes[partner], self.rng)
        return self.draw(e.budgets.scaled(1 - 0.03 * self.rng.random(e.budgets.limit.shape)), 1.0)

    def draw(self, budgets: Budgets, heat: float) -> np.ndarray:
        """Sample one network per budget, (n, d), at temperature `heat`; 0 takes the most probable options."""
        with torch.no_grad():
            logits = self.network(*self.read(budgets)).numpy()
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
        budgets = e.budgets.take(rows)
        logits = self.network(*self.read(budgets.scaled(1 + c.slack * self.rng.random(budgets.limit.shape))))
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

    @property
    def code(self) -> BudgetCode:
        """The given devices and their ranges."""
        own = len(self.devices)
        names = tuple(device.name for device in self.devices)
        low, high = (tuple(ends[:own].tolist()) for ends in (self.about.low, self.about.high))
        return BudgetCode(names, low, high, self.config.anchors)

    def find_margins(self) -> tuple[list[float], float]:
        """Apply `smallest_margin` to budgets on one given device, on two, and so on.

        Returns:
            The margin for each number of devices, and the smallest share of networks within their budgets.
        """
        own, rng = len(self.devices), np.random.default_rng(1)
        device = np.tile(np.arange(own), (CALIBRATED, 1))
        found = []
        for count in range(1, own + 1):
            some = Budgets.sample(
                CALIBRATED, np.arange(own), own, self.about.low, self.about.high, self.costs, rng, count
            )
            limits = np.full((CALIBRATED, own), np.nan)
            np.put_along_axis(limits, some.device, some.limit, 1)
            found.append(smallest_margin(
                self.space, self.devices, limits, lambda asked: self.draw(Budgets(device, asked), 0.0),
                self.config.feasible, np.arange(0, 0.2, 0.005),
            ))  # fmt: skip
        return [margin for margin, _ in found], min(share for _, share in found)


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
    margins, share = trainer.find_margins()
    about = {
        "edition": 2, "margin": margins[0], "margins": margins, "raw_feasible": share, "seed": seed,
        "options": trainer.options.tolist(),
        "family": len(trainer.about.low) - len(devices),
    } | quality  # fmt: skip
    graph = expert_graph(linear_layers(trainer.network.entry), linear_layers(trainer.network.trunk))
    return finished(space, evaluator, devices, "expert", trainer.network, graph, trainer.code, about)
