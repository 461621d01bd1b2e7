"""Spill: the light of a screen on the subject, taken away in linear light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from matte_core.compose import joined, per_frame
from matte_core.errors import UsageError
from matte_core.frame import Frame, Json, Pixels
from matte_core.shot import Shot, make

SCREENS: Mapping[str, int] = {"green": 1, "blue": 2}
GREY, COLOURED = 0.05, 0.15  # share of excess in a clean plate's light: none of it spills below, all above, so no grain


def despill(plate: Shot, screen: str = "green", amount: float = 1.0, balance: float = 0.5) -> Shot:
    """The plate (3, H, W) without the screen's light: the screen's channel is held to the mix of the other two.

    screen   "green" or "blue"
    amount   0 leaves the plate, 1 takes all that is above the mix
    balance  the mix: 0 is the smaller of the other two channels, 0.5 their mean, 1 the larger

    Only ever takes light away, so highlights and negative values elsewhere stay. Raises UsageError for another screen.
    """
    if screen not in SCREENS:
        raise UsageError(f"'{screen}' is no screen. Choose one of: {', '.join(SCREENS)}.")
    if amount == 0:
        return plate
    return make("despill", [plate], {"screen": screen, "amount": amount, "balance": balance})


def despill_from(plate: Shot, clean_plate: Shot, amount: float = 1.0, balance: float = 0.5) -> Shot:
    """The plate (3, H, W) without the light of its own screen, whose colour at each pixel the clean plate says.

    The screen's channel is the one in which the clean plate exceeds the mix of the other two. As much of the clean
    plate's colour, all three channels of it, is subtracted as brings that channel of the plate down to the mix of the
    others there: C - t B, with t = excess of C / excess of B in 0..1 times `amount`, so uneven screens and shades
    between green and blue are taken as they are. No channel is brought below 0. Where the clean plate has hardly
    any colour nothing is taken. Both shots in scene-linear light; raises UsageError as `compose.over` does.

    Source: the colour difference key of Vlahos 1964 (US 3158477), with the backing's colour per pixel.
    """
    if amount == 0:
        return plate
    return joined("despill from clean plate", [plate, clean_plate], {"amount": amount, "balance": balance})


def excess(pixels: Pixels, channel: int, balance: float) -> Pixels:
    """How far (H, W) `channel` of (3, H, W) stands above the mix of the other two; below 0 where it does not."""
    others = np.delete(pixels, channel, axis=0)
    low, high = others.min(axis=0), others.max(axis=0)
    return np.asarray(pixels[channel] - (low + balance * (high - low)))


def _despill(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    pixels = frames[0].pixels.copy()
    channel = SCREENS[parameters["screen"]]
    pixels[channel] -= parameters["amount"] * np.maximum(excess(pixels, channel, parameters["balance"]), 0)
    return pixels


def _despill_from(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    pixels, clean, balance = frames[0].pixels, frames[1].pixels, parameters["balance"]
    above = [np.nan_to_num(excess(clean, channel, balance), posinf=0, neginf=0) for channel in range(3)]
    channel = int(np.argmax([one.clip(0).sum(dtype=np.float64) for one in above]))
    light = np.abs(clean).max(axis=0)
    coloured = (np.divide(above[channel], light, out=np.zeros_like(light), where=light > 0) - GREY) / (COLOURED - GREY)
    share = np.maximum(excess(pixels, channel, balance), 0)
    share = np.divide(share, above[channel], out=np.zeros_like(share), where=coloured > 0).clip(0, 1)
    less = pixels - parameters["amount"] * coloured.clip(0, 1) * share * np.maximum(clean, 0)
    return np.where(share > 0, np.maximum(less, np.minimum(pixels, 0)), pixels)


per_frame("despill", _despill)
per_frame("despill from clean plate", _despill_from)
