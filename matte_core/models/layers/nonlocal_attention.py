"""The light-weight non-local block: alpha features of every place mixed by how alike the picture looks there.

Source: arXiv 2103.17020, equation 4; sizes are those that give the published 25,984 parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEAST, _MOST = 0.1, 10.0


class LightNonLocal(nn.Module):
    """Alpha features (N, width, H, W) plus what similar places hold; keys are taken on a grid 4 times coarser.

    image    (N, width, H, W) features of the picture alone, which decide what is similar
    alpha    (N, width, H, W) features that are mixed
    unknown  (N, 1, H, W) of 0 and 1
    """

    def __init__(self, width: int = 128, inner: int = 32, stride: int = 4) -> None:
        super().__init__()
        self.scale = (width / 2) ** 0.5
        self.query = nn.Conv2d(width, inner, 1)
        self.key = nn.Conv2d(width, inner, 1)
        self.value = nn.Conv2d(width, inner, 1)
        self.coarser = nn.Conv2d(inner, inner, 3, stride, 1)
        self.out = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))
        norm = self.out[1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.constant_(norm.weight, 1e-3)

    def forward(self, image: Tensor, alpha: Tensor, unknown: Tensor) -> Tensor:
        query = self.query(image).flatten(2).mT
        key = self.coarser(self.key(image)).flatten(2)
        value = self.coarser(self.value(alpha)).flatten(2).mT
        weight = query_weights(unknown).flatten(2).mT
        attention = torch.softmax(weight * (query @ key) / self.scale, dim=2)
        mixed = (attention @ value).mT.unflatten(2, alpha.shape[-2:])
        changed: Tensor = alpha + self.out(mixed)
        return changed


def query_weights(unknown: Tensor) -> Tensor:
    """(N, 1, H, W) sharpness of each query: the root of unknown over known area where it is unknown, the inverse
    where it is known, between 0.1 and 10. Equation 4."""
    inside = unknown.sum((2, 3), keepdim=True)
    outside = unknown.shape[2] * unknown.shape[3] - inside
    ratio = (inside.clamp_min(1e-6) / outside.clamp_min(1e-6)).sqrt()
    return torch.where(unknown > 0, ratio.clamp(_LEAST, _MOST), (1 / ratio).clamp(_LEAST, _MOST))


def coarse_unknown(trimap: Tensor, stride: int = 8) -> Tensor:
    """(N, 1, H / stride, W / stride) of 0 and 1: where `trimap` (N, 1, H, W) of 0, 0.5, 1 is unknown, by nearest."""
    size = (trimap.shape[2] // stride, trimap.shape[3] // stride)
    unknown = ((trimap > 0.25) & (trimap < 0.75)).float()
    return functional.interpolate(unknown, size=size, mode="nearest")
