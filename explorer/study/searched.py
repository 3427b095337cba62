"""Reading a study's searched fronts from files, and the knee of a front."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.core.errors import InputError, first_line


def read_searched(folder: Path, device: str, files: Collection[str]) -> pd.DataFrame:
    """Read the front that a search found on one device by predicted accuracy.

    Args:
        folder: folder of the study.
        device: device name.
        files: names of the study's files; if the front's file is not among them, the result is empty.

    Returns:
        Columns key, predicted, measured (NaN if the network was not measured), and the cost on the device.

    Raises:
        InputError: the file is damaged.
    """
    name = f"searched-{device}.csv"
    if name not in files:
        return pd.DataFrame({"key": [], "predicted": [], "measured": [], device: []})
    try:
        table = pd.read_csv(folder / name, dtype={"key": str})
        numbers = table[["predicted", "measured", device]].astype(float)
        if not np.isfinite(numbers[["predicted", device]].to_numpy()).all():
            raise ValueError("a value is not a number")
        return table[["key"]].astype(str).join(numbers)
    except (ValueError, KeyError) as error:
        raise InputError(f"{str(folder / name)!r} is damaged: {first_line(error)}") from error


def knee_of(front: pd.DataFrame, device: str) -> float:
    """Find the knee of a front, the cost above which more accuracy becomes expensive.

    It is the inner point that lies farthest above the straight line between the ends of the front.

    Args:
        front: rows in ascending order of the device's cost, with a column `accuracy`.
        device: name of the column of costs.
    """
    cost, accuracy = front[device].to_numpy(), front["accuracy"].to_numpy()
    x = (cost - cost[0]) / max(float(np.ptp(cost)), 1e-9)
    y = (accuracy - accuracy[0]) / max(float(np.ptp(accuracy)), 1e-9)
    inner = (y - x)[1:-1]
    return float(front[device].iloc[1 + int(inner.argmax()) if len(inner) else -1])
