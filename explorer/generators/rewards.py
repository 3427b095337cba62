"""What a policy is paid for under a budget: dominance (PNAG), and the scalar rewards it is compared with. No torch.

MnasNet (Tan et al. 2019) multiplies accuracy by (cost / budget)^-0.07; TuNAS (Bender et al. 2020) subtracts 0.07 times
|cost / budget - 1|. Both pull a network's cost to the budget from either side; several devices count by the one that is
over its budget most. Exponents as PNAG's code has them for its comparison.
"""

from typing import Literal

import numpy as np

from explorer.devices.population import overshoot

Reward = Literal["dominance", "mnasnet", "tunas"]
STRENGTH = 0.07


def scalar_reward(kind: Reward, accuracy: np.ndarray, costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """How good draws are for their request, standardised over its draws, as accuracies differ by little.

    Args:
        kind: "mnasnet" or "tunas".
        accuracy: (g, b).
        costs: (g, b, m).
        limits: (g, m), one budget per group; at least one device is bounded.

    Returns:
        (g, b), mean 0 over every group, and standard deviation 1 where draws differ.
    """
    ratio = overshoot(costs, limits[:, None, :])
    if kind == "mnasnet":
        reward = accuracy * ratio**-STRENGTH
    else:
        reward = accuracy - STRENGTH * np.abs(ratio - 1)
    reward = reward - reward.mean(1, keepdims=True)
    return reward / np.maximum(reward.std(1, keepdims=True), 1e-9)
