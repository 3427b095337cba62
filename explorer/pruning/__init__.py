"""Joint pruning of operations, filters and weights to target sizes (Liu et al. 2025, "MG-DARTS"; needs torch)."""

from explorer.pruning.config import PruneConfig
from explorer.pruning.graph import Operation, operations_of, without
from explorer.pruning.masked import GRANULARITIES, MaskedNetwork
from explorer.pruning.removal import Carved, carve
from explorer.pruning.search import PruneSearch
from explorer.pruning.snapshot import Snapshot, finish, load_snapshot, save_snapshot
from explorer.pruning.supernetwork import cell_layers, stage_ends

__all__ = [
    "GRANULARITIES", "Carved", "MaskedNetwork", "Operation", "PruneConfig", "PruneSearch", "Snapshot", "carve",
    "cell_layers", "finish", "load_snapshot", "operations_of", "save_snapshot", "stage_ends", "without",
]  # fmt: skip
