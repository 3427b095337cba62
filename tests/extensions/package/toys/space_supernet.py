"""Shared weights of `KernelSpace`: the centre of the largest kernel."""

import torch
import torch.nn.functional as F
from torch import nn

from explorer.core.operators import Conv
from explorer.supernets.elastic import ElasticNorm
from explorer.supernets.supernet import Supernet


class Centre(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(layer.cout, layer.cin, layer.kernel, layer.kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.norm = ElasticNorm(layer.cout)

    def _centre(self, kernel):
        edge = (self.weight.shape[-1] - kernel) // 2
        return self.weight[:, :, edge : edge + kernel, edge : edge + kernel]

    def forward(self, x, layer):
        return self.norm(F.conv2d(x, self._centre(layer.kernel), padding=layer.kernel // 2), layer.act)

    def cut(self, layer):
        return {"0.weight": self._centre(layer.kernel)} | self.norm.cut(layer.cout, "1")


class KernelSupernet(Supernet):
    def make(self, layer):
        return Centre(layer) if isinstance(layer, Conv) else super().make(layer)
