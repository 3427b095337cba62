"""Shared weights and plain networks (needs torch)."""

from explorer.supernets.mobile import MobileSupernet
from explorer.supernets.plain import Network, Preprocess, build
from explorer.supernets.recalibrate import recalibrate
from explorer.supernets.training import TrainConfig, train_network, train_supernet

__all__ = [
    "MobileSupernet", "Network", "Preprocess", "TrainConfig", "build", "recalibrate", "train_network",
    "train_supernet",
]  # fmt: skip
