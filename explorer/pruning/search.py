"""The pruning search: operations, filters and weights are pruned together, stage by stage, down to the target sizes.

It follows Liu et al. 2025 ("MG-DARTS") in these points: weights, strengths and thresholds are trained together (one
level); thresholds are learned; every stage has its own head, so that only a part of the network needs memory; before
later stages prune everything again, some pruned operations are regrown, and cells get narrower. One point is different:
every round has a target size. The weight of the size loss rises until the learned thresholds ask for that size; where
they do not within the patience of a round, all of them are raised by one factor. Only training images are used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from explorer.core.errors import READ_ERRORS, InputError, first_line
from explorer.core.files import read_json, write_bytes, write_text
from explorer.core.layer import Layer
from explorer.core.operators import Add
from explorer.core.protocols import Progress, silent
from explorer.data.datasets import Images
from explorer.fast.memory import keep_memory
from explorer.fast.threads import threads_for
from explorer.pruning.config import PruneConfig
from explorer.pruning.cutting import cut_to, smallest
from explorer.pruning.masked import MaskedNetwork, cell_of
from explorer.pruning.masks import Masks, remaining
from explorer.pruning.narrowing import channels_left, narrowed
from explorer.pruning.regrowing import regrow
from explorer.pruning.removal import Carved, carve
from explorer.supernets.augment import augment
from explorer.supernets.building import build, initialise
from explorer.supernets.checkpoint import load_tensors
from explorer.supernets.plain import Classifier, Network

LAMBDA = (1e-6, 100.0)  # the lowest and the highest weight of the size loss
MOMENTUM = 0.9


@dataclass
class State:
    """Progress of a search.

    Attributes:
        turn: number of finished rounds.
        weight: current weight of the size loss.
        narrow: stage -> cell -> the channels that stayed when that stage began, of the cells that got narrower.
        log: one row per round: stage, size (share of the initial parameters), remaining shares, loss, the share of its
            part that the thresholds asked for, and the factor on all thresholds at which was cut.
    """

    turn: int = 0
    weight: float = 1e-4
    narrow: dict[str, dict[str, list[bool]]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Turn:
    """A planned round.

    Attributes:
        stage: index of the stage, from 0.
        share: share of the parameters of the stage's part of the network that is left after the round.
        kept: the size in `PruneConfig.sizes` that the round reaches, or None.
        first: whether it is the first round of its stage.
    """

    stage: int
    share: float
    kept: float | None
    first: bool


class PruneSearch:
    """A pruning search that can be stopped after any round and resumed.

    Args:
        layers: all layers that may run.
        images: only `images.train` is used.
        config: see `PruneConfig`.
        ends: names of the last layers of the stages, `config.stages` in number; () searches the whole network at once.
        network: plain network of `layers` with trained weights; None starts from fresh weights.
        seed: random seed.

    Raises:
        InputError: a target size is below the smallest that can be reached (see `least`).
    """

    def __init__(
        self, layers: Sequence[Layer], images: Images, config: PruneConfig, ends: Sequence[str] = (),
        network: Network | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.images, self.config, self.seed = images, config, seed
        self.trained = network is not None
        plain = network or build(layers, images.mean, images.std, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = MaskedNetwork(layers, plain, config.granularities)
            self.heads = nn.ModuleDict()
            for end in ends[:-1]:
                width = next(layer.cout for layer in layers if layer.name == end)
                self.heads[end.replace(".", "-")] = Classifier(width, len(images.classes))
                initialise(self.heads)
        self.ends: list[str | None] = [*ends[:-1], None]
        self.full = remaining(self.model.layers, self.model.masks)
        self.whole = [self._count_of(end) for end in self.ends]
        self.state = State()
        self._optimise()
        self.turns = self._plan()
        least = self.least()
        if config.sizes[-1] * self.full < least * 0.95:
            raise InputError(
                f"{config.sizes[-1]:.3g} of the parameters ({config.sizes[-1] * self.full / 1e6:.4g} M) cannot be "
                f"reached; the smallest possible size is {least / self.full:.3g} ({least / 1e6:.4g} M)"
            )

    def least(self) -> int:
        """Return the smallest number of parameters that the guards (see `Learned.cut`) allow."""
        learned = self.model.learned(self.model.running)
        return smallest(learned, self.model.masks, self._nodes(), self._layers_of(None))

    def _plan(self) -> list[Turn]:
        """Plan the rounds: early stages shrink to their share in equal ratios, the last stage visits every size."""
        c, turns = self.config, []
        for stage in range(len(self.ends) - 1):
            shares = c.stage_share ** ((np.arange(c.rounds) + 1) / c.rounds)
            turns += [Turn(stage, float(share), None, i == 0) for i, share in enumerate(shares)]
        last = len(self.ends) - 1
        low, high = math.log(c.sizes[-1]), 0.0
        smaller = [s for s in c.sizes if s < 1]
        between = np.exp(np.linspace(high, low, max(c.rounds * 2, len(smaller)) + 1)[1:-1])
        # intermediate sizes within about 10 % of a target size are skipped
        steps = [float(b) for b in between if all(abs(math.log(b / s)) > 0.1 for s in smaller)]
        for i, share in enumerate(sorted({*smaller, *steps}, reverse=True)):
            turns.append(Turn(last, share, share if share in smaller else None, i == 0))
        return turns

    def run(
        self, keep: Callable[[float, Carved], None], folder: Path | None = None, progress: Progress = silent
    ) -> None:
        """Run the search to its end.

        Args:
            keep: called for every target size, with the size (a share) and the network.
            folder: the state is written there after every round; if it has a state, the search resumes from it.
            progress: reports rounds.
        """
        keep_memory()
        if folder is not None and (folder / "search.json").exists():
            self._load(folder)
        if self.state.turn == 0 and 1.0 in self.config.sizes:
            keep(1.0, carve(self.model))
        todo = range(self.state.turn, len(self.turns))
        with threads_for(self.config.batch, self.images.size):
            self._turns(todo, keep, folder, progress)

    def _turns(
        self, todo: range, keep: Callable[[float, Carved], None], folder: Path | None, progress: Progress
    ) -> None:
        for i in progress(todo, len(todo), "pruning"):
            turn = self.turns[i]
            if turn.first:
                self._begin(turn, i)
            if self.reachable(turn):
                self._round(turn, i)
            if turn.kept is not None:
                keep(turn.kept, carve(self.model))
            self.state.turn = i + 1
            if folder is not None:
                self._save(folder)

    def reachable(self, turn: Turn) -> bool:
        """Return whether a round's target is below the current size; early stages may already have gone further."""
        layers = self._layers_of(self.ends[turn.stage])
        return turn.share * self.whole[turn.stage] < remaining(layers(self.model.masks), self.model.masks)

    def _count_of(self, end: str | None) -> int:
        return remaining(self._layers_of(end)(self.model.masks), self.model.masks)

    def _nodes(self) -> dict[str, str]:
        return {op.name: "" if op.node == op.name else op.node for op in self.model.operations.values()}

    def _layers_of(self, end: str | None) -> Callable[[Masks], Sequence[Layer]]:
        def layers(masks: Masks) -> Sequence[Layer]:
            return self.model.upto(end, masks)

        return layers

    def _begin(self, turn: Turn, number: int) -> None:
        """Regrow, narrow, set thresholds back and warm up, also where a stage's first size is reached already."""
        if turn.stage > 0 and self.config.regrow:
            self._regrow(turn.stage)
        if turn.stage > 0 and self.config.narrow:
            before = self.model.upto(self.ends[turn.stage - 1], Masks(set(self.model.operations)))
            left = channels_left(self.model, list(dict.fromkeys(cell_of(x.name) for x in before if isinstance(x, Add))))
            self.state.narrow[str(turn.stage)] = {cell: keep.tolist() for cell, keep in left.items()}
            self._narrow(left)
        unit: Any
        for unit in self.model.units.values():
            unit.reset()
        for p in (p for n, p in self.model.named_parameters() if n.startswith("units.") and ".t_" in n):
            self.optimizer.state.pop(p, None)
        if self.config.warmup and not (self.trained and turn.stage == 0):
            self._train(self.ends[turn.stage], self.config.warmup, number, 0, 0.0)

    def _narrow(self, left: dict[str, np.ndarray]) -> None:
        if left:
            self.model = narrowed(self.model, left)
            self._optimise()

    def _optimise(self) -> None:
        """Begin the optimiser of everything that is learned; it goes on from round to round."""
        c, groups = self.config, self.model.groups()
        parts = [
            {"params": [*groups["weights"], *self.heads.parameters()], "lr": c.lr, "weight_decay": c.weight_decay},
            {"params": groups["strengths"], "lr": c.strength_lr},
            {"params": groups["thresholds"], "lr": c.threshold_lr},
            {"params": groups["weight thresholds"], "lr": c.weight_threshold_lr},
        ]
        self.optimizer = torch.optim.SGD([p for p in parts if p["params"]], momentum=MOMENTUM)
        self.learns = [*groups["strengths"], *groups["thresholds"], *groups["weight thresholds"]]

    def _round(self, turn: Turn, number: int) -> None:
        c, end = self.config, self.ends[turn.stage]
        size, layers_of, losses = turn.share * self.whole[turn.stage], self._layers_of(self.ends[turn.stage]), []
        for attempt in range(c.patience):
            losses.append(self._train(end, c.steps, number, attempt, self.state.weight))
            learned = self.model.learned(self.model.upto(end))
            masks = learned.cut(self.model.masks, self._nodes(), 1.0)
            asked = remaining(layers_of(masks), masks) / self.whole[turn.stage]
            self.state.weight = float(np.clip(self.state.weight * (2 if asked > turn.share else 0.5), *LAMBDA))
            if asked <= turn.share:
                break
        masks, factor = cut_to(size, learned, self.model.masks, self._nodes(), layers_of)
        self.model.commit(masks)
        self.model.settle(self.model.upto(end), factor)
        self.state.log.append({
            "round": number, "stage": turn.stage + 1, "size": remaining(self.model.running, masks) / self.full,
            "remaining": self.model.ratios(), "loss": losses[-1], "weight": self.state.weight, "asked": asked,
            "factor": factor,
        })  # fmt: skip

    def _train(self, end: str | None, steps: int, number: int, attempt: int, weight: float) -> float:
        """Train for some steps; return the mean loss. If `weight` is 0, strengths and thresholds are not trained."""
        c, data = self.config, self.images.train
        self.model.train()
        layers = self.model.upto(end)  # nothing is pruned during these steps
        for p in self.learns:
            p.requires_grad_(weight > 0)
        every = [p for group in self.optimizer.param_groups for p in group["params"]]
        kind = (number, attempt, int(weight > 0))
        rows = np.random.default_rng((self.seed, 21, *kind)).permutation(len(data))
        noise = torch.Generator().manual_seed(int(np.random.default_rng((self.seed, 22, *kind)).integers(2**62)))
        losses = []
        for step in range(steps):
            at = (step * c.batch) % max(1, len(data) - c.batch + 1)
            index = rows[at : at + c.batch]
            x = augment(data.images[index], noise, c.flip, c.shift, 0)
            loss = F.cross_entropy(self._logits(x, end), data.labels[index])
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise InputError(f"pruning diverged in round {number}: the loss is {losses[-1]}; lower lr ({c.lr})")
            if weight:
                loss = loss + weight * self.model.size_loss(layers, c.mu)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(every, 5.0)
            self.optimizer.step()
        return float(np.mean(losses)) if losses else math.nan

    def _logits(self, x: Tensor, end: str | None) -> Tensor:
        if end is None:
            return self.model(x)
        features = self.model(x, end).mean((2, 3), keepdim=True)
        return self.heads[end.replace(".", "-")](features)

    def _regrow(self, stage: int) -> None:
        """Regrow operations of earlier stages; what grew forgets how it was trained."""
        layers = {x.name for x in self.model.upto(self.ends[stage - 1], Masks(set(self.model.operations)))}
        grown = regrow(self.model, layers, self.config.regrow, self._momentum, self.seed * 31 + stage)
        for name in grown:
            self.optimizer.state.pop(self.model.unit(name).strength, None)
            for layer in self.model.operations[name].layers:
                for p in self.model.network.block(layer).parameters():
                    self.optimizer.state.pop(p, None)

    def _momentum(self, name: str) -> float:
        """Return how fast the strength of an operation was changing, up or down."""
        strength = self.model.unit(name).strength
        moving = None if strength is None else self.optimizer.state.get(strength, {}).get("momentum_buffer")
        return 0.0 if moving is None else abs(float(moving))

    def _save(self, folder: Path) -> None:
        tensors = {f"model.{n}": t for n, t in self.model.state_dict().items()}
        tensors |= {f"heads.{n}": t for n, t in self.heads.state_dict().items()}
        for name, p in self._named():
            if (moving := self.optimizer.state.get(p, {}).get("momentum_buffer")) is not None:
                tensors[f"momentum/{name}"] = moving
        masks = self.model.masks
        tensors |= {f"filters/{n}": torch.from_numpy(m) for n, m in masks.filters.items()}
        tensors |= {f"weights/{n}/{k}": torch.from_numpy(m) for n, own in masks.weights.items() for k, m in own.items()}
        name = f"search-{self.state.turn}.safetensors"
        write_bytes(folder / name, save({n: t.contiguous() for n, t in tensors.items()}))
        about = asdict(self.state) | {"operations": sorted(masks.operations), "tensors": name}
        write_text(folder / "search.json", json.dumps(about, indent=1))
        for old in folder.glob("search-*.safetensors"):
            if old.name != name:
                old.unlink()

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return [*self.model.named_parameters(prefix="model"), *self.heads.named_parameters(prefix="heads")]

    def _load(self, folder: Path) -> None:
        about = read_json(folder / "search.json")
        try:
            self._restore(about, load_tensors(folder / Path(about["tensors"]).name))
        except (RuntimeError, *READ_ERRORS) as error:
            why = first_line(error)
            raise InputError(f"{str(folder)!r} has no pruning search that can be resumed: {why}; delete it") from error

    def _restore(self, about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.state = State(about["turn"], about["weight"], about["narrow"], about["log"])
        for left in self.state.narrow.values():
            self._narrow({cell: np.array(keep, bool) for cell, keep in left.items()})
        masks = Masks(set(about["operations"]))
        for name, tensor in tensors.items():
            if name.startswith("filters/"):
                masks.filters[name.split("/")[1]] = tensor.numpy()
            elif name.startswith("weights/"):
                _, layer, key = name.split("/")
                masks.weights.setdefault(layer, {})[key] = tensor.numpy()
        self.model.load_state_dict({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
        self.heads.load_state_dict({n[6:]: t for n, t in tensors.items() if n.startswith("heads.")})
        self.model.commit(masks)
        for name, p in self._named():
            if f"momentum/{name}" in tensors:
                self.optimizer.state[p]["momentum_buffer"] = tensors[f"momentum/{name}"]
