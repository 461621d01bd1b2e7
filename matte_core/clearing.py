"""A matte cleared of what moves with the background: lamps, leaves, a skyline behind hair that networks take for it.

Colour alone cannot tell a lamp behind the subject's edge from the edge; motion can. The subject's motion, and the
background's, are known where the matte is sure; both are spread over what lies between. A pixel whose colours are found
again along the background's motion and not along the subject's belongs to the background, and its alpha is at most what
the subject has at that place in the frames around. But it is never less than that piece of background has in any of
these frames: motion is often wrong where nothing can be followed, and then all that it says there is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matte_core.errors import SourceError
from matte_core.flow import channels_last, ends, enlarged, reduced, sampled
from matte_core.frame import Frame, Pixels
from matte_core.late import late
from matte_core.motion_filter import as_bright
from matte_core.plate_motion import FLOW, MOST, chain, cut_after, pair_of
from matte_core.shot import Shot, make
from matte_core.temporal import unbroken
from matte_core.verb import Declaration, Job, Result, Verb, register

cv2 = late("cv2")

SURE = 4  # power of alpha by which its own motion counts: half-covered pixels move with neither
KNOWN = 0.3  # share of sure pixels around from which their motion is taken, and not that of farther ones
RATIO = 4.0  # times as badly (squared) as along the background's motion must colours fit along the subject's
CLEAR = 0.02  # squared difference of colour, all channels together, beyond that which makes it worth half a step


@dataclass(frozen=True)
class Track:
    """What a frame of the window holds along the subject's motion: alpha (H, W, K), and squared difference of colour
    (H, W) to the current frame; and both along the background's motion. Differences are None but for frames beside the
    current one."""

    alpha: Pixels
    ground: Pixels
    with_subject: Pixels | None = None
    with_background: Pixels | None = None


def cleared_matte(seen: Shot, matte: Shot, flows: Shot, reach: int, step: int) -> Shot:
    """The matte (K, H, W) cleared of what moves with the background of the encoded plate `seen`, whose motion is
    `flows`; each frame looks at `reach` before and after."""
    motions = [
        make(
            "layer motion", [flows, matte], {"background": ground, "step": step}, kind="data", frames=flows.frames,
            header=flows.header, channels=FLOW,
        )
        for ground in (False, True)
    ]  # fmt: skip
    return make("cleared matte", [matte, seen, *motions], {"reach": reach, "step": step}, frames=seen.frames)


def spread(moved: Pixels, weight: Pixels) -> Pixels:
    """The motion (H, W, 2) of what `weight` (H, W) counts, carried on to where nothing counts.

    From coarse to fine: a place takes the mean of what counts around it, however far that is.
    """
    levels = [(moved * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 2:
        levels.append((cv2.pyrDown(levels[-1][0]), cv2.pyrDown(levels[-1][1])))
    found = np.zeros_like(levels[-1][0])
    for total, counted in reversed(levels):
        found = enlarged(found, counted.shape[1], counted.shape[0])
        own = np.clip(counted / KNOWN, 0, 1)[..., None]
        if counted is levels[-1][1]:
            own = np.ones_like(own)
        found = found + own * (total / np.maximum(counted, 1e-12)[..., None] - found)
    return np.asarray(found, np.float32)


def cleared(alpha: Pixels, tracks: Sequence[Track]) -> Pixels:
    """The alpha (H, W, K), where what is seen moves with the background at most the median of the `tracks`', or the
    least that the background has along its own motion."""
    subjects = [track.with_subject for track in tracks if track.with_subject is not None]
    grounds = [track.with_background for track in tracks if track.with_background is not None]
    if not subjects or not grounds:
        return alpha
    subject, ground = np.mean(subjects, axis=0), np.mean(grounds, axis=0)
    belief = np.clip((subject - RATIO * ground) / CLEAR - 1, 0, 1)[..., None]
    around = np.median([track.alpha for track in tracks], axis=0)
    around = np.maximum(around, np.minimum.reduce([track.ground for track in tracks]))
    return np.asarray(alpha + belief * (np.minimum(alpha, around) - alpha), np.float32)


def _clear(job: Job) -> Result:
    made = []
    for number in job.numbers:
        frame = job.frames[0][number]
        soft = _soft(np.moveaxis(frame.pixels, 0, -1))
        pixels = frame.pixels
        if soft is not None:
            part = cleared(channels_last(pixels[:, soft[0], soft[1]]), _tracks(job, number, soft))
            pixels = pixels.copy()
            pixels[:, soft[0], soft[1]] = np.moveaxis(part, -1, 0)
        made.append(Frame(np.ascontiguousarray(pixels), number, frame.header))
    return Result(made)


def _tracks(job: Job, number: int, box: tuple[slice, slice]) -> list[Track]:
    """What the frames around hold for the pixels of `box`."""
    window = _window(job.shot, 0, number)
    colours = {
        n: channels_last(job.frames[1][n].pixels) for n in window if abs(window.index(n) - window.index(number)) <= 1
    }
    own, size = colours[number][box], job.frames[0][number].pixels.shape[1:]
    grounds = {n: moved for n, moved, _ in chain(job.frames[3], number, window)}
    tracks = []
    for n, moved, _ in chain(job.frames[2], number, window):
        if n not in grounds:
            continue
        alpha, both = channels_last(job.frames[0][n].pixels), [_places(way, box, size) for way in (moved, grounds[n])]
        held = [
            sampled(alpha, places, cubic=True).reshape(*places.shape[:2], -1).clip(0, 1) for places in both
        ]  # remap drops a single channel
        apart = [_apart(own, colours[n], places) for places in both] if n in colours else [None, None]
        tracks.append(Track(*held, *apart))
    return tracks


def _places(moved: Pixels, box: tuple[slice, slice], size: tuple[int, ...]) -> Pixels:
    height, width = size
    scale = np.array([width / moved.shape[1], height / moved.shape[0]], np.float32)
    return ends((enlarged(moved, width, height) * scale)[box], box[1].start, box[0].start)


def _apart(own: Pixels, there: Pixels, places: Pixels) -> Pixels:
    change = own - as_bright(sampled(there, places, cubic=True), own)
    return np.asarray(cv2.blur((change * change).sum(axis=-1), (3, 3)), np.float32)


def _soft(alpha: Pixels) -> tuple[slice, slice] | None:
    """Rows and columns that hold all of (H, W, K) that is neither 0 nor 1; None where there is none."""
    soft = np.logical_or.reduce((alpha > 0) & (alpha < 1), axis=-1)
    lines = [np.flatnonzero(np.logical_or.reduce(soft, axis=axis)) for axis in (1, 0)]
    if not len(lines[0]):
        return None
    return slice(int(lines[0][0]), int(lines[0][-1]) + 1), slice(int(lines[1][0]), int(lines[1][-1]) + 1)


def _window(shot: Shot, which: int, number: int) -> list[int]:
    window = unbroken(shot.frames, number, shot.parameters["reach"], shot.parameters["reach"], shot.parameters["step"])
    return (window[:-1] or window) if which >= 2 else window  # motions stand between frames


def _layer_motion(job: Job) -> Result:
    """The motion of the subject, or of the background, between a frame and the next, wherever the other is seen."""
    made = []
    for number in job.numbers:
        flow, pair = job.frames[0][number], pair_of(job.shot, 1, number)
        pixels = np.zeros_like(flow.pixels)
        _refuse_sizes([job.frames[1][n] for n in pair])
        if len(pair) == 2 and not cut_after(flow):
            for place, n in enumerate(pair):
                total = reduced(np.clip(job.frames[1][n].pixels.sum(axis=0), 0, 1), MOST)
                weight = (1 - total if job.parameter("background") else total) ** SURE * flow.pixels[4 + place]
                moved = channels_last(flow.pixels[2 * place : 2 * place + 2])
                pixels[2 * place : 2 * place + 2] = np.moveaxis(spread(moved, weight + np.float32(1e-6)), -1, 0)
            pixels[4:] = 1
        made.append(Frame(pixels, number, flow.header))
    return Result(made)


def _refuse_sizes(frames: Sequence[Frame]) -> None:
    for frame in frames[1:]:
        if frame.pixels.shape != frames[0].pixels.shape:
            (_, height, width), (_, high, wide) = frame.pixels.shape, frames[0].pixels.shape
            raise SourceError(
                f"frame {frame.number} of the matte is {width}x{height}, frame {frames[0].number} {wide}x{high}. "
                "Render the matte in one size."
            )


def _needs_of_motion(shot: Shot, which: int, number: int) -> list[int]:
    return pair_of(shot, which, number) if which else [number]


register(Verb("layer motion", _layer_motion, declare=lambda parameters: Declaration(needs=_needs_of_motion)))
register(Verb("cleared matte", _clear, version=2, declare=lambda parameters: Declaration(needs=_window)))
