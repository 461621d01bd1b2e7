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
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

REGULARISATION = 1e-5  # how much neighbours agree where alpha is flat
GRADIENT = 1.0  # how much more they do across a change of alpha
OPAQUE = 1 - 2**-12  # alpha from here on is 1 in a half file, and its foreground must be the plate there
SMALL, SMALL_SWEEPS, SWEEPS = 32, 20, 8  # sweeps on levels up to 32 pixels, and on larger ones


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
    """Straight foreground and background (3, H, W) of `plate` (3, H, W) and `alpha` (1, H, W), on their device.

    Linear in the plate: twice the light gives twice the answer. The foreground is the plate where alpha is 1,
    the background where it is 0, bit for bit; elsewhere neither is darker than the plate's darkest, so that an
    alpha that is wrong leaves no negative light behind. Pixels that are not finite count as not seen.
    Source: Germer et al. 2020, Fast Multi-Level Foreground Estimation, equation 4, in sweeps over all pixels at
    once and without its clipping to 0..1.
    """
    height, width = plate.shape[-2:]
    levels = max(1, math.ceil(math.log2(max(height, width))))
    seen = torch.isfinite(plate).all(0, keepdim=True)
    light = torch.where(seen, plate, 0)
    darkest = light.amin((1, 2), keepdim=True).clamp_max(0).repeat(2, 1, 1)
    colours = torch.cat([_mean(light, alpha * seen), _mean(light, (1 - alpha) * seen)])
    for level in range(levels + 1):
        size = (max(1, round(height ** (level / levels))), max(1, round(width ** (level / levels))))
        small_light, small_alpha = _resize(light, size), _resize(alpha, size)
        small_seen = _resize(seen.to(alpha.dtype), size)
        sweeps = SMALL_SWEEPS if max(size) <= SMALL else SWEEPS
        colours = _swept(small_light, small_alpha, small_seen, _resize(colours, size), darkest, sweeps)
    return torch.where(alpha >= OPAQUE, plate, colours[:3]), torch.where(alpha == 0, plate, colours[3:])


def _mean(plate: Tensor, weight: Tensor) -> Tensor:
    return ((plate * weight).sum((1, 2)) / weight.sum().clamp_min(1e-6)).view(3, 1, 1)


def _resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    if picture.shape[-2:] == size:
        return picture
    return functional.interpolate(picture[None], size=size, mode="nearest-exact")[0]


def _swept(plate: Tensor, alpha: Tensor, seen: Tensor, colours: Tensor, darkest: Tensor, count: int) -> Tensor:
    """Foreground and background (6, H, W) after `count` sweeps.

    Each pixel becomes the weighted mean of its neighbours' colours, moved by what the plate there says: the
    2 x 2 system of the paper, solved about that mean, where nothing cancels.
    """
    weights = [REGULARISATION + GRADIENT * (alpha - near).abs() for near in _neighbours(_padded(alpha))]
    total = torch.stack(weights).sum(0)
    weights = [weight.div_(total) for weight in weights]
    share = seen / (alpha**2 + (1 - alpha) ** 2 + total)
    to_front, to_back = alpha * share, (1 - alpha) * share
    for _ in range(count):
        near = _neighbours(_padded(colours))
        colours = weights[0] * near[0]
        for weight, other in zip(weights[1:], near[1:], strict=True):
            colours.addcmul_(weight, other)
        rest = torch.addcmul(plate, alpha, colours[:3], value=-1).addcmul_(1 - alpha, colours[3:], value=-1)
        colours[:3].addcmul_(to_front, rest)
        colours[3:].addcmul_(to_back, rest)
        colours.clamp_(min=darkest)
    return colours


def _padded(picture: Tensor) -> Tensor:
    return functional.pad(picture[None], (1, 1, 1, 1), mode="replicate")[0]


def _neighbours(padded: Tensor) -> list[Tensor]:
    """Views (C, H, W) of the pixel above, below, left and right of every pixel, itself at the border."""
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
