"""Smooth Matte: alpha filtered over time along the motion of the plate, behind any model (see `motion_filter`).

Everything that two frames share is a frame of a shot of its own: a plate is encoded once, a flow found once for
each pair of frames, slopes once for each matte. Nothing is carried: a frame depends on its window alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from matte_core.colour import View, encode_for_network, luminance
from matte_core.errors import SourceError, UsageError
from matte_core.flow import agreement, chained, ends, inside, motion, reduced, reduced_size, sampled
from matte_core.frame import Attribute, Frame, FrameRange, Header, Json, Pixels, Window
from matte_core.motion_filter import Neighbour, filtered, slopes
from matte_core.shot import Shot, make
from matte_core.takes import CUT, cuts_of
from matte_core.temporal import is_cut, step_of, unbroken
from matte_core.verb import Declaration, Job, Result, Verb, register

MOST = 1280  # pixels along the long side in which motion and slopes are measured
FLOW = ("ahead.x", "ahead.y", "back.x", "back.y", "ahead.agreement", "back.agreement")


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
    flows = flows_of(seen, cuts)
    small = flows.header
    names = [f"{name}.{last}" for name in matte.channels for last in ("r", "g", "b", "rest")]
    lines = make("slopes", [seen, matte], kind="data", frames=both, header=small, channels=[*names, "spread"])
    left_out = FrameRange(number for number in matte.frames if number not in both)
    return make(
        "smooth matte",
        [matte, seen, flows, lines],
        {"strength": strength, "reach": reach, "step": step},
        frames=both,
        notes=[f"Smooth Matte: the plate has no frames {left_out}; they are left out."] if left_out else [],
    )


def encoded(plate: Shot, view: View) -> Shot:
    """The plate (3, H, W) in 0..1 as a display shows it, under the shot's one exposure."""
    header = replace(plate.header, colour_space="", linear=False, tags=())
    return make("encoded", [plate], {"view": view.to_parameters()}, kind="data", header=header)


def flows_of(seen: Shot, cuts: str = "", most: int = 0) -> Shot:
    """Motion between every frame of an encoded plate `seen` and the next, (6, h, w) as FLOW names them.

    It is measured on at most `most` pixels along the long side (0: on MOST), in pixels of that size. Over a cut it is
    0, and the frame before says so in its header.

    cuts  as for `smooth_matte`. Raises UsageError where a cut is not in the shot.
    """
    known = cuts_of(cuts, seen.frames)
    window = reduced_window(seen.header.data, most)
    small = replace(seen.header, data=window, display=window, metadata=(), colour_space="", linear=True)
    told: dict[str, Json] = {"step": step_of(seen.frames), "cuts": None if known is None else list(known)}
    if most:
        told["most"] = most
    return make("optical flow", [seen], told, kind="data", header=small, channels=FLOW)


def reduced_window(window: Window, most: int = 0) -> Window:
    """The window of the smaller pictures in which motion and slopes are measured."""
    return Window(0, 0, *reduced_size(window.width, window.height, most or MOST))


def chain(flows: Mapping[int, Frame], number: int, window: Sequence[int]) -> Iterator[tuple[int, Pixels, Pixels]]:
    """(neighbour, motion to it (h, w, 2), trust (h, w)) outward from `number`; ends where nothing can be trusted.

    `flows` are the frames of `flows_of` by number, all but the last of the window's.
    """
    place = window.index(number)
    for way, numbers in ((1, window[place:]), (-1, window[place::-1])):
        moved, trust = np.zeros(0, np.float32), np.zeros(0, np.float32)
        for before, after in pairwise(numbers):
            pair = np.moveaxis(flows[min(before, after)].pixels, 0, -1)
            step, good = (pair[..., :2], pair[..., 4]) if way > 0 else (pair[..., 2:4], pair[..., 5])
            if trust.size:
                trust = trust * sampled(good, ends(moved)) * inside(moved)
                moved = chained(moved, np.ascontiguousarray(step))
            else:
                moved, trust = np.ascontiguousarray(step), np.ascontiguousarray(good)
            if not trust.any():
                break
            yield after, moved, trust


def _smooth(job: Job) -> Result:
    made = []
    for number in job.numbers:
        window = _window(job.shot, 0, number)
        frame, near = job.frames[0][number], {n: [job.frames[i][n] for i in (0, 1, 3)] for n in window}
        _refuse_sizes([each[0] for each in near.values()])
        neighbours = []
        for n, moved, trust in chain(job.frames[2], number, window):
            there, around, lines = (_last(f.pixels) for f in near[n])
            neighbours.append(Neighbour(there, around, lines, moved, trust))
        alpha, colour = (_last(f.pixels) for f in near[number][:2])
        smoothed = filtered(alpha, colour, neighbours) if neighbours else alpha
        mixed = alpha + np.float32(job.parameter("strength")) * (smoothed - alpha)
        header = frame.header
        if number > window[0] and _cut_after(job.frames[2][window[window.index(number) - 1]]):
            header = header.with_attributes([Attribute(CUT, "int", 1)])
        made.append(Frame(_first(mixed), number, header))
    return Result(made)


def _refuse_sizes(frames: Sequence[Frame]) -> None:
    for frame in frames[1:]:
        if frame.pixels.shape != frames[0].pixels.shape:
            (_, height, width), (_, high, wide) = frame.pixels.shape, frames[0].pixels.shape
            raise SourceError(
                f"frame {frame.number} of the matte is {width}x{height}, frame {frames[0].number} {wide}x{high}. "
                "Render the matte in one size."
            )


def _cut_after(flow: Frame) -> bool:
    return flow.header.attribute(CUT) is not None


def _window(shot: Shot, which: int, number: int) -> list[int]:
    reach, step = shot.parameters["reach"], shot.parameters["step"]
    window = unbroken(shot.frames, number, reach, reach, step)
    return (window[:-1] or window) if which == 2 else window  # flows stand between frames


def _pair(shot: Shot, which: int, number: int) -> list[int]:
    return unbroken(shot.frames, number, 0, 1, shot.parameters["step"])


def _flows(job: Job) -> Result:
    """Motion ahead and back between a frame and the next, and how far each is to be trusted; 0 over a cut."""
    made, most = [], job.shot.parameters.get("most") or MOST
    for number in job.numbers:
        pair = [job.frames[0][n] for n in _pair(job.shot, 0, number)]
        size = job.shot.header.data
        pixels = np.zeros((len(FLOW), size.height, size.width), np.float32)
        header: Header = job.shot.header
        if len(pair) == 2:
            known = job.parameter("cuts")
            before, after = (_grey(frame) for frame in pair)
            if pair[1].number in known if known is not None else is_cut(before, after):
                header = header.with_attributes([Attribute(CUT, "int", pair[1].number)])
            else:
                one, other = (reduced(picture, most) for picture in (before, after))
                ahead, back = motion(one, other), motion(other, one)
                trust = agreement(ahead, back), agreement(back, ahead)
                pixels = np.stack([*np.moveaxis(ahead, -1, 0), *np.moveaxis(back, -1, 0), *trust])
        made.append(Frame(pixels, number, header))
    return Result(made)


def _slopes(job: Job) -> Result:
    made = []
    for number in job.numbers:
        found = slopes(_last(job.one(0, number).pixels), _last(job.one(1, number).pixels))
        made.append(Frame(_first(reduced(found, MOST)), number, job.shot.header))
    return Result(made)


def _encode(job: Job) -> Result:
    view = View.from_parameters(job.parameter("view"))
    plates = [job.one(0, number) for number in job.numbers]
    return Result([Frame(encode_for_network(p.pixels, view), p.number, job.shot.header) for p in plates])


def _grey(frame: Frame) -> Pixels:
    return np.asarray(luminance(frame.pixels), np.float32)


def _last(pixels: Pixels) -> Pixels:
    """Pixels (C, H, W) with their channels last."""
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


def _first(pixels: Pixels) -> Pixels:
    """Pixels (H, W, C) with their channels first."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _needing(needs: Callable[[Shot, int, int], Sequence[int]]) -> Callable[[Mapping[str, Json]], Declaration]:
    return lambda parameters: Declaration(needs=needs)


register(Verb("encoded", _encode))
register(Verb("optical flow", _flows, declare=_needing(_pair)))
register(Verb("slopes", _slopes))
register(Verb("smooth matte", _smooth, declare=_needing(_window)))
