"""Trimaps: 0 surely background, 0.5 unknown, 1 surely foreground."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matte_core.errors import UsageError
from matte_core.frame import Frame, Pixels
from matte_core.late import late
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

cv2 = late("cv2")

Flags = NDArray[np.bool_]

SOLID, NOTHING = 0.95, 0.05  # a mask at or beyond these is meant as wholly in, wholly out
DEEPEST = 0.75  # of the greatest depth: what stays known of a shape narrower than its margin
BELOW, ABOVE = 85 / 255, 170 / 255  # an 8-bit trimap's thirds


def trimap_from_mask(mask: Shot, shrink: float = 8, grow: float = 16, softness: float = 1.0) -> Shot:
    """A trimap (K, H, W) around the edge of a mask in 0..1.

    Unknown are the pixels within `shrink` pixels inside and `grow` pixels outside of the edge, and wherever the
    mask itself is soft; where its ramp is w pixels wide, both distances grow by `softness` x w / 2.
    Raises UsageError where a distance is negative.
    """
    if min(shrink, grow, softness) < 0:
        raise UsageError(f"shrink {shrink:g}, grow {grow:g} and softness {softness:g} are distances. Give 0 or more.")
    return make("trimap from mask", [mask], {"shrink": shrink, "grow": grow, "softness": softness}, kind="matte")


def snap(values: Pixels) -> Pixels:
    """`values` in 0..1 as a trimap of 0, 0.5 and 1: below a third, between, above two thirds."""
    return np.where(values < BELOW, 0, np.where(values > ABOVE, 1, 0.5)).astype(np.float32)


def describe_guide(frame: Frame, guide: str) -> str | None:
    """What is useless about a guide's frame, in words, or None: empty, full, nothing unknown."""
    values = frame.pixels
    where = f"frame {frame.number} of the {guide}"
    if guide == "trimap":
        values = snap(values)
        if not (values == 0.5).any():
            only = "is empty (nothing selected)" if not values.any() else "has no unknown (grey) pixel"
            return f"{where} is full (everything selected)" if values.all() else f"{where} {only}"
        if not (values == 1).any() or not (values == 0).any():
            missing = "foreground (white)" if not (values == 1).any() else "background (black)"
            return f"{where} has no {missing} pixel"
        return None
    if not values.any():
        return f"{where} is empty (nothing selected)"
    return f"{where} is full (everything selected)" if values.min() >= SOLID else None


def around_edge(mask: Pixels, shrink: float, grow: float, softness: float) -> Pixels:
    """The trimap (H, W) of one mask (H, W); see `trimap_from_mask`.

    A mask that holds something solid keeps some foreground, and one that leaves something free some background:
    where `shrink` or `grow` would take the last of it, the pixels deepest inside stay known.
    """
    solid, nothing = mask >= SOLID, mask <= NOTHING
    wide = _widened(~(solid | nothing), softness)
    trimap = np.full(mask.shape, 0.5, np.float32)
    trimap[_core(solid, solid & ~wide, shrink)] = 1
    trimap[_core(nothing, nothing & ~wide, grow)] = 0
    return trimap


def _core(whole: Flags, region: Flags, margin: float) -> Flags:
    """Pixels of `region` more than `margin` away from its edge; without any, the deepest of the `whole`."""
    core = region & (distance(region) > margin)
    if core.any() or not whole.any():
        return core
    depth = distance(whole)
    return np.asarray(whole & (depth > DEEPEST * depth.max()))


def distance(region: Flags) -> Pixels:
    """How far each pixel of `region` is from the nearest pixel outside it; far, where there is none."""
    if region.all():
        return np.full(region.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _widened(soft: Flags, softness: float) -> Flags:
    """`soft` and what lies within `softness` times half the local width of it (H, W).

    The local width is that of the ramp or strand itself, however far from the solid part: twice the depth of
    its middle. In steps of half an octave, each one distance transform.
    """
    if softness == 0 or soft.all():
        return soft
    half = distance(soft) - 0.5
    wide, level = soft.copy(), 1.0
    while level <= half.max():
        wide |= distance(half < level) <= level * (1 + softness)
        level *= math.sqrt(2)
    return wide


def _make_trimaps(job: Job) -> Result:
    shrink, grow, softness = (job.parameter(name) for name in ("shrink", "grow", "softness"))
    made = []
    for number in job.numbers:
        frame = job.one(0, number)
        layers = [around_edge(layer, shrink, grow, softness) for layer in frame.pixels]
        made.append(replace(frame, pixels=np.stack(layers)))
    return Result(made)


register(Verb("trimap from mask", _make_trimaps))
