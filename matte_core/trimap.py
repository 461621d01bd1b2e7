"""Trimaps: 0 surely background, 0.5 unknown, 1 surely foreground."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.errors import UsageError
from matte_core.frame import Frame, Pixels
from matte_core.shot import Job, Result, Shot, Verb, make, register

SOLID, NOTHING = 0.95, 0.05  # a mask at or beyond these is meant as wholly in, wholly out
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
    """The trimap (H, W) of one mask (H, W); see `trimap_from_mask`."""
    solid, nothing = mask >= SOLID, mask <= NOTHING
    inside = _distance(solid)
    outside = _distance(nothing)
    more = softness * _ramp_width(solid, nothing) / 2 if softness else 0.0
    trimap = np.full(mask.shape, 0.5, np.float32)
    trimap[solid & (inside > shrink + more)] = 1
    trimap[nothing & (outside > grow + more)] = 0
    return trimap


def _distance(region: NDArray[np.bool_]) -> Pixels:
    """How far each pixel of `region` is from the nearest pixel outside it; far, where there is none."""
    if region.all():
        return np.full(region.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _ramp_width(solid: NDArray[np.bool_], nothing: NDArray[np.bool_]) -> Pixels:
    """Width in pixels of the soft ramp nearest to each pixel, 0 near a hard edge (H, W)."""
    soft = ~(solid | nothing)
    if not soft.any() or not solid.any() or not nothing.any():
        return np.zeros(solid.shape, np.float32)
    width = np.where(soft, np.maximum(_distance(~solid) + _distance(~nothing) - 2, 0), 0).astype(np.float32)
    edge = soft | (cv2.dilate(solid.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~solid)
    _, label = cv2.distanceTransformWithLabels(
        (~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(label.max()) + 1, np.float32)
    of_label[label[edge]] = width[edge]
    return np.asarray(of_label[label], np.float32)


def _make_trimaps(job: Job) -> Result:
    shrink, grow, softness = (job.parameter(name) for name in ("shrink", "grow", "softness"))
    made = []
    for number in job.numbers:
        frame = job.one(0, number)
        layers = [around_edge(layer, shrink, grow, softness) for layer in frame.pixels]
        made.append(replace(frame, pixels=np.stack(layers)))
    return Result(made)


register(Verb("trimap from mask", _make_trimaps))
