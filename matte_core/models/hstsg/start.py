"""What is known before the network looks: the alpha of the frame before along the motion, and what colours say.

Our own addition; the paper's form does without.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.layers.colour_models import colour_models
from matte_core.models.layers.light import BRIGHTEST

FEATURES = 8
_CELL = 4  # pixels a side of the cells in which known colours are looked for
_CERTAIN = 0.95
_MARGIN, _ROUGH_MARGIN = 1, 2  # cells from the edge of a carried alpha, of a rough mask, at which colours are known


class Start(NamedTuple):
    """`features` (N, 8, H, W), about -1..1; `alphas` (N, 2, H, W): carried, and as the colours say."""

    features: Tensor
    alphas: Tensor


@torch.no_grad()
def start(pixels: Tensor, carried: Tensor, trust: Tensor, rough: Tensor) -> Start:
    """The start from `pixels` (N, 3, H, W) in the light that alpha is linear in.

    carried  (N, 1, H, W) alpha of the frame before along the motion, or the mask that was given
    trust    (N, 1, H, W) 0..1, how far the motion is to be trusted; 0 where `carried` is a mask
    rough    (N,) 1 where `carried` is a rough mask, else 0
    """
    pixels = pixels.clamp(0, BRIGHTEST)
    models = colour_models(pixels, known(carried, rough))
    flag = rough[:, None, None, None].expand_as(carried)
    features = [
        2 * carried - 1,
        trust,
        flag,
        models.discriminant - 0.5,
        models.projected - 0.5,
        models.residual,
        models.foreground_distance * 0.3,
        models.background_distance * 0.3,
    ]
    return Start(torch.cat(features, 1), torch.cat([carried, models.discriminant.clamp(0, 1)], 1))


def known(carried: Tensor, rough: Tensor) -> Tensor:
    """A trimap (N, 1, H, W) of 0, 0.5, 1: what lies well inside and well outside of `carried`; further for masks."""
    coarse = functional.avg_pool2d(carried, _CELL, ceil_mode=True)
    inside, outside = (coarse >= _CERTAIN).to(carried), (coarse <= 1 - _CERTAIN).to(carried)
    wide = rough[:, None, None, None] > 0
    sure, free = (
        torch.where(wide, _eroded(region, _ROUGH_MARGIN), _eroded(region, _MARGIN)) for region in (inside, outside)
    )
    cells = torch.where(sure > 0, 1.0, torch.where(free > 0, 0.0, 0.5))
    large = functional.interpolate(cells, scale_factor=_CELL, mode="nearest")
    return large[..., : carried.shape[2], : carried.shape[3]]


def _eroded(region: Tensor, cells: int) -> Tensor:
    """`region` (N, 1, h, w) without what is within `cells` of its edge; all of it where nothing would be left."""
    core = -functional.max_pool2d(-region, 2 * cells + 1, 1, cells)
    return torch.where(core.amax((2, 3), keepdim=True) > 0, core, region)
