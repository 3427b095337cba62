"""Published accuracies of networks, read from a table that is not part of the package."""

from __future__ import annotations

import math
import os

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import expanded, is_file
from explorer.core.protocols import SearchSpace
from explorer.core.tables import network_rows, number_of
from explorer.evaluators.scoring import Scored

VARIABLE = "EXPLORER_REFERENCE"


def read_published(name: str, space: SearchSpace) -> Scored:
    """Read architectures with their published accuracies.

    Args:
        name: path of a CSV file in the folder `$EXPLORER_REFERENCE`, with columns `key` (or `ks`, `e`, `d`) and `top1`
            in per cent.
        space: the search space of the architectures.

    Raises:
        InputError: the table is not found, or a row is invalid; the message names file and line.
    """
    root = os.environ.get(VARIABLE)
    if not root:
        raise InputError(f"published table {name!r}: set {VARIABLE} to the folder that holds it")
    folder = expanded(root).resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder) or not is_file(path):
        raise InputError(f"published table {name!r} is not in {VARIABLE}={root}")
    columns, rows = network_rows(path, space)
    if "top1" not in columns:
        raise InputError(f"{str(path)!r}: no column 'top1' among {columns}")
    codes, accuracy = [], []
    for where, network, row in rows:
        try:
            value = number_of(row["top1"]) / 100
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= 1:
            raise InputError(f"{where}: top1 = {row['top1']!r} is not a percentage from 0 to 100")
        codes.append(network.choices)
        accuracy.append(value)
    return Scored(np.array(codes, np.int8), np.array(accuracy), np.full(len(codes), "published"))
