"""Scalar rewards of a policy under a budget, for comparison with PNAG's dominance reward. No torch.

MnasNet (Tan et al. 2019) multiplies accuracy by (cost / budget)^-0.07; TuNAS (Bender et al. 2020) subtracts 0.07 times
|cost / budget - 1|. Both are meant to bring the cost close to the budget from either side. With several devices, the
largest cost / budget counts. The constants are those that PNAG's code uses for its comparison.
"""

from typing import Literal

import numpy as np

from explorer.devices.population import overshoot

Reward = Literal["dominance", "mnasnet", "tunas"]
STRENGTH = 0.07
MOST = 1e3  # cost / budget of a network without a cost


def scalar_reward(kind: Reward, accuracy: np.ndarray, costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Compute the reward of each draw, standardised over the draws of its request, because accuracies differ little.

    Args:
        kind: "mnasnet" or "tunas".
        accuracy: (g, b) accuracies of b draws for each of g requests.
        costs: (g, b, m), one column per device.
        limits: (g, m), one budget per request; at least one device is bounded.

    Returns:
        (g, b) rewards with mean 0 over the draws of a request and, if they differ, standard deviation 1.
    """
    ratio = np.minimum(overshoot(costs, limits[:, None, :]), MOST)
    if kind == "mnasnet":
        reward = accuracy * ratio**-STRENGTH
    else:
        reward = accuracy - STRENGTH * np.abs(ratio - 1)
    reward = reward - reward.mean(1, keepdims=True)
    return reward / np.maximum(reward.std(1, keepdims=True), 1e-9)
