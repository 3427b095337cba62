"""The MobileNetV3-style family: searches depth, kernel, expansion and, optionally, resolution.

A network is stem -> one fixed block -> stages of 1..D MBConv slots -> 1x1 conv -> pool -> feature mix -> classifier
(Cai et al. 2020, once-for-all; the macro-structure of its `ofa_mbv3`). The depth of a stage is the number of its slots
that run. This file defines shapes and choices; the weights are in `supernets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from explorer.core.architecture import Architecture, as_codes
from explorer.core.errors import InputError
from explorer.core.layer import EPS, Layer, Part, round_width
from explorer.core.operators import Conv, GlobalPool, Linear, MBConv
from explorer.spaces.base import Choices, Decision, Space
from explorer.spaces.chain import chain_layers


@dataclass(frozen=True)
class MobileSpace(Space):
    """A search space of MBConv networks.

    Attributes:
        name: name under which the space is registered.
        stem: channels of the stem, and of the fixed first block unless `first` says otherwise.
        widths, strides, se, acts: one entry per stage: output channels, stride of the first slot, whether its blocks
            have squeeze-and-excitation, activation.
        depths, kernels, expands: the options of every stage (depth) and slot (kernel, expansion).
        resolutions: input sizes in pixels; the options of decision `r` where the resolution is searched.
        final, mix: channels of the last 1x1 convolution and of the feature mix after pooling (0: none).
        stem_stride: stride of the stem.
        first: channels of the fixed first block; 0 for those of the stem.
        deepest: per stage, the largest of its `depths`; () where all stages have all of them.
        ends: activations of the stem, of the first block, and of the last convolutions.
        eps: added to the variances of the batch norms.
        mix_bias: whether the feature mix has a bias.
        searched_resolution: whether the resolution is a decision.
        channels, classes: number of channels and of classes of the images; see `for_images`.
        sizes: image sizes that a network of one fixed resolution may compute at as they are (others are resized).
        limits: decisions narrowed by `restrict`.
    """

    name: str
    stem: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    se: tuple[bool, ...]
    acts: tuple[str, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    resolutions: tuple[int, ...]
    final: int
    mix: int
    stem_stride: int = 2
    first: int = 0
    deepest: tuple[int, ...] = ()
    ends: tuple[str, str, str] = ("hswish", "relu", "hswish")
    eps: float = EPS
    mix_bias: bool = False
    searched_resolution: bool = False
    channels: int = 3
    classes: int = 1000
    sizes: tuple[int, ...] = ()
    limits: tuple[tuple[str, tuple[int, ...]], ...] = ()

    supernet: ClassVar[str] = "explorer.supernets.mobile:MobileSupernet"

    # decisions ----------------------------------------------------------------------------------------------

    @cached_property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """(stage, position) of every layer slot, in order, both from 0."""
        return tuple((s, j) for s in range(len(self.widths)) for j in range(max(self._depths(s))))

    def _depths(self, stage: int) -> tuple[int, ...]:
        """Return the depths of a stage before any narrowing."""
        return tuple(d for d in self.depths if not self.deepest or d <= self.deepest[stage])

    @cached_property
    def decisions(self) -> dict[str, tuple[int, ...]]:
        """Depths `d1..dS`, kernels `k1.1..`, expansions `e1.1..`, and the resolution `r` where it is searched."""
        options = {f"d{s + 1}": self._depths(s) for s in range(len(self.widths))}
        options |= {f"k{s + 1}.{j + 1}": self.kernels for s, j in self.slots}
        options |= {f"e{s + 1}.{j + 1}": self.expands for s, j in self.slots}
        if self.searched_resolution:
            options["r"] = self.resolutions
        return options | dict(self.limits)

    @cached_property
    def records(self) -> tuple[Decision, ...]:
        """Depth per stage, kernel and expansion per slot, resolution; places are (stage,), (stage, slot) and ()."""
        kinds = {"d": "depth", "k": "kernel", "e": "expand", "r": "resolution"}
        return tuple(
            Decision(name, kinds[name[0]], tuple(options), tuple(int(n) for n in name[1:].split(".") if n))
            for name, options in self.decisions.items()
        )

    @cached_property
    def _genes(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.decisions)}

    @property
    def encoded(self) -> list[int]:
        """Positions of the one-hot encoded genes: kernels, expansions, and the resolution where it is a choice."""
        return [
            i for i, record in enumerate(self.records)
            if record.kind in ("kernel", "expand") or (record.kind == "resolution" and len(record.options) > 1)
        ]  # fmt: skip

    def _gene_of_slots(self, kind: str) -> list[int]:
        return [self._genes[f"{kind}{s + 1}.{j + 1}"] for s, j in self.slots]

    @cached_property
    def _activity(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Genes of the slots (2, slots), depth gene of each slot's stage, its position there, depths by option."""
        slots = np.array([self._gene_of_slots("k"), self._gene_of_slots("e")])
        stage = np.array([self._genes[f"d{s + 1}"] for s, _ in self.slots])
        position = np.array([j for _, j in self.slots])
        depths = np.zeros((len(self.decisions), 128), np.int64)
        for s in range(len(self.widths)):
            options = self.decisions[f"d{s + 1}"]
            depths[self._genes[f"d{s + 1}"], : len(options)] = options
        return slots, stage, position, depths

    def active(self, codes: np.ndarray) -> np.ndarray:
        """Mark the active genes, (n, d) bool: slots beyond the depth of their stage are inactive."""
        slots, stage, position, depths = self._activity
        on = np.ones(codes.shape, bool)
        runs = position < depths[stage, codes[:, stage]]
        on[:, slots[0]] = runs
        on[:, slots[1]] = runs
        return on

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Set inactive slots to option 0, (n, d) int8; idempotent."""
        codes = as_codes(self, codes)
        return np.where(self.active(codes), codes, 0).astype(np.int8)

    @property
    def size(self) -> int:
        """Exact number of canonical architectures."""
        total = len(self.decisions.get("r", (0,)))
        for s in range(len(self.widths)):
            stage = 0
            for depth in self.decisions[f"d{s + 1}"]:
                ways = 1
                for j in range(depth):
                    slot = f"{s + 1}.{j + 1}"
                    ways *= len(self.decisions["k" + slot]) * len(self.decisions["e" + slot])
                stage += ways
            total *= stage
        return total

    def enumerate(self) -> np.ndarray:
        """Return every canonical architecture, (size, d) int8.

        Raises:
            InputError: there are more than 100,000.
        """
        if self.size > 100_000:
            raise InputError(
                f"space {self.name!r} has {self.size:.2e} architectures; at most 100,000 can be enumerated"
            )
        counts = [len(options) for options in self.decisions.values()]
        stage_rows = []
        for s in range(len(self.widths)):
            genes = [i for i, record in enumerate(self.records) if record.place[:1] == (s + 1,)]
            grid = np.indices([counts[g] for g in genes]).reshape(len(genes), -1).T
            full = np.zeros((len(grid), len(counts)), np.int8)
            full[:, genes] = grid
            stage_rows.append((genes, np.unique(self.canonical(full)[:, genes], axis=0)))
        if "r" in self._genes:
            stage_rows.append(([self._genes["r"]], np.arange(counts[-1])[:, None]))
        index = np.indices([len(rows) for _, rows in stage_rows]).reshape(len(stage_rows), -1)
        codes = np.zeros((index.shape[1], len(counts)), np.int8)
        for (genes, rows), at in zip(stage_rows, index):
            codes[:, genes] = rows[at]
        return codes

    # the same family, narrowed or for other images ----------------------------------------------------------

    def restrict(self, options: Mapping[str, Sequence[int]]) -> MobileSpace:
        """Return a narrower space of the same family and gene order.

        Args:
            options: decision name, or kind ("depth", "kernel", "expand", or "d", "k", "e") -> allowed values.

        Raises:
            InputError: an unknown decision, an empty list, or a value that the space does not have.
        """
        narrowed = dict(self.limits)
        for name, values in options.items():
            kind = {"d": "depth", "k": "kernel", "e": "expand"}.get(name, name)
            names = [record.name for record in self.records if record.name == name or record.kind == kind]
            if not names:
                raise InputError(f"unknown decision {name!r}; choose from: {', '.join(self.decisions)}")
            for n in names:
                allowed = self.decisions[n]
                values = tuple(values)
                if not values or any(v not in allowed for v in values):
                    raise InputError(f"decision {n!r} cannot be {values}; choose from: {allowed}")
                narrowed[n] = tuple(v for v in allowed if v in values)
        return replace(self, limits=tuple(sorted(narrowed.items())))

    def for_images(self, channels: int, classes: int, size: int) -> MobileSpace:
        """Return the same space for images of this shape; the network resizes images whose size is not in `sizes`."""
        resolutions = (size,) if size in self.sizes else self.resolutions
        return replace(self, channels=channels, classes=classes, resolutions=resolutions)

    # once-for-all's notation ---------------------------------------------------------------------------------

    def from_ofa(self, config: Mapping[str, Any]) -> Architecture:
        """Create an architecture from once-for-all's `{"ks", "e", "d", "r"}`, or from a whole `net.config`.

        `r` is an int or a list of one int. The values of inactive slots are ignored (published files have 0 there).

        Raises:
            InputError: a list is missing or has the wrong length, or the space does not have a value.
        """
        if "blocks" in config and "ks" not in config:
            config = self._from_net_config(config)
        lists = {}
        for field, length in (("d", len(self.widths)), ("ks", len(self.slots)), ("e", len(self.slots))):
            value = config.get(field)
            if not isinstance(value, (list, tuple, np.ndarray)) or len(value) != length:
                raise InputError(f"once-for-all field {field!r} must be a list of {length} numbers, not {value!r:.80}")
            lists[field] = _whole(value, field)
        values: dict[str, Any] = {f"d{s + 1}": d for s, d in enumerate(lists["d"])}
        for at, (s, j) in enumerate(self.slots):
            runs = j < lists["d"][s]
            for kind, field in (("k", "ks"), ("e", "e")):
                name = f"{kind}{s + 1}.{j + 1}"
                values[name] = lists[field][at] if runs else self.decisions[name][0]
        if "r" in self.decisions:
            r = config.get("r", max(self.decisions["r"]))
            values["r"] = _whole(r if isinstance(r, (list, tuple, np.ndarray)) and len(r) else [r], "r")[0]
        return Architecture.from_values(self, {name: values[name] for name in self.decisions})

    def to_ofa(self, architecture: Architecture) -> dict[str, Any]:
        """Convert an architecture to `{"ks", "e", "d", "r"}`, with 0 in inactive slots."""
        v = architecture.values
        depth = [v[f"d{s + 1}"] for s in range(len(self.widths))]
        ofa: dict[str, Any] = {
            "ks": [v[f"k{s + 1}.{j + 1}"] if j < depth[s] else 0 for s, j in self.slots],
            "e": [v[f"e{s + 1}.{j + 1}"] if j < depth[s] else 0 for s, j in self.slots],
            "d": depth,
        }
        ofa["r"] = v["r"] if "r" in v else self.resolutions[0]
        return ofa

    def _from_net_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Convert the blocks of once-for-all's `net.config` (one fixed block, then the searched ones) to its lists."""
        try:
            blocks = [b["conv"] if "conv" in b else b["mobile_inverted_conv"] for b in config["blocks"]][1:]
            ofa: dict[str, Any] = {"ks": [], "e": [], "d": []}
            at = 0
            for s, width in enumerate(self.widths):
                most = max(self._depths(s))
                stage: list[Mapping[str, Any]] = []
                while at < len(blocks) and blocks[at]["out_channels"] == width and len(stage) < most:
                    stage.append(blocks[at])
                    at += 1
                pad = [0] * (most - len(stage))
                ofa["d"].append(len(stage))
                ofa["ks"] += [b["kernel_size"] for b in stage] + pad
                ofa["e"] += [
                    round(b.get("mid_channels") / b["in_channels"]) if b.get("mid_channels") else int(b["expand_ratio"])
                    for b in stage
                ] + pad
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"not a once-for-all net.config: {type(error).__name__} {error}") from error
        if at != len(blocks):
            raise InputError(f"net.config has {len(blocks)} searched blocks that do not fit {self.name!r}")
        for name in ("r", "resolution"):
            if name in config:
                ofa["r"] = config[name]
        return ofa

    # layers --------------------------------------------------------------------------------------------------

    def parts(self) -> list[Part]:
        """Return the parts of a network, each dependent on a few genes; costs are compiled from them."""
        r = (self._genes["r"],) if "r" in self._genes else ()

        def resolution(choices: tuple[int, ...]) -> int:
            return self.decisions["r"][choices[-1]] if r else self.resolutions[0]

        parts = [Part(r, lambda c: self._head(resolution(c)))]
        for s, j in self.slots:
            slot = f"{s + 1}.{j + 1}"
            names = (f"d{s + 1}", "k" + slot, "e" + slot)

            def block(c: tuple[int, ...], s: int = s, j: int = j, names: tuple = names) -> tuple[Layer, ...]:
                depth, kernel, expand = (self.decisions[n][i] for n, i in zip(names, c))
                return (self._block(s, j, kernel, expand, resolution(c)),) if j < depth else ()

            parts.append(Part((*(self._genes[n] for n in names), *r), block))
        parts.append(Part(r, lambda c: self._tail(resolution(c))))
        return parts

    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """Return the operators that run, in order; each layer reads the one before it."""
        return chain_layers(self, architecture)

    def _size(self, stage: int, resolution: int) -> int:
        """Return the feature-map size at the input of a stage."""
        size = (resolution - 1) // self.stem_stride + 1
        for stride in self.strides[:stage]:
            size = (size - 1) // stride + 1
        return size

    def _head(self, r: int) -> tuple[Layer, ...]:
        size, first = self._size(0, r), self.first or self.stem
        return (
            Conv(self.channels, self.stem, r, 3, self.stem_stride, act=self.ends[0], name="stem", eps=self.eps),
            MBConv(
                self.stem,
                first,
                size,
                3,
                1,
                mid=self.stem,
                act=self.ends[1],
                residual=first == self.stem,
                name="first",
                eps=self.eps,
            ),
        )

    def _block(self, s: int, j: int, kernel: int, expand: int, r: int) -> Layer:
        cin = self.widths[s] if j else (self.widths[s - 1] if s else self.first or self.stem)
        cout, stride = self.widths[s], (1 if j else self.strides[s])
        mid = round_width(round(cin * expand))
        return MBConv(cin, cout, self._size(s + 1 if j else s, r), kernel, stride, mid=mid,
            se=round_width(mid // 4) if self.se[s] else 0, act=self.acts[s],
            residual=stride == 1 and cin == cout, name=f"stage{s + 1}.{j + 1}", eps=self.eps,
        )  # fmt: skip

    def _tail(self, r: int) -> tuple[Layer, ...]:
        size = self._size(len(self.widths), r)
        layers = [
            Conv(self.widths[-1], self.final, size, act=self.ends[2], name="final", eps=self.eps),
            GlobalPool(self.final, self.final, size, name="pool"),
        ]
        if self.mix:
            layers.append(Conv(self.final, self.mix, 1, act=self.ends[2], bn=False, bias=self.mix_bias, name="mix"))
        layers.append(Linear(self.mix or self.final, self.classes, 1, name="classifier"))
        return tuple(layers)


def mobilenetv3(name: str, multiplier: float) -> MobileSpace:
    """Create once-for-all's MobileNetV3 space at a width multiplier: 7371^5 networks per resolution."""
    w = [round_width(base * multiplier) for base in (16, 24, 40, 80, 112, 160, 960, 1280)]
    return MobileSpace(
        name, stem=w[0], widths=tuple(w[1:6]), strides=(2, 2, 2, 1, 2),
        se=(False, True, False, True, True), acts=("relu", "relu", "hswish", "hswish", "hswish"),
        depths=(2, 3, 4), kernels=(3, 5, 7), expands=(3, 4, 6),
        resolutions=tuple(range(128, 225, 4)), searched_resolution=True, final=w[6], mix=w[7],
    )  # fmt: skip


def _whole(values: Any, field: str) -> list[int]:
    """Convert the values of a once-for-all field to integers."""
    try:
        return [int(v) for v in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"once-for-all field {field!r} holds {str(values)[:80]!r}; expected whole numbers") from error
