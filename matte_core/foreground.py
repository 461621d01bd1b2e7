"""The subject's own colour, where the plate holds a mixture: foreground and background estimation in linear light."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matte_core.compose import total
from matte_core.errors import UsageError
from matte_core.frame import FrameRange
from matte_core.shot import Job, Result, Shot, Verb, make, register

REGULARISATION = 1e-5  # how much neighbours agree where alpha is flat
GRADIENT = 1.0  # how much more they do across a change of alpha
SMALL, SMALL_SWEEPS, SWEEPS = 32, 10, 2  # sweeps on levels up to 32 pixels, and on larger ones


OPAQUE = 1 - 2**-12  # alpha from here on is 1 in a half file


def estimate_foreground(plate: Shot, matte: Shot) -> Shot:
    """The straight foreground (3, H, W) of a scene-linear plate, unclamped: the plate itself where alpha is 1.

    Where alpha is 0 it is the nearest foreground colour, smoothly extended, so that an edge can be grown.
    Raises UsageError where the shots have no frame in common.
    """
    both = FrameRange(n for n in plate.frames if n in matte.frames)
    if not both:
        raise UsageError(
            f"the plate has frames {plate.frames} and the matte {matte.frames}: none in common. Give the same."
        )
    return make("estimate foreground", [plate, total(matte)], frames=both)


def foreground_and_background(plate: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Straight foreground and background (3, H, W) of `plate` (3, H, W) and `alpha` (1, H, W), unclamped.

    Linear in the plate: twice the light gives twice the answer. The foreground is the plate where alpha is 1,
    the background where it is 0. Source: Germer et al. 2020, Fast Multi-Level Foreground Estimation, with
    red-black sweeps and without its clipping to 0..1.
    """
    height, width = plate.shape[-2:]
    levels = max(1, math.ceil(math.log2(max(height, width))))
    front = plate.new_zeros(3, 1, 1) + _mean(plate, alpha)
    back = plate.new_zeros(3, 1, 1) + _mean(plate, 1 - alpha)
    for level in range(levels + 1):
        size = (max(1, round(height ** (level / levels))), max(1, round(width ** (level / levels))))
        small_plate, small_alpha = _resize(plate, size), _resize(alpha, size)
        front, back = _resize(front, size), _resize(back, size)
        sweeps = SMALL_SWEEPS if max(size) <= SMALL else SWEEPS
        front, back = _sweep(small_plate, small_alpha, front, back, sweeps)
    return torch.where(alpha >= OPAQUE, plate, front), torch.where(alpha == 0, plate, back)


def _mean(plate: Tensor, weight: Tensor) -> Tensor:
    return ((plate * weight).sum((1, 2)) / weight.sum().clamp_min(1e-6)).view(3, 1, 1)


def _resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    if picture.shape[-2:] == size:
        return picture
    return functional.interpolate(picture[None], size=size, mode="nearest-exact")[0]


def _sweep(plate: Tensor, alpha: Tensor, front: Tensor, back: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Both colours after `count` sweeps, each over the pixels of one colour of a chequerboard and then the other."""
    weights = [REGULARISATION + GRADIENT * (alpha - near).abs() for near in _neighbours(alpha)]
    sum_of_weights = sum(weights[1:], weights[0])
    left, right, mixed = alpha**2 + sum_of_weights, (1 - alpha) ** 2 + sum_of_weights, alpha * (1 - alpha)
    determinant = (left * right - mixed**2).clamp_min(1e-20)
    rows = torch.arange(alpha.shape[-2], device=alpha.device)[:, None]
    red = ((rows + torch.arange(alpha.shape[-1], device=alpha.device)) % 2 == 0)[None]
    for step in range(2 * count):
        to_front, to_back = alpha * plate, (1 - alpha) * plate
        for weight, near_front, near_back in zip(weights, _neighbours(front), _neighbours(back), strict=True):
            to_front.addcmul_(weight, near_front)
            to_back.addcmul_(weight, near_back)
        new_front = (right * to_front - mixed * to_back) / determinant
        new_back = (left * to_back - mixed * to_front) / determinant
        chosen = red if step % 2 == 0 else ~red
        front, back = torch.where(chosen, new_front, front), torch.where(chosen, new_back, back)
    return front, back


def _neighbours(picture: Tensor) -> list[Tensor]:
    """The pixel above, below, left and right of every pixel (C, H, W each), itself at the border."""
    padded = functional.pad(picture[None], (1, 1, 1, 1), mode="replicate")[0]
    return [padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]]


def _estimate(job: Job) -> Result:
    made = []
    for number in job.numbers:
        plate, alpha = job.one(0, number), job.one(1, number)
        front, _ = foreground_and_background(
            torch.from_numpy(plate.pixels.copy()), torch.from_numpy(alpha.pixels.copy())
        )
        made.append(replace(plate, pixels=np.ascontiguousarray(front.numpy())))
    return Result(made)


register(Verb("estimate foreground", _estimate))
