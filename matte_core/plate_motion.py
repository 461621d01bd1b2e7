"""The motion of a plate from frame to frame, as a shot of its own, and what can be reached along it.

A plate is encoded once, a flow found once for each pair of frames, whatever asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from matte_core.colour import View, encode_for_network, luminance
from matte_core.flow import agreement, chained, ends, inside, motion, reduced, reduced_size, sampled
from matte_core.frame import Attribute, Frame, Header, Json, Pixels, Window
from matte_core.shot import Shot, make
from matte_core.takes import CUT, cuts_of
from matte_core.temporal import is_cut, step_of, unbroken
from matte_core.verb import Declaration, Job, Result, Verb, register

MOST = 1280  # pixels along the long side in which motion and slopes are measured
FLOW = ("ahead.x", "ahead.y", "back.x", "back.y", "ahead.agreement", "back.agreement")


def encoded(plate: Shot, view: View) -> Shot:
    """The plate (3, H, W) in 0..1 as a display shows it, under the shot's one exposure."""
    header = replace(plate.header, colour_space="", linear=False, tags=())
    return make("encoded", [plate], {"view": view.to_parameters()}, kind="data", header=header)


def flows_of(seen: Shot, cuts: str = "", most: int = 0, fine: bool = False) -> Shot:
    """Motion between every frame of an encoded plate `seen` and the next, (6, h, w) as FLOW names them.

    It is measured on at most `most` pixels along the long side (0: on MOST), in pixels of that size. Over a cut it is
    0, and the frame before says so in its header.

    cuts  as for `smooth_matte`
    fine  down to single pixels: at four times the cost. Raises UsageError where a cut is not in the shot.
    """
    known = cuts_of(cuts, seen.frames)
    window = reduced_window(seen.header.data, most)
    small = replace(seen.header, data=window, display=window, metadata=(), colour_space="", linear=True)
    told: dict[str, Json] = {"step": step_of(seen.frames), "cuts": None if known is None else list(known)}
    if most:
        told["most"] = most
    if fine:
        told["fine"] = True
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


def cut_after(flow: Frame) -> bool:
    """Whether a cut follows the frame of `flow`."""
    return flow.header.attribute(CUT) is not None


def pair_of(shot: Shot, which: int, number: int) -> list[int]:
    """A frame and the next, or the frame alone where the shot ends or frames are missing."""
    return unbroken(shot.frames, number, 0, 1, shot.parameters["step"])


def _flows(job: Job) -> Result:
    """Motion ahead and back between a frame and the next, and how far each is to be trusted; 0 over a cut."""
    made, most = [], job.shot.parameters.get("most") or MOST
    fine = bool(job.shot.parameters.get("fine"))
    for number in job.numbers:
        pair = [job.frames[0][n] for n in pair_of(job.shot, 0, number)]
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
                ahead, back = motion(one, other, fine), motion(other, one, fine)
                trust = agreement(ahead, back), agreement(back, ahead)
                pixels = np.stack([*np.moveaxis(ahead, -1, 0), *np.moveaxis(back, -1, 0), *trust])
        made.append(Frame(pixels, number, header))
    return Result(made)


def _encode(job: Job) -> Result:
    view = View.from_parameters(job.parameter("view"))
    plates = [job.one(0, number) for number in job.numbers]
    return Result([Frame(encode_for_network(p.pixels, view), p.number, job.shot.header) for p in plates])


def _grey(frame: Frame) -> Pixels:
    return np.asarray(luminance(frame.pixels), np.float32)


register(Verb("encoded", _encode))
register(Verb("optical flow", _flows, declare=lambda parameters: Declaration(needs=pair_of)))
