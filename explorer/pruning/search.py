"""The pruning search: operations, filters and weights are pruned together, stage by stage, down to the target sizes.

It follows Liu et al. 2025 ("MG-DARTS") in these points: weights, strengths and thresholds are trained together (one
level); thresholds are learned; every stage has its own head, so that only a part of the network needs memory; some
pruned operations are regrown before later stages prune everything again. One point is different: target sizes are
enforced, not awaited. Every round has a target size; what was learned decides what is removed, and the weight of the
size loss rises as long as the target requires removing more than was learned. Only training images are used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from safetensors.torch import save
from torch import Tensor, nn

from explorer.core.config import Settings
from explorer.core.errors import READ_ERRORS, InputError, first_line
from explorer.core.files import read_json, write_bytes, write_text
from explorer.core.layer import Layer
from explorer.core.protocols import Progress, silent
from explorer.data.datasets import Images
from explorer.fast.memory import keep_memory
from explorer.fast.threads import threads_for
from explorer.pruning.cutting import cut_to, smallest
from explorer.pruning.gates import Gate
from explorer.pruning.masked import GRANULARITIES, MaskedNetwork, cell_of
from explorer.pruning.masks import Masks, remaining
from explorer.pruning.removal import Carved, carve
from explorer.supernets.augment import augment
from explorer.supernets.building import build, initialise
from explorer.supernets.checkpoint import load_tensors
from explorer.supernets.plain import Classifier, Network

LAMBDA = (1e-6, 1.0)  # the lowest and the highest weight of the size loss


class PruneConfig(Settings):
    """Settings of a pruning search.

    Attributes:
        granularities: what may be pruned.
        sizes: target sizes, as descending shares of the initial parameters; a network is kept at each of them.
        stages: number of stages; 1 searches the whole network at once.
        stage_share: share of the parameters of its part of the network that an early stage leaves.
        regrow: share of the pruned operations that are regrown before every later stage; 0 for none.
        warmup: training steps at the start of a stage for the weights only; the first stage of a trained network has
            none.
        rounds: rounds of an early stage, each of which ends with pruning; the last stage has about twice as many.
        steps: training steps per round.
        batch: images per step.
        lr, weight_decay: for the weights.
        strength_lr, threshold_lr: learning rates of strengths and thresholds.
        mu: weight of an operation's parameters in the size loss.
        flip, shift: augmentation, see `supernets.augment`.
    """

    granularities: tuple[Literal["operation", "filter", "weight"], ...] = ("operation", "filter", "weight")
    sizes: tuple[float, ...] = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)
    stages: int = Field(3, ge=1, le=1000)
    stage_share: float = Field(0.4, gt=0, le=1)
    regrow: float = Field(0.2, ge=0, lt=1)
    warmup: int = Field(60, ge=0, le=10_000_000)
    rounds: int = Field(6, ge=1, le=1_000_000)
    steps: int = Field(30, ge=1, le=100_000_000)
    batch: int = Field(64, ge=8, le=100_000)
    lr: float = Field(0.05, gt=0, le=1000)
    weight_decay: float = Field(3e-4, ge=0, le=1000)
    strength_lr: float = Field(0.5, gt=0, le=1e6)
    threshold_lr: float = Field(0.05, gt=0, le=1e6)
    mu: float = Field(1.0, ge=0, le=1e6)
    flip: bool = False
    shift: int = Field(0, ge=0, le=256)

    @field_validator("sizes")
    @classmethod
    def _descending(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        if not sizes or any(not 0 < s <= 1 for s in sizes) or list(sizes) != sorted(set(sizes), reverse=True):
            raise ValueError(
                f"sizes {list(sizes)}: expected descending shares above 0 and up to 1, such as [1, 0.5, 0.1]"
            )
        return sizes

    @field_validator("granularities")
    @classmethod
    def _some(cls, chosen: tuple[str, ...]) -> tuple[str, ...]:
        if not chosen:
            raise ValueError(f"granularities are empty; choose from: {', '.join(GRANULARITIES)}")
        return chosen


@dataclass
class State:
    """Progress of a search.

    Attributes:
        turn: number of finished rounds.
        weight: current weight of the size loss.
        log: one row per round: stage, size (share of the initial parameters), remaining shares, loss.
    """

    turn: int = 0
    weight: float = 1e-4
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
        self.state = State()
        self.turns = self._plan()
        least = self.least()
        if config.sizes[-1] * self.full < least * 0.95:
            raise InputError(
                f"{config.sizes[-1]:.3g} of the parameters ({config.sizes[-1] * self.full / 1e6:.4g} M) cannot be "
                f"reached; the smallest possible size is {least / self.full:.3g} ({least / 1e6:.4g} M)"
            )

    def least(self) -> int:
        """Return the smallest number of parameters that the guards (see `Margins.cut`) allow."""
        margins = self.model.margins(self.model.running)
        return smallest(margins, self.model.masks, self._nodes(), self._layers_of(None))

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
            if turn.first and turn.stage > 0 and self.config.regrow:
                self._regrow(turn.stage)
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
        return turn.share * self._whole(turn.stage) < remaining(layers(self.model.masks), self.model.masks)

    def _whole(self, stage: int) -> int:
        """Count the parameters of a stage's part of the network when nothing is pruned."""
        masks = Masks(set(self.model.operations))
        return remaining(self._layers_of(self.ends[stage])(masks), masks)

    def _nodes(self) -> dict[str, str]:
        return {op.name: "" if op.node == op.name else op.node for op in self.model.operations.values()}

    def _layers_of(self, end: str | None) -> Callable[[Masks], Sequence[Layer]]:
        def layers(masks: Masks) -> Sequence[Layer]:
            return self.model.upto(end, masks)

        return layers

    def _begin(self, turn: Turn, number: int) -> None:
        """Set thresholds back and warm up at the start of a stage, also where its first size is reached already."""
        unit: Any
        for unit in self.model.units.values():
            unit.reset()
        if self.config.warmup and not (self.trained and turn.stage == 0):
            self._train(self.ends[turn.stage], self.config.warmup, number, 0.0)

    def _round(self, turn: Turn, number: int) -> None:
        c, end = self.config, self.ends[turn.stage]
        loss = self._train(end, c.steps, number, self.state.weight)
        margins = self.model.margins(self.model.upto(end))
        size = turn.share * self._whole(turn.stage)
        masks, at = cut_to(size, margins, self.model.masks, self._nodes(), self._layers_of(end))
        self.model.commit(masks)
        # at > 0: the target size required removing more than was learned
        self.state.weight = float(np.clip(self.state.weight * (2 if at > 0 else 0.5), *LAMBDA))
        whole = remaining(self.model.running, masks) / self.full
        self.state.log.append({
            "round": number, "stage": turn.stage + 1, "size": whole, "remaining": self.model.ratios(),
            "loss": loss, "weight": self.state.weight, "margin": at,
        })  # fmt: skip

    def _train(self, end: str | None, steps: int, number: int, weight: float) -> float:
        """Train for some steps; return the mean loss. If `weight` is 0, strengths and thresholds are not trained."""
        c, data = self.config, self.images.train
        self.model.train()
        layers = self.model.upto(end)  # nothing is pruned during these steps
        groups = self.model.groups()
        heads = list(self.heads.parameters())
        parts = [{"params": [*groups["weights"], *heads], "lr": c.lr, "weight_decay": c.weight_decay}]
        if weight:
            parts += [
                {"params": groups["strengths"], "lr": c.strength_lr},
                {"params": groups["thresholds"], "lr": c.threshold_lr},
                {"params": groups["weight thresholds"], "lr": c.threshold_lr},
            ]
        optimizer = torch.optim.SGD([p for p in parts if p["params"]], momentum=0.9)
        every = [p for group in optimizer.param_groups for p in group["params"]]
        kind = (number, int(weight > 0))
        rows = np.random.default_rng((self.seed, 21, *kind)).permutation(len(data))
        losses = []
        for step in range(steps):
            at = (step * c.batch) % max(1, len(data) - c.batch + 1)
            index = rows[at : at + c.batch]
            noise = torch.Generator().manual_seed(((self.seed * 1_000_003 + number) * 2 + kind[1]) * 10_007 + step)
            x = augment(data.images[index], noise, c.flip, c.shift, 0)
            loss = F.cross_entropy(self._logits(x, end), data.labels[index])
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise InputError(f"pruning diverged in round {number}: the loss is {losses[-1]}; lower lr ({c.lr})")
            if weight:
                loss = loss + weight * self.model.size_loss(layers, c.mu)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(every, 5.0)
            optimizer.step()
        return float(np.mean(losses)) if losses else math.nan

    def _logits(self, x: Tensor, end: str | None) -> Tensor:
        if end is None:
            return self.model(x)
        features = self.model(x, end).mean((2, 3), keepdim=True)
        return self.heads[end.replace(".", "-")](features)

    def _regrow(self, stage: int) -> None:
        """Regrow some pruned operations of earlier stages, preferably of cells and kinds with high strengths."""
        model, masks = self.model, self.model.masks
        layers = {layer.name for layer in self.model.upto(self.ends[stage - 1], Masks(set(model.operations)))}
        gone = sorted(n for n in model.operations if n not in masks.operations and n in layers)
        count = int(self.config.regrow * len(gone))
        if not count:
            return
        places, kinds = _importance(model, layers)
        odds = np.array([places[cell_of(n)] * kinds[model.operations[n].kind] for n in gone]) + 1e-9
        rng = np.random.default_rng((self.seed, 23, stage))
        grown = rng.choice(gone, count, replace=False, p=odds / odds.sum())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 31 + stage)
            for name in grown:
                self._refresh(name, masks)
        model.commit(Masks(masks.operations | set(grown), masks.filters, masks.weights))

    @torch.no_grad()
    def _refresh(self, name: str, masks: Masks) -> None:
        """Reset an operation: fresh weights, nothing masked, strength zero."""
        unit = self.model.unit(name)
        unit.reset()
        if unit.strength is not None:
            unit.strength.zero_()
        for layer in self.model.operations[name].layers:
            masks.filters.pop(layer, None)
            masks.weights.pop(layer, None)
            for module in self.model.network.block(layer).modules():
                if isinstance(module, Gate) and module.filters is not None:
                    module.filters.zero_()
            self.model.renew(layer)

    def _save(self, folder: Path) -> None:
        tensors = {f"model.{n}": t for n, t in self.model.state_dict().items()}
        tensors |= {f"heads.{n}": t for n, t in self.heads.state_dict().items()}
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

    def _load(self, folder: Path) -> None:
        about = read_json(folder / "search.json")
        try:
            self._restore(about, load_tensors(folder / Path(about["tensors"]).name))
        except (RuntimeError, *READ_ERRORS) as error:
            why = first_line(error)
            raise InputError(f"{str(folder)!r} has no pruning search that can be resumed: {why}; delete it") from error

    def _restore(self, about: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.state = State(about["turn"], about["weight"], about["log"])
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


def _importance(model: MaskedNetwork, layers: set[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the mean strength of operations (pruned ones count as 0) by cell and by kind, each scaled to at most 1."""
    places: dict[str, list[float]] = {}
    kinds: dict[str, list[float]] = {}
    for op in model.operations.values():
        if op.name in layers:
            strength = model.unit(op.name).strength
            value = 0.5 if strength is None else float(torch.sigmoid(strength.detach()))
            own = value if op.name in model.masks.operations else 0.0
            places.setdefault(cell_of(op.name), []).append(own)
            kinds.setdefault(op.kind, []).append(own)
    result = []
    for table in (places, kinds):
        means = {key: float(np.mean(values)) for key, values in table.items()}
        top = max(means.values()) or 1.0
        result.append({key: value / top for key, value in means.items()})
    return result[0], result[1]
