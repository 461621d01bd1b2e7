"""Rough masks of several instances, as segmenters and hands make them: for training, and one kind at a time to measure.

Masks and alphas are (T, K, H, W) over the frames of a clip and its instances; a picture is a clip of one frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.procedural.fields import Random, as_map

Alphas = NDArray[np.float32]
Flags = NDArray[np.bool_]
Roughness = Literal["exact", "8x", "32x", "polygon", "eroded", "dilated", "as trained"]
ROUGHNESSES: tuple[Roughness, ...] = get_args(Roughness)
_SIDE = 576  # short side of the pictures that the paper's pixels are meant for


@dataclass(frozen=True)
class GuideMasks:
    """How rough the masks are that a network learns from; numbers as published, for pictures of 576 pixels.

    threshold      alpha from which a pixel is in the mask: one number in these bounds for each mask
    change         most that a mask is dilated, and eroded, by (sides of a square, in pixels)
    coarse         how often masks are made coarse, and by which factor
    cut            how often a piece of a mask is moved within it, or swapped with that of another
    dropped        how often a mask is missing in one frame of a clip
    unsteady       how far, in pixels, the masks of a clip's frames differ by chance
    """

    threshold: tuple[float, float] = (0.1, 0.95)
    change: int = 29
    coarse: tuple[float, int] = (0.5, 8)
    cut: float = 0.25
    dropped: float = 0.0
    unsteady: int = 0


def guide_masks(random: Random, alphas: Alphas, settings: GuideMasks, whole: float = 0) -> Flags:
    """A rough mask of each of `alphas` (T, K, H, W); one that would be empty is the exact one. `whole`: short side of
    the pictures of which these are parts, 0 where they are whole.

    A mask is dilated and eroded alike in all frames of a clip, but for `unsteady`. Source: MaGGIe, supplement.
    """
    frames, count, height, width = alphas.shape
    ratio = (whole or min(height, width)) / _SIDE
    masks = np.zeros(alphas.shape, np.bool_)
    for instance in range(count):
        level = random.uniform(*settings.threshold)
        changes = [int(random.integers(0, settings.change + 1)) * (-1) ** step for step in range(2)]
        if random.random() < 0.5:
            changes = changes[::-1]
        if random.random() < 0.5:
            changes = changes[:1]
        coarse = settings.coarse[1] if random.random() < settings.coarse[0] else 1
        for frame in range(frames):
            alpha = alphas[frame, instance]
            own = [change + int(random.integers(-settings.unsteady, settings.unsteady + 1)) for change in changes]
            made = _coarser(_changed(alpha > level, [round(change * ratio) for change in own]), coarse)
            masks[frame, instance] = made if made.any() else alpha > min(level, 0.5)
    if random.random() < settings.cut:
        _cut(random, masks)
    if frames > 1 and random.random() < settings.dropped:
        masks[int(random.integers(1, frames)), int(random.integers(0, count))] = False
    return masks


def measured_masks(random: Random, alphas: Alphas, roughness: Roughness) -> Flags:
    """The masks of `alphas` (T, K, H, W) of one roughness: made coarser by 8 or 32, outlines of few straight lines,
    eroded or dilated by a thirtieth of the picture's shorter side, or as those for training."""
    if roughness == "as trained":
        return guide_masks(random, alphas, GuideMasks())
    solid = alphas > 0.5
    amount = max(1, round(min(alphas.shape[2:]) / 30))
    made = solid.copy()
    for place in np.ndindex(*alphas.shape[:2]):
        mask = solid[place]
        if roughness in ("8x", "32x"):
            mask = _coarser(mask, int(roughness[:-1]))
        elif roughness == "polygon":
            mask = _polygon(mask, amount)
        elif roughness != "exact":
            mask = _changed(mask, [2 * amount + 1 if roughness == "dilated" else -2 * amount - 1])
        made[place] = mask if mask.any() else solid[place]
    return made


def _changed(mask: Flags, sides: list[int]) -> Flags:
    """The mask dilated by squares of `sides` pixels one after the other, eroded by those below 0."""
    drawn = mask.astype(np.uint8)
    for side in sides:
        square = np.ones((abs(side), abs(side)), np.uint8)
        if abs(side) > 1:
            drawn = cv2.dilate(drawn, square) if side > 0 else cv2.erode(drawn, square)
    return np.asarray(drawn > 0)


def _coarser(mask: Flags, factor: int) -> Flags:
    """The mask as one a `factor` smaller shows it."""
    if factor == 1:
        return mask
    height, width = mask.shape
    small = cv2.resize(as_map(mask), (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(as_map(small > 0.5), (width, height), interpolation=cv2.INTER_NEAREST) > 0.5)


def _polygon(mask: Flags, tolerance: float) -> Flags:
    """The mask's outlines as straight lines that miss them by at most `tolerance` pixels."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = [cv2.approxPolyDP(outline, tolerance, True) for outline in outlines]
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(drawn, [each for each in corners if len(each) > 2], 1)
    return np.asarray(drawn > 0)


def _cut(random: Random, masks: Flags) -> None:
    """Change a rectangle of one mask, in place: it gets the mask's own piece from elsewhere, or another mask's there.

    Source: CutMask, as MGMatting and MaGGIe have it.
    """
    _, count, height, width = masks.shape
    instance = int(random.integers(0, count))
    high, wide = int(random.integers(height // 16, height // 4 + 1)), int(random.integers(width // 16, width // 4 + 1))
    top, left = int(random.integers(0, height - high + 1)), int(random.integers(0, width - wide + 1))
    here = np.s_[:, instance, top : top + high, left : left + wide]
    if count > 1 and random.random() < 0.5:
        other = (instance + int(random.integers(1, count))) % count
        piece = masks[:, other, top : top + high, left : left + wide]
    else:
        away, across = int(random.integers(0, height - high + 1)), int(random.integers(0, width - wide + 1))
        piece = masks[:, instance, away : away + high, across : across + wide]
    changed = masks[:, instance].copy()
    changed[:, top : top + high, left : left + wide] = piece
    if changed.any((1, 2)).all():
        masks[here] = piece
