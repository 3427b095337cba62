"""Regrowing some pruned operations between the stages of a search (needs torch).

Liu et al. 2025 ("MG-DARTS"): operations are drawn by the importance of their cell and of their kind. Both are the mean
of two means, each scaled to at most 1: of the strengths, and of how fast the strengths were changing when their
operations were trained last.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from explorer.pruning.gates import Gate
from explorer.pruning.masked import MaskedNetwork, cell_of
from explorer.pruning.masks import Masks


def regrow(
    model: MaskedNetwork, layers: set[str], share: float, momentum: Callable[[str], float], seed: int
) -> list[str]:
    """Regrow some of the pruned operations, with fresh weights.

    Args:
        model: the network.
        layers: names of the layers among which operations grow.
        share: share of the pruned operations that grow.
        momentum: operation -> how fast its strength was changing.
        seed: of the draw and of the weights.

    Returns:
        Names of the operations that grew.
    """
    masks = model.masks
    gone = sorted(n for n in model.operations if n not in masks.operations and n in layers)
    count = int(share * len(gone))
    if not count:
        return []
    places, kinds = importance(model, layers, momentum)
    odds = np.array([places[cell_of(n)] * kinds[model.operations[n].kind] for n in gone]) + 1e-9
    grown = np.random.default_rng((seed, 23)).choice(gone, count, replace=False, p=odds / odds.sum()).tolist()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in grown:
            _refresh(model, name, masks)
    model.commit(Masks(masks.operations | set(grown), masks.filters, masks.weights))
    return grown


@torch.no_grad()
def _refresh(model: MaskedNetwork, name: str, masks: Masks) -> None:
    """Reset an operation: fresh weights, nothing masked, strength zero."""
    unit = model.unit(name)
    unit.reset()
    if unit.strength is not None:
        unit.strength.zero_()
    for layer in model.operations[name].layers:
        masks.filters.pop(layer, None)
        masks.weights.pop(layer, None)
        for module in model.network.block(layer).modules():
            if isinstance(module, Gate) and module.filters is not None:
                module.filters.zero_()
        model.renew(layer)


def importance(
    model: MaskedNetwork, layers: set[str], momentum: Callable[[str], float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the importance of the operations of every cell and of every kind, at most 1; pruned ones count as 0."""
    places: dict[str, list[tuple[float, float]]] = {}
    kinds: dict[str, list[tuple[float, float]]] = {}
    for op in model.operations.values():
        if op.name in layers:
            strength = model.unit(op.name).strength
            value = 0.5 if strength is None else float(torch.sigmoid(strength.detach()))
            own = (value if op.name in model.masks.operations else 0.0, momentum(op.name))
            places.setdefault(cell_of(op.name), []).append(own)
            kinds.setdefault(op.kind, []).append(own)
    return _scaled(places), _scaled(kinds)


def _scaled(table: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    means = np.array([np.mean(values, 0) for values in table.values()])
    tops = means.max(0)
    return dict(zip(table, (means / np.where(tops > 0, tops, 1)).mean(1).tolist()))
