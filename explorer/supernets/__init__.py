"""Supernets (shared weights) and plain networks. All but `TrainConfig` needs torch, which is imported on first use."""

from typing import TYPE_CHECKING

from explorer.core.lazy import lazy
from explorer.supernets.config import TrainConfig

if TYPE_CHECKING:
    from explorer.supernets.building import build
    from explorer.supernets.mobile import MobileSupernet
    from explorer.supernets.plain import Network, Preprocess
    from explorer.supernets.recalibration import recalibrate
    from explorer.supernets.sources import pretrained
    from explorer.supernets.supernet import Supernet
    from explorer.supernets.training import make_supernet, train_network, train_supernet
    from explorer.supernets.unified import UnifiedSupernet

__getattr__ = lazy(__name__, {
    "MobileSupernet": "mobile", "Network": "plain", "Preprocess": "plain", "build": "building",
    "pretrained": "sources",
    "recalibrate": "recalibration", "Supernet": "supernet", "UnifiedSupernet": "unified",
    **dict.fromkeys(("make_supernet", "train_network", "train_supernet"), "training"),
})  # fmt: skip

__all__ = [
    "MobileSupernet", "Network", "Preprocess", "Supernet", "TrainConfig", "UnifiedSupernet", "build", "make_supernet",
    "pretrained", "recalibrate", "train_network", "train_supernet",
]  # fmt: skip
