"""PNAG: an LSTM that generates an architecture for a budget, trained with a Pareto-dominance evaluator (needs torch).

Guo et al. 2022 ("Pareto-aware neural architecture generation" and its public code).

Kept from the paper: the controller, the pairwise evaluator and its labels, and the policy gradient with entropy bonus.

Changed: any budget works (codes interpolate between anchors); one generator takes several devices at once; the budget
is an input of every step (given as the first input only, it is forgotten and the policy ignores it); requests come in
batches with a baseline; inactive genes are not generated and get no gradient; ties are left out of the pairwise loss;
and the learning-rate schedule is as long as the training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.devices.population import cheapest, costs_of, overshoot, prices
from explorer.fast.threads import OwnThreads, one_thread
from explorer.generators.budgets import BudgetCode
from explorer.generators.controller_graph import controller_graph
from explorer.generators.evaluated import EvaluatedNetworks
from explorer.generators.finishing import finished, smallest_margin
from explorer.generators.rewards import scalar_reward
from explorer.generators.runtime import BudgetGenerator
from explorer.generators.settings import PnagConfig
from explorer.spaces.base import records_of
from explorer.spaces.operators import active, one_hot, option_counts, written

# (n, tokens) choices so far, followed by zeros -> (n, tokens) bool: which tokens are active
Activity = Callable[[np.ndarray], np.ndarray]


class Controller(nn.Module):
    """The policy: an LSTM cell that reads the budget embedding and makes one decision per step.

    Args:
        kinds: kind of every token (decision); tokens of one kind share the output head and the embedding.
        options: number of options of every kind.
        code: width C of the budget code; the budget embedding is linear in the code.
        hidden: width of the LSTM cell.
    """

    def __init__(self, kinds: Sequence[int], options: Sequence[int], code: int, hidden: int = 64) -> None:
        super().__init__()
        self.kinds, self.options = list(kinds), list(options)
        self.budget = nn.Parameter(torch.empty(code, hidden))
        self.cell = nn.LSTMCell(hidden, hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, o) for o in options)
        self.choices = nn.ParameterList(nn.Parameter(torch.empty(o, hidden)) for o in options)
        for p in self.parameters():
            nn.init.uniform_(p, -0.1, 0.1)
        nn.init.uniform_(self.budget, -1, 1)

    def forward(
        self, code: Tensor, noise: Tensor, activity: Activity, forced: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose an option for every token.

        A token that earlier choices made inactive is skipped: it is 0 in all three results and does not change the
        state of the cell.

        Args:
            code: (n, C) budget codes.
            noise: (n, tokens, o) Gumbel noise; zeros give the most probable choices.
            activity: tells which tokens are active.
            forced: (n, tokens) choices to take instead of sampled ones.

        Returns:
            Choices, their log-probabilities, and entropies, each (n, tokens).
        """
        budget = x = code @ self.budget
        h = c = torch.zeros(len(code), self.cell.hidden_size)
        chosen = torch.zeros(len(code), len(self.kinds), dtype=torch.int64)
        logp, entropy = [], []
        for token, kind in enumerate(self.kinds):
            on = torch.from_numpy(activity(chosen.numpy())[:, token])
            h, c = (torch.where(on[:, None], new, old) for new, old in zip(self.cell(x, (h, c)), (h, c)))
            log_p = F.log_softmax(self.heads[kind](h), 1)
            drawn = (log_p.detach() + noise[:, token, : self.options[kind]]).argmax(1)
            choice = drawn if forced is None else forced[:, token]
            chosen[:, token] = choice * on
            logp.append(log_p.gather(1, choice[:, None])[:, 0] * on)
            entropy.append(-(log_p.exp() * log_p).sum(1) * on)
            # a matrix product instead of indexing: the gradient of indexing is summed in no fixed order across threads
            fed = budget + F.one_hot(choice, self.options[kind]).to(x.dtype) @ self.choices[kind]
            x = torch.where(on[:, None], fed, x)
        return chosen, torch.stack(logp, 1), torch.stack(entropy, 1)


class DominanceEvaluator(nn.Sequential):
    """The ranking network R(architecture | budget): one-hot and budget code -> 512 -> 512 -> 1.

    Only the order of its scores is meaningful.
    """

    def __init__(self, bits: int, code: int, width: int = 512) -> None:
        super().__init__(
            nn.Linear(bits + code, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )


def dominance(accuracy: np.ndarray, costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Compute pairwise labels under budgets: +1 where architecture i ranks above j, -1 below, 0 for ties.

    If both are within the budget, the higher accuracy wins; otherwise the lower cost (with several devices, the lower
    overshoot).

    Args:
        accuracy: (g, b) accuracies of b architectures in each of g groups.
        costs: (g, b, m), one column per device.
        limits: (g, m), one budget per group.

    Returns:
        (g, b, b) int8.
    """
    ratio = overshoot(costs, limits[:, None, :])
    fits = ratio <= 1
    both = fits[:, :, None] & fits[:, None, :]
    by_accuracy = np.sign(accuracy[:, :, None] - accuracy[:, None, :])
    by_cost = (ratio[:, None, :] > ratio[:, :, None]) * 1 - (ratio[:, None, :] < ratio[:, :, None])
    return np.where(both, by_accuracy, by_cost).astype(np.int8)


def tokens_of(space: SearchSpace) -> tuple[list[int], list[int], list[int]]:
    """Order the decisions of a space as tokens, from the network's input to its output, and find their kinds.

    In the mobile family each stage has first its depth, then expansion and kernel slot by slot. Decisions without a
    place (such as the resolution) come last.

    Returns:
        genes (token -> gene), kinds (token -> kind), options (kind -> number of options).
    """
    records = records_of(space)

    def order(gene: int) -> tuple[bool, tuple[int, ...], str, int, int]:
        record = records[gene]
        return (not record.place, record.place, record.kind if record.place else "", record.part, gene)

    genes = sorted(range(len(records)), key=order)
    known: dict[tuple[str, tuple], int] = {}
    kinds = [known.setdefault((records[gene].kind, records[gene].options), len(known)) for gene in genes]
    return genes, kinds, [len(options) for _, options in known]


class _Population(EvaluatedNetworks):
    """All architectures evaluated so far, with the one-hot encoding that the dominance evaluator reads."""

    def __init__(self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device]) -> None:
        super().__init__(space, evaluator, devices)
        self.bits = torch.zeros(0)

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Like `EvaluatedNetworks.add`, but also encode the new architectures."""
        new = super().add(codes)
        if len(new):
            bits = torch.from_numpy(one_hot(self.space, new))
            self.bits = torch.cat([self.bits, bits]) if len(self.bits) else bits
        return new


class _Trainer:
    def __init__(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: PnagConfig, seed: int,
        known: np.ndarray | None,
    ) -> None:  # fmt: skip
        self.space, self.config, self.rng = space, config, np.random.default_rng((seed, 7))
        self.population = _Population(space, evaluator, devices)
        self.population.add(np.array([cheapest(space, device) for device in devices]))
        first = _spread(space, max(2, config.evaluations // 2), devices, self.rng)
        self.population.add(first)
        if known is not None and len(known):
            self.population.add(known)
        costs = self.population.costs
        names = tuple(device.name for device in devices)
        self.code = BudgetCode(names, tuple(costs.min(0)), tuple(costs.max(0)), config.anchors)
        self.genes, kinds, options = tokens_of(space)
        self.options = max(option_counts(space))
        self.controller = Controller(kinds, options, self.code.width)
        self.ranker = DominanceEvaluator(self.population.bits.shape[1], self.code.width)
        self.rank_optimizer = torch.optim.Adam(self.ranker.parameters(), config.ranker_lr)
        self.optimizer = torch.optim.Adam(self.controller.parameters(), config.lr)

    def rank(self, code: np.ndarray, bits: Tensor) -> Tensor:
        """Score architectures under budgets: codes (n, C) and one-hot (n, D) -> (n,)."""
        return self.ranker(torch.cat([bits, torch.from_numpy(code)], 1))[:, 0]

    def rank_step(self, groups: int = 16, size: int = 48) -> float:
        """Take one step of the pairwise ranking loss on `groups` budgets with `size` architectures each.

        Returns:
            Kendall's tau on this batch.
        """
        p = self.population
        limits = self.limits(groups)
        rows = self.rng.integers(0, len(p.codes), (groups, size))
        label = torch.from_numpy(dominance(p.accuracy[rows], p.costs[rows], limits)).float()
        code = np.repeat(self.code(limits), size, 0)
        scores = self.rank(code, p.bits[rows.ravel()]).view(groups, size)
        difference = scores[:, :, None] - scores[:, None, :]
        loss = (F.softplus(-label * difference) * label.abs()).sum() / label.abs().sum().clamp(min=1)
        self.rank_optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.ranker.parameters(), 1.0)
        self.rank_optimizer.step()
        return float((torch.sign(difference.detach()) * label).sum() / label.abs().sum().clamp(min=1))

    def limits(self, n: int) -> np.ndarray:
        """Sample (n, m) limits to train on."""
        limits = self.code.sample(n, self.population.costs, self.rng)
        return limits if self.config.between else self.code.at_anchors(limits)

    def codes(self, chosen: np.ndarray) -> np.ndarray:
        """Reorder choices from token order to gene order: (n, tokens) -> (n, d) int8."""
        codes = np.zeros(chosen.shape, np.int8)
        codes[:, self.genes] = chosen
        return codes

    def activity(self, chosen: np.ndarray) -> np.ndarray:
        """Tell which tokens are active, see `Activity`; all are if the space cannot tell from partial choices."""
        return written(self.space, self.codes(chosen))[:, self.genes]

    def emit(self, code: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, Tensor, Tensor]:
        """Sample architectures from the policy.

        Returns:
            (n, d) canonical architectures, and (n,) log-probabilities and (n,) entropies, summed over active genes.
        """
        chosen, logp, entropy = self.controller(torch.from_numpy(code), torch.from_numpy(noise), self.activity)
        raw = self.codes(chosen.numpy())
        on = torch.from_numpy(active(self.space, raw)[:, self.genes]).float()
        return self.space.canonical(raw), (logp * on).sum(1), (entropy * on).sum(1)

    def noise(self, n: int) -> np.ndarray:
        return self.rng.gumbel(size=(n, len(self.genes), self.options)).astype(np.float32)

    def policy_step(self, share: float) -> np.ndarray:
        """Take one REINFORCE step and return the draws.

        A draw's reward grows with the number of draws of its request that it dominates, less the number that dominate
        it. The evaluator orders draws within the budget and true costs order the others, so that the evaluator's errors
        near the edge of a budget are not learned. The mean over a request is zero, so the baseline is built in.
        """
        c = self.config
        limits = self.limits(c.requests)
        code = np.repeat(self.code(limits), c.draws, 0)
        codes, logp, entropy = self.emit(code, self.noise(len(code)))
        advantage = torch.from_numpy(self.advantage(code, codes, limits)).float()
        bonus = c.entropy * (1 - 0.99 * share)
        loss = -(advantage.flatten() * logp).mean() - bonus * entropy.mean() + c.imitation * self.imitation(limits)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.controller.parameters(), 1.0)
        self.optimizer.step()
        return codes

    def advantage(self, code: np.ndarray, codes: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Compute (requests, draws) advantages: the reward less its mean over the request."""
        c = self.config
        costs = costs_of(self.space, self.population.devices, codes).reshape(c.requests, c.draws, -1)
        if c.reward != "dominance":
            accuracy = self.population.evaluator.evaluate(codes).reshape(c.requests, c.draws)
            return scalar_reward(c.reward, accuracy, costs, limits)
        with torch.no_grad():
            order = self.rank(code, torch.from_numpy(one_hot(self.space, codes))).view(c.requests, c.draws).numpy()
        return dominance(order, costs, limits).mean(2)

    def imitation(self, limits: np.ndarray) -> Tensor:
        """Compute the cross-entropy to the best architecture known for each request, over active genes."""
        codes, known = self.population.experts(limits)
        tokens = torch.from_numpy(codes[:, self.genes].astype(np.int64))
        noise = torch.zeros(len(codes), len(self.genes), int(self.options))
        on = active(self.space, codes)[:, self.genes]
        _, logp, _ = self.controller(torch.from_numpy(self.code(limits)), noise, lambda _: on, tokens)
        return -(logp * torch.from_numpy(known).float()[:, None]).sum(1).mean()

    def train(self, progress: Progress) -> dict[str, float]:
        c = self.config
        schedules = [
            torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, c.iterations, c.lr * 0.05),
            torch.optim.lr_scheduler.CosineAnnealingLR(
                self.rank_optimizer, c.ranker_steps + 2 * c.iterations, c.ranker_lr * 0.05
            ),
        ]
        for _ in progress(range(c.ranker_steps), c.ranker_steps, "training the evaluator"):
            self.rank_step()
            schedules[1].step()
        tau = [0.0]
        for i in progress(range(c.iterations), c.iterations, "training the generator"):
            codes = self.policy_step(i / c.iterations)
            schedules[0].step()
            for _ in range(2):
                tau.append(self.rank_step())
                schedules[1].step()
            left = c.evaluations - len(self.population.codes)
            if i % 5 == 0 and left > 0:  # the evaluator must be accurate where the policy samples now
                some = min(left, max(1, 5 * c.evaluations // (2 * c.iterations)))
                self.population.add(codes[self.rng.permutation(len(codes))[:some]])  # of requests of all kinds
        return {"evaluator_tau": float(np.mean(tau[-200:])), "evaluations": len(self.population.codes)}

    def raw(self, limits: np.ndarray) -> np.ndarray:
        """Return the most probable network for each request, (n, d)."""
        zero = np.zeros((len(limits), len(self.genes), self.options), np.float32)
        with torch.no_grad():
            return self.emit(self.code(limits), zero)[0]

    def find_margin(self) -> tuple[float, float]:
        """Apply `smallest_margin` to budgets sampled as in training."""
        p, limits = self.population, self.code.sample(2000, self.population.costs, np.random.default_rng(1))
        margins = np.arange(0, 0.31, 0.01)
        return smallest_margin(self.space, p.devices, limits, self.raw, self.config.feasible, margins)


def train_pnag(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: PnagConfig | None = None,
    seed: int = 0, progress: Progress = silent, known: np.ndarray | None = None,
) -> BudgetGenerator:  # fmt: skip
    """Train the dominance evaluator and then the controller, and build a generator from the controller.

    Args:
        space, evaluator, devices: any objects that implement the protocols in `core.protocols`.
        config: see `PnagConfig`.
        seed: random seed of the whole training.
        progress: reports steps.
        known: (n, d) architectures found by a search, used for training like those that the policy proposes.
    """
    config = config or PnagConfig()
    judge = OwnThreads(evaluator)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trainer = _Trainer(space, judge, devices, config, seed, known)
        quality = trainer.train(progress)
    margin, share = trainer.find_margin()
    controller = trainer.controller
    about = {
        "margin": margin, "raw_feasible": share, "seed": seed, "genes": trainer.genes, "kinds": controller.kinds,
        "options": controller.options,
    } | quality  # fmt: skip
    graph = controller_graph(controller.state_dict())
    return finished(space, evaluator, devices, "pnag", controller, graph, trainer.code, about)


def _spread(space: SearchSpace, n: int, devices: Sequence[Device], rng: np.random.Generator) -> np.ndarray:
    from explorer.evaluators.scoring import spread_sample

    return spread_sample(space, n, lambda codes: prices(space, devices[0], codes), rng)
