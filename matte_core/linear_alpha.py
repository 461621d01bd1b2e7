"""Alpha of display light made coverage in linear light: what a plate's light says about a matte that networks trained
on display-referred composites answer with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from matte_core.colour import View, encode_for_network, srgb_decode
from matte_core.errors import UsageError
from matte_core.foreground import foreground_and_background
from matte_core.frame import FrameRange, Pixels
from matte_core.matting import view_of
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

_APART = 2e-3  # squared difference of foreground and background below which their light says nothing


def linear_alpha(plate: Shot, matte: Shot) -> Shot:
    """The matte (K, H, W) as coverage in linear light, where it was found as a mixture of display-referred colours.

    0 and 1 stay. Raises UsageError where the shots have no frame in common.
    """
    both = FrameRange(n for n in plate.frames if n in matte.frames)
    if not both:
        raise UsageError(
            f"the plate has frames {plate.frames} and the matte {matte.frames}: none in common. Give the same."
        )
    parameters = {"view": view_of(plate).to_parameters()}
    return make("linear alpha", [matte, plate], parameters, frames=both)


def in_linear_light(shown: Pixels, alpha: Pixels) -> Pixels:
    """Coverage (K, H, W) in linear light of display-domain `alpha` (K, H, W) over `shown` (3, H, W), 0..1 and encoded.

    With C = a F + (1 - a) B for the encoded colours, F and B are estimated from `alpha` and decoded; the answer is
    where the decoded C lies on the line from B to F. Where both are nearly one colour the alpha stays.
    """
    display, light = (torch.from_numpy(np.ascontiguousarray(each)) for each in (shown, srgb_decode(shown)))
    layers = [_solved(display, light, torch.from_numpy(layer[None].copy())) for layer in alpha]
    return np.asarray(torch.cat(layers).numpy(), np.float32)


def _solved(display: Tensor, light: Tensor, alpha: Tensor) -> Tensor:
    """One layer (1, H, W)."""
    mixed = (alpha > 0) & (alpha < 1)
    if not mixed.any():
        return alpha
    both = [_decoded(each) for each in foreground_and_background(display, alpha)]
    line = both[0] - both[1]
    length = line.square().sum(0, keepdim=True)
    found = (((light - both[1]) * line).sum(0, keepdim=True) / length.clamp_min(1e-9)).clamp(0, 1)
    trust = (length / (length + _APART)).clamp(0, 1)
    return torch.where(mixed, alpha + trust * (found - alpha), alpha)


def _decoded(colours: Tensor) -> Tensor:
    return torch.from_numpy(srgb_decode(colours.clamp(0, 1).numpy()))


def _compute(job: Job) -> Result:
    view = View.from_parameters(job.parameter("view"))
    made = []
    for number in job.numbers:
        matte, plate = job.one(0, number), job.one(1, number)
        shown = np.clip(encode_for_network(plate.pixels, view), 0, 1)
        made.append(replace(matte, pixels=in_linear_light(np.asarray(shown, np.float32), matte.pixels)))
    return Result(made)


register(Verb("linear alpha", _compute))
