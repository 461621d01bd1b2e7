"""Smooth Matte: alpha filtered over time along the motion of the plate, behind any model (see `motion_filter`).

Everything that two frames share is a frame of a shot of its own: a plate is encoded once, a flow found once for
each pair of frames, slopes once for each matte. Nothing is carried: a frame depends on its window alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from matte_core.clearing import cleared_matte
from matte_core.colour import View
from matte_core.errors import UsageError
from matte_core.flow import channels_last, reduced
from matte_core.frame import Attribute, Frame, FrameRange, Json, Pixels
from matte_core.motion_filter import Neighbour, filtered, slopes
from matte_core.plate_motion import MOST, chain, cut_after, encoded, flows_of
from matte_core.shot import Shot, make
from matte_core.takes import CUT
from matte_core.temporal import step_of, unbroken
from matte_core.verb import Declaration, Job, Result, Verb, register

DRAWN = 0.6  # share of the matte in the picture whose motion is followed beside the plate's own


def smooth_matte(plate: Shot, matte: Shot, view: View, strength: float = 1.0, reach: int = 2, cuts: str = "") -> Shot:
    """The matte (K, H, W) in 0..1, smoothed over time; the matte itself where strength or reach is 0.

    view      how the plate is shown: one exposure for the shot
    strength  0..1, from the matte as it is to the filtered one
    reach     frames before and after that are looked at; never over a cut or over missing frames
    cuts      frame numbers at which a new take begins; empty: they are found, pair by pair (see `is_cut`); "none"

    Alpha that stands still over a plate that stands still stays bit for bit, its errors too. Pixels where all
    frames of the window say 0, or all 1, are left alone. The frame after a cut says so in its header ("matte/cut").
    Raises UsageError where plate and matte differ in window or have no frame in common, or a cut is not in the shot.
    """
    if strength == 0 or reach == 0:
        return matte
    if plate.header.data != matte.header.data:
        raise UsageError("the matte does not cover the window of the plate. Give pictures over the same window.")
    both = FrameRange(number for number in matte.frames if number in plate.frames)
    if not both:
        raise UsageError(f"the matte has frames {matte.frames}, the plate {plate.frames}. Give the same range.")
    step = step_of(both)
    seen = replace(encoded(plate, view), frames=both)
    flows = flows_of(seen, cuts, fine=True)
    clear = cleared_matte(seen, matte, flows, reach, step)
    drawn = make("drawn matte", [seen, clear], kind="data", header=seen.header)
    inputs = [matte, clear, seen, flows, flows_of(drawn, "none", fine=True)]
    names = [f"{name}.{last}" for name in matte.channels for last in ("r", "g", "b", "rest")]
    inputs.append(make("slopes", [seen, clear], kind="data", header=flows.header, channels=[*names, "spread"]))
    left_out = FrameRange(number for number in matte.frames if number not in both)
    return make(
        "smooth matte",
        inputs,
        {"strength": strength, "reach": reach, "step": step},
        frames=both,
        notes=[f"Smooth Matte: the plate has no frames {left_out}; they are left out."] if left_out else [],
    )


def _smooth(job: Job) -> Result:
    made = []
    for number in job.numbers:
        window = _window(job.shot, 1, number)
        frame, near = job.frames[0][number], {n: [job.frames[i][n] for i in (1, 2, 5)] for n in window}
        neighbours = []
        ways = list(chain(job.frames[3], number, window))
        reached = [n for n in window if n == number or any(n == other for other, _, _ in ways)]
        for n, moved, trust in [*ways, *chain(job.frames[4], number, reached)]:
            there, around, lines = (channels_last(f.pixels) for f in near[n])
            neighbours.append(Neighbour(there, around, lines, moved, trust))
        alpha, colour = (channels_last(f.pixels) for f in near[number][:2])
        smoothed = _first(filtered(alpha, colour, neighbours) if neighbours else alpha)
        mixed = frame.pixels + np.float32(job.parameter("strength")) * (smoothed - frame.pixels)
        header = frame.header
        if number > window[0] and cut_after(job.frames[3][window[window.index(number) - 1]]):
            header = header.with_attributes([Attribute(CUT, "int", 1)])
        made.append(Frame(mixed, number, header))
    return Result(made)


def _window(shot: Shot, which: int, number: int) -> list[int]:
    reach, step = shot.parameters["reach"], shot.parameters["step"]
    window = unbroken(shot.frames, number, reach, reach, step)
    if not which:
        return [number]
    return (window[:-1] or window) if which in (3, 4) else window  # flows stand between frames


def _slopes(job: Job) -> Result:
    made = []
    for number in job.numbers:
        found = slopes(channels_last(job.one(0, number).pixels), channels_last(job.one(1, number).pixels))
        made.append(Frame(_first(reduced(found, MOST)), number, job.shot.header))
    return Result(made)


def _draw(job: Job) -> Result:
    """The plate with the matte drawn over it in white: where hair is, that is what moves."""
    made = []
    for number in job.numbers:
        total = np.clip(job.one(1, number).pixels.sum(axis=0), 0, 1)
        pixels = (1 - DRAWN) * job.one(0, number).pixels + DRAWN * total
        made.append(Frame(np.asarray(pixels, np.float32), number, job.shot.header))
    return Result(made)


def _first(pixels: Pixels) -> Pixels:
    """Pixels (H, W, C) with their channels first."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _needing(needs: Callable[[Shot, int, int], Sequence[int]]) -> Callable[[Mapping[str, Json]], Declaration]:
    return lambda parameters: Declaration(needs=needs)


register(Verb("drawn matte", _draw))
register(Verb("slopes", _slopes))
register(Verb("smooth matte", _smooth, version=2, declare=_needing(_window)))
