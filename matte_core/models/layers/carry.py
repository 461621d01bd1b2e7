"""Alpha carried from frame to frame along the plate's motion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matte_core.flow import agreement, motion
from matte_core.models.layers.light import BRIGHTEST, compress


class Motion(NamedTuple):
    """`way` (N, 2, H, W): pixels, x and y, from each pixel to where it was; `trust` (N, 1, H, W) in it, 0..1."""

    way: Tensor
    trust: Tensor


def grey(pixels: Tensor) -> Tensor:
    """(N, H, W) in 0..1 of `pixels` (N, 3, H, W) in the light that alpha is linear in: what motion is followed on."""
    return compress(pixels.clamp(0, BRIGHTEST)).clamp(0, 1).mean(1)


def find_motion(before: Tensor, after: Tensor) -> Motion:
    """The motion of every frame `after` (N, 3, H, W) to the frame `before`; optical flow, on the CPU."""
    found = []
    for one, other in zip(grey(before).cpu().numpy(), grey(after).cpu().numpy(), strict=True):
        back, ahead = motion(other, one), motion(one, other)
        found.append(np.concatenate([back, agreement(back, ahead)[..., None]], axis=-1))
    stacked = torch.from_numpy(np.stack(found)).movedim(-1, 1).to(after.device)
    return Motion(stacked[:, :2], stacked[:, 2:])


def carry(picture: Tensor, way: Tensor) -> Tensor:
    """`picture` (N, C, H, W) as each pixel's `way` (N, 2, H, W) leads to it, bilinear, its border carried on."""
    height, width = picture.shape[-2:]
    rows = torch.arange(height, device=picture.device, dtype=picture.dtype)[:, None]
    columns = torch.arange(width, device=picture.device, dtype=picture.dtype)
    x, y = (columns + way[:, 0]) * (2 / width) + (1 / width - 1), (rows + way[:, 1]) * (2 / height) + (1 / height - 1)
    places = torch.stack([x, y], -1)
    return functional.grid_sample(picture, places, "bilinear", "border", align_corners=False)
