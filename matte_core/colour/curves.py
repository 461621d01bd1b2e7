"""Transfer curves, written once: the sRGB curve, the shoulder for highlights, sampled camera curves.

Functions whose name ends in _ change the tensor they are given, as torch's own do. The public ones take
an array or a tensor of any shape and return a new float32 one of the same kind, on the same device.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from matte_core.frame import Pixels

P = TypeVar("P", Pixels, Tensor)

KNEE = 0.8  # linear light below this reaches a network unchanged
CURVE_FROM, CURVE_TO, CURVE_SAMPLES = -0.25, 1.5, 4096  # code values over which a camera curve is sampled


def on_copy(pixels: P, change: Callable[[Tensor], Tensor]) -> P:
    """What `change` makes of a float32 copy of `pixels`: an array for an array, a tensor for a tensor."""
    if isinstance(pixels, np.ndarray):
        copy = torch.from_numpy(np.array(pixels, dtype=np.float32, order="C"))
        return np.asarray(change(copy).numpy(), np.float32)
    return change(pixels.to(torch.float32, copy=True, memory_format=torch.contiguous_format))


def luminance(light: P) -> P:
    """Relative luminance (..., H, W) of linear Rec.709 light (..., 3, H, W). ITU-R BT.709, section 3."""
    grey: P = light[..., 0, :, :] * 0.2126 + light[..., 1, :, :] * 0.7152 + light[..., 2, :, :] * 0.0722
    return grey


def srgb_encode(light: P) -> P:
    """sRGB code values of linear light; unclipped, the straight part goes on below 0. IEC 61966-2-1."""
    return on_copy(light, srgb_encode_)


def srgb_decode(code: P) -> P:
    """Linear light of sRGB code values; unclipped, the straight part goes on below 0. IEC 61966-2-1."""
    return on_copy(code, srgb_decode_)


def shoulder(light: P, knee: float = KNEE) -> P:
    """Linear light below 1: itself up to `knee`, then k + (1-k) d / (1-k + d) with d = light - k.

    Smooth at the knee (slope 1), 1 at infinity, and slow enough that light of 4 and 40 stay apart.
    """
    return on_copy(light, lambda tensor: shoulder_(tensor, knee))


def to_display(light: P) -> P:
    """sRGB code values in 0..1 of linear Rec.709 light, clipped: for previews and 8-bit pictures. NaN is 0."""
    return on_copy(light, lambda tensor: srgb_encode_(scrub_(tensor).clamp_(0, 1)))


def srgb_encode_(light: Tensor) -> Tensor:
    straight = light * 12.92
    dark = light <= 0.0031308
    light.clamp_(min=0.0031308).pow_(1 / 2.4).mul_(1.055).sub_(0.055)
    return torch.where(dark, straight, light, out=light)


def srgb_decode_(code: Tensor) -> Tensor:
    straight = code / 12.92
    dark = code <= 0.04045
    code.clamp_(min=0.04045).add_(0.055).div_(1.055).pow_(2.4)
    return torch.where(dark, straight, code, out=code)


def shoulder_(light: Tensor, knee: float = KNEE) -> Tensor:
    above = (light - knee).clamp_(min=0)
    return light.clamp_(max=knee).add_(above.div_(above / (1 - knee) + 1))


def scrub_(light: Tensor) -> Tensor:
    """The same light, finite: NaN is 0, infinities are the largest half float."""
    return light.nan_to_num_(nan=0.0, posinf=65504.0, neginf=-65504.0)


def pack_curve(samples: Pixels) -> str:
    """A sampled curve as text, which is small enough for a shot's parameters."""
    return base64.b64encode(samples.astype("<f4").tobytes()).decode("ascii")


@lru_cache(maxsize=16)
def _samples(curve: str, device: torch.device) -> Tensor:
    values = np.frombuffer(base64.b64decode(curve), dtype="<f4").astype(np.float32)
    return torch.from_numpy(values).to(device)


def apply_curve_(code: Tensor, curve: str) -> Tensor:
    """Linear light of code values through `curve`: "" (none), "srgb", or a curve from `pack_curve`.

    Between samples and beyond either end it goes straight on. NaN stays NaN.
    """
    if curve == "":
        return code
    if curve == "srgb":
        return srgb_decode_(code)
    samples = _samples(curve, code.device)
    code.sub_(CURVE_FROM).mul_((CURVE_SAMPLES - 1) / (CURVE_TO - CURVE_FROM))
    left = code.nan_to_num(0.0).clamp_(0, CURVE_SAMPLES - 2).to(torch.int32)
    rise, base = (knots.index_select(0, left.view(-1)).view_as(code) for knots in (samples.diff(), samples))
    return code.sub_(left).mul_(rise).add_(base)
