"""Clean plates: the background without the subject, made from a locked-off shot itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from matte_core.colour import reference_frames
from matte_core.compose import disc, total
from matte_core.errors import SourceError, UsageError
from matte_core.frame import Frame, FrameRange, Json, Pixels
from matte_core.late import late
from matte_core.shot import Shot, make
from matte_core.verb import Declaration, Job, Result, Verb, register

cv2 = late("cv2")

BACKGROUND = 1 / 255  # alpha up to here is background: what an 8-bit mask rounds off
STRIP = 32  # rows whose values are sorted together, so that the stack of frames is never copied whole


def clean_plate(
    plate: Shot, matte: Shot | None = None, samples: int = 9, frames: str = "", margin: int = 8
) -> tuple[Shot, Shot]:
    """One still each: the clean plate (3, H, W), and where it was seen (1, H, W), 1 = seen in some frame.

    Each pixel is the median of the plate over those of the frames looked at in which the matte, grown by `margin`
    pixels, is 0 there: for a camera that stands still. Where no frame shows the background, the surroundings are
    carried in smoothly. Without a matte it is the median of all, right where the subject is away more often than
    not. Pixels that are not finite count as not seen.

    `samples` frames are spread evenly over the shot; `frames` names them instead. They are chosen here, once, and
    are all in memory while the still is made. Raises UsageError where the shots do not go together; SourceError,
    when pulled, where no background is seen at all.
    """
    inputs = [plate] if matte is None else [plate, total(matte)]
    both = FrameRange(n for n in plate.frames if all(n in shot.frames for shot in inputs))
    wanted = _wanted(both, samples, frames)
    if matte is not None and matte.header.data != plate.header.data:
        raise UsageError("the matte does not cover the window of the plate. Give pictures over the same window.")
    measured = make(
        "clean plate",
        inputs,
        {"frames": wanted, "margin": margin},
        frames=FrameRange([plate.frames[0]]),
        channels=[*plate.channels, "seen"],
        notes=[f"The clean plate is measured on {len(wanted)} frames: {FrameRange(wanted)}."],
    )
    colours = len(plate.channels)
    colour = make("pick channels", [measured], {"places": list(range(colours))}, channels=plate.channels)
    header = replace(plate.header, colour_space="", linear=True)
    seen = make("pick channels", [measured], {"places": [colours]}, kind="matte", header=header, channels=["seen"])
    return colour, seen


def _wanted(both: FrameRange, samples: int, frames: str) -> list[int]:
    """Numbers of the frames that are looked at. Raises UsageError where there are none or they are not in the shot."""
    if not both:
        raise UsageError("the plate and the matte have no frame in common. Give shots of the same frames.")
    if not frames.strip():
        return reference_frames(both, samples)
    wanted = FrameRange.parse(frames)
    outside = [number for number in wanted if number not in both]
    if outside:
        raise UsageError(f"frame {outside[0]} is not in the shot ({both}). Choose frames that it has.")
    return list(wanted)


def masked_median(pictures: Sequence[Pixels], valid: Sequence[NDArray[np.bool_]]) -> tuple[Pixels, Pixels]:
    """Median (C, H, W) of the pictures where they are `valid` (H, W each), and how many are, (1, H, W).

    The mean of the middle two where their number is even; 0 where there is none.
    """
    channels, height, width = pictures[0].shape
    median = np.zeros((channels, height, width), np.float32)
    count = np.stack(valid).sum(axis=0)
    for top in range(0, height, STRIP):
        rows = slice(top, top + STRIP)
        stack = np.stack(
            [np.where(ok[rows], one[:, rows], np.float32(np.inf)) for one, ok in zip(pictures, valid, strict=True)]
        )
        stack.sort(axis=0)
        here = count[rows]
        middle = [
            np.take_along_axis(stack, np.broadcast_to(place, (1, *stack.shape[1:])), 0)[0]
            for place in ((here - 1).clip(0) // 2, here // 2)
        ]
        low, high = (np.where(here > 0, one, 0) for one in middle)
        median[:, rows] = low * 0.5 + high * 0.5
    return median, count[None].astype(np.float32)


def fill(picture: Pixels, seen: NDArray[np.bool_]) -> Pixels:
    """The picture (C, H, W) where `seen` (H, W); elsewhere its surroundings, averaged over ever wider pixels.

    Source: Gortler et al. 1996, The Lumigraph, section 3.4 (pull-push), with weights of 0 and 1.
    """
    if seen.all():
        return picture
    known = torch.from_numpy(seen.astype(np.float32))[None]
    wide = _pull_push(torch.from_numpy(np.where(seen, picture, 0).astype(np.float32)), known).numpy()
    return np.asarray(np.where(seen, picture, wide), np.float32)


def _pull_push(sums: Tensor, weight: Tensor) -> Tensor:
    """Colour (C, H, W) everywhere from colour times weight and weight (1, H, W)."""
    height, width = weight.shape[-2:]
    if max(height, width) == 1:
        return sums / weight.clamp_min(1e-6)
    both = torch.cat([sums, weight])[None]
    padded = functional.pad(both, (0, width % 2, 0, height % 2))
    half = functional.avg_pool2d(padded, 2)[0]
    strength = half[-1:].clamp_max(0.25) / half[-1:].clamp_min(1e-12)  # a quarter filled is filled
    coarse = _pull_push(half[:-1] * strength * 4, half[-1:] * strength * 4)
    wide = functional.interpolate(coarse[None], size=padded.shape[-2:], mode="bilinear")[0][:, :height, :width]
    return sums + (1 - weight) * wide


def _valid(plate: Frame, matte: Frame | None, margin: int) -> NDArray[np.bool_]:
    """Where (H, W) the plate shows finite background."""
    valid = np.isfinite(plate.pixels).all(axis=0)
    if matte is None:
        return np.asarray(valid)
    subject = (~(matte.pixels[0] <= BACKGROUND)).astype(np.uint8)  # NaN is no background
    return np.asarray(valid & (cv2.dilate(subject, disc(margin)) == 0))


def _measure(job: Job) -> Result:
    numbers, margin = job.parameter("frames"), job.parameter("margin")
    plates = [job.frames[0][number] for number in numbers]
    mattes = [job.frames[1][number] if len(job.frames) > 1 else None for number in numbers]
    valid = [_valid(plate, matte, margin) for plate, matte in zip(plates, mattes, strict=True)]
    median, count = masked_median([plate.pixels for plate in plates], valid)
    if not count.any():
        raise SourceError(
            f"none of the {len(numbers)} frames looked at shows any background. "
            "Look at other frames, use a smaller margin, or give a matte that selects the subject alone."
        )
    pixels = np.concatenate([fill(median, count[0] > 0), (count > 0).astype(np.float32)])
    return Result([Frame(pixels, number, job.shot.header) for number in job.numbers])


def _pick(job: Job) -> Result:
    places = job.parameter("places")
    made = [(number, job.one(0, number).pixels[places]) for number in job.numbers]
    return Result([Frame(np.ascontiguousarray(pixels), number, job.shot.header) for number, pixels in made])


def _declare(parameters: Mapping[str, Json]) -> Declaration:
    return Declaration(needs=lambda shot, which, number: shot.parameters["frames"])


register(Verb("clean plate", _measure, declare=_declare))
register(Verb("pick channels", _pick))
