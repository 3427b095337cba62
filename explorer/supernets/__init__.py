"""Shared weights and plain networks (needs torch)."""

from explorer.supernets.mobile import MobileSupernet
from explorer.supernets.plain import Network, Preprocess, build
from explorer.supernets.recalibrate import recalibrate
from explorer.supernets.supernet import Supernet
from explorer.supernets.training import TrainConfig, make_supernet, train_network, train_supernet
from explorer.supernets.unified import UnifiedSupernet

__all__ = [
    "MobileSupernet", "Network", "Preprocess", "Supernet", "TrainConfig", "UnifiedSupernet", "build", "make_supernet",
    "recalibrate", "train_network", "train_supernet",
]  # fmt: skip
