"""`expert` at run time: a generator that answers for any devices, also those that it was not trained on. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from explorer.generators.budgets import BudgetCode, positions
from explorer.generators.descriptions import Reference
from explorer.generators.one_pass import OnePassGenerator

NEW_LIMITS, NEW_DRAWS = 1024, 15  # of the pool, for a device that the generator was not trained on


class AnyDeviceGenerator(OnePassGenerator):
    """A generator that reads descriptions of its devices next to the limits; its graph is that of `expert_graph`.

    A device whose costs do not differ, or are not above 0, has no description; its limits are met by selection alone.
    """

    def _conditioning(self, about: dict[str, Any]) -> BudgetCode:
        """Describe the devices at hand; only those with a description condition the generator."""
        self._trained_on = super()._conditioning(about).devices  # refuses a file whose own devices and ranges are bent
        found = Reference(self.space).of(self.devices)
        self._low, self._high, self._features = found.low, found.high, found.features
        own = np.flatnonzero(found.usable)
        names = tuple(self.devices[i].name for i in own)
        return BudgetCode(names, tuple(found.low[own]), tuple(found.high[own]), int(about["anchors"]))

    def _fixed_limits(self) -> list[tuple[np.ndarray, int]]:
        """Add limits on every new device alone, with more draws, because the generator is less sure there."""
        found, code = super()._fixed_limits(), self.code
        for column, name in enumerate(code.devices):
            if name not in self._trained_on:
                limits = np.full((NEW_LIMITS, len(code.devices)), np.nan)
                limits[:, column] = np.geomspace(code.low[column], code.high[column], NEW_LIMITS)
                found.append((limits, NEW_DRAWS))
        return found

    def _logits(self, limits: np.ndarray) -> np.ndarray:
        own = self._columns
        at = positions(limits, self._low[own], self._high[own], self.code.anchors)
        features = np.broadcast_to(self._features[own], (len(limits), *self._features[own].shape))
        read = {
            "devices": np.concatenate([features, at], 2),
            "bounded": (~np.isnan(limits))[:, :, None].astype(np.float32),
        }
        return np.asarray(self._session.run(None, read)[0])
