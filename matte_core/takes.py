"""Where new takes begin, known while a shot is pulled: what carries anything from frame to frame begins anew there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from matte_core.colour import View, encode_for_network, luminance
from matte_core.errors import UsageError
from matte_core.flow import reduced
from matte_core.frame import Attribute, Frame, FrameRange, Json, Window
from matte_core.pull import frames
from matte_core.shot import Shot, make
from matte_core.temporal import LOOKED_AT, is_cut
from matte_core.verb import Declaration, Job, Result, Verb, register

CUT = "matte/cut"  # in a frame's header: a new take begins here
NONE = "none"  # in place of frame numbers: the shot is one take, whatever it looks like


def cuts_of(text: str, frames: FrameRange) -> tuple[int, ...] | None:
    """Frame numbers of `text` at which new takes begin; () for "none"; None where it is empty: they are to be found.

    Raises UsageError where one is not in the shot.
    """
    if not text.strip():
        return None
    if text.strip().lower() == NONE:
        return ()
    numbers = FrameRange.parse(text)
    for number in numbers:
        if number not in frames:
            raise UsageError(f"the cut at frame {number} is not in the shot ({frames}). Name frames that it has.")
    return tuple(numbers)


def takes(plate: Shot, view: View) -> Shot:
    """One pixel for each frame of the plate, whose header says "matte/cut" where a new take begins with it.

    A take begins where a frame differs from the one before as `is_cut` says; each frame is judged by that pair
    alone. Every frame is read once, small pictures are kept.
    """
    dot = replace(plate.header, data=Window(0, 0, 1, 1), display=Window(0, 0, 1, 1), metadata=(), linear=True)
    small = make("look for cuts", [plate], {"view": view.to_parameters()}, kind="data", header=dot, channels=("Y",))
    return make("takes", [small])


def begins_take(frame: Frame) -> bool:
    """Whether a frame of `takes` begins a new take."""
    return frame.header.attribute(CUT) is not None


def cuts_seen(job: Job) -> list[int]:
    """Numbers at which new takes begin, of the shot or of what the job sees of it."""
    known = job.shot.parameters.get("cuts", ())
    return [n for n, frame in job.frames[-1].items() if begins_take(frame)] if known is None else list(known)


def stretches(job: Job) -> list[list[int]]:
    """The job's numbers, cut wherever the shot has a frame between two of them, and at cuts: context must be of
    neighbours."""
    found: list[list[int]] = []
    frames, cuts = job.shot.frames, cuts_seen(job)
    for number in job.numbers:
        follows = bool(found) and frames.position(found[-1][-1]) + 1 == frames.position(number)
        if follows and number not in cuts:
            found[-1].append(number)
        else:
            found.append([number])
    return found


def find_cuts(plate: Shot, view: View) -> Iterator[tuple[int, bool]]:
    """(frame number, whether a new take begins with it) for every frame of the shot but the first.

    Reads every frame once; holds two small pictures. Frames that are missing between two are no cut here.
    """
    for frame in frames(takes(plate, view)):
        if frame.number != plate.frames[0]:
            yield frame.number, begins_take(frame)


def _look(job: Job) -> Result:
    view = View.from_parameters(job.parameter("view"))
    made = []
    for number in job.numbers:
        grey = luminance(encode_for_network(job.one(0, number).pixels, view))
        small = reduced(np.ascontiguousarray(grey, np.float32), LOOKED_AT)
        made.append(Frame(np.array(small)[None], number, job.shot.header))
    return Result(made)


def _judge(job: Job) -> Result:
    made = []
    for number in job.numbers:
        before, after = job.around(0, number)
        header, dot = job.shot.header, np.zeros((1, 1, 1), np.float32)
        if before is not after and is_cut(before.pixels[0], after.pixels[0]):
            header = header.with_attributes([Attribute(CUT, "int", 1)])
        made.append(Frame(dot, number, header))
    return Result(made)


def _declare(parameters: Mapping[str, Json]) -> Declaration:
    return Declaration(windows=((1, 0),))


register(Verb("look for cuts", _look))
register(Verb("takes", _judge, declare=_declare))
