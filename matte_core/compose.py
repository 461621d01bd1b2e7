"""Compositing arithmetic on frames, in linear light, unclamped. A foreground is straight: not multiplied by alpha."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange, Json, Pixels
from matte_core.late import late
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

cv2 = late("cv2")

LEAST = 2.0**-24  # smallest alpha that half floats hold; below it a pixel counts as not covered


def over(foreground: Shot, matte: Shot, background: Shot) -> Shot:
    """The composite (3, H, W): alpha x foreground + (1 - alpha) x background, per channel.

    Where alpha is 1 it is the foreground and where alpha is 0 the background, bit for bit. Raises UsageError
    where the pictures differ in window or have no frame in common.
    """
    return joined("over", [foreground, total(matte), background])


def premultiply(plate: Shot, matte: Shot) -> Shot:
    """Straight colour times alpha (3, H, W). Raises UsageError as `over` does."""
    return joined("premultiply", [plate, total(matte)])


def unpremultiply(plate: Shot, matte: Shot) -> Shot:
    """Premultiplied colour divided by alpha (3, H, W); pixels of alpha 0 are left alone. Raises as `over` does."""
    return joined("unpremultiply", [plate, total(matte)])


def total(matte: Shot) -> Shot:
    """All instances as one alpha (1, H, W): their sum, at most 1; the matte itself where it has one layer."""
    return matte if len(matte.channels) == 1 else make("total", [matte], channels=["matte"])


def refine_matte(
    matte: Shot, black: float = 0.0, white: float = 1.0, grow: float = 0.0, blur: float = 0.0, gamma: float = 1.0
) -> Shot:
    """The matte after clips, then grow or shrink, then blur, then gamma; the same shot at the defaults.

    black, white  alpha at or below `black` becomes 0, at or above `white` 1, between them a straight line
    grow          pixels the edge moves out; negative moves it in; fractions are interpolated
    blur          pixels over which an edge is smeared: a Gaussian of half that sigma
    gamma         alpha ** (1 / gamma): above 1 lifts the half-covered edge, 0 and 1 stay

    Raises UsageError where white is not above black, or gamma is not above 0.
    """
    if not 0 <= black < white <= 1:
        raise UsageError(
            f"black clip {black:g} and white clip {white:g} leave nothing between. Use 0 <= black < white <= 1."
        )
    if gamma <= 0 or blur < 0:
        raise UsageError(f"gamma {gamma:g} and blur {blur:g} cannot be. Use a gamma above 0 and a blur of 0 or more.")
    if (black, white, grow, blur, gamma) == (0, 1, 0, 0, 1):
        return matte
    settings = {"black": black, "white": white, "grow": grow, "blur": blur, "gamma": gamma}
    return make("refine matte", [matte], settings)


def difference(first: Shot, second: Shot, gain: float = 1.0) -> Shot:
    """How far two shots of the same channels differ: absolute difference times `gain`. Raises as `over` does."""
    if len(first.channels) != len(second.channels):
        raise UsageError(
            f"difference was given {len(first.channels)} channels and {len(second.channels)}. "
            "Give two plates or two mattes."
        )
    return joined("difference", [first, second], {"gain": gain})


def joined(verb: str, inputs: Sequence[Shot], parameters: Mapping[str, Json] | None = None) -> Shot:
    """A shot of `verb` over the frames that all inputs have. Raises UsageError where windows differ or none is left."""
    first = inputs[0]
    for shot in inputs[1:]:
        if shot.header.data != first.header.data:
            mine, other = first.header.data, shot.header.data
            raise UsageError(
                f"{verb} was given pictures of {mine.width}x{mine.height} at {mine.x},{mine.y} and "
                f"{other.width}x{other.height} at {other.x},{other.y}. Give pictures over the same window."
            )
    both = FrameRange(n for n in first.frames if all(n in shot.frames for shot in inputs))
    if not both:
        raise UsageError(
            f"{verb} was given shots without a common frame ({first.frames} and others). Give the same range."
        )
    return make(verb, inputs, parameters, frames=both)


def _over(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    front, alpha, back = (frame.pixels for frame in frames)
    mixed = back + alpha * (front - back)
    return np.asarray(np.where(alpha == 1, front, np.where(alpha == 0, back, mixed)), np.float32)


def _premultiply(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    return frames[0].pixels * frames[1].pixels


def _unpremultiply(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    colour, alpha = frames[0].pixels, frames[1].pixels
    return np.divide(colour, alpha, out=colour.copy(), where=np.abs(alpha) >= LEAST)


def _total(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    return np.asarray(np.minimum(frames[0].pixels.sum(axis=0, keepdims=True), 1), np.float32)


def _refine(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    low, high = parameters["black"], parameters["white"]
    alpha = np.clip((frames[0].pixels - low) / (high - low), 0, 1)
    layers = [_blurred(_grown(layer, parameters["grow"]), parameters["blur"]) for layer in alpha]
    return np.asarray(np.stack(layers) ** (1 / parameters["gamma"]), np.float32)


def _grown(layer: Pixels, pixels: float) -> Pixels:
    """The layer grown (or shrunk) by a disc; between whole radii, the mean of the two by their nearness."""
    if pixels == 0:
        return layer
    grow, whole = (cv2.dilate, math.floor(pixels)) if pixels > 0 else (cv2.erode, math.floor(-pixels))
    rest = abs(pixels) - whole
    small = grow(layer, disc(whole)) if whole else layer
    return np.asarray(small if rest == 0 else (1 - rest) * small + rest * grow(layer, disc(whole + 1)), np.float32)


def disc(radius: int) -> NDArray[np.uint8]:
    """A filled disc of 1s, 2 x radius + 1 across: what an edge is grown or shrunk by."""
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(rows * rows + columns * columns <= radius * radius + radius, np.uint8)


def _blurred(layer: Pixels, pixels: float) -> Pixels:
    if pixels == 0:
        return layer
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), pixels / 2, borderType=cv2.BORDER_REPLICATE), np.float32)


def _difference(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    return np.asarray(np.abs(frames[0].pixels - frames[1].pixels) * np.float32(parameters["gain"]), np.float32)


def per_frame(name: str, function: Callable[[Sequence[Frame], Mapping[str, Json]], Pixels], data: bool = False) -> None:
    """A verb that makes each frame from the same frame of its inputs, under the first input's header.

    `data` is for mattes made of colour: their header says no colour space.
    """

    def compute(job: Job) -> Result:
        made = []
        for number in job.numbers:
            frames = [job.one(which, number) for which in range(len(job.shot.inputs))]
            pixels = np.ascontiguousarray(function(frames, job.shot.parameters), np.float32)
            header = replace(frames[0].header, colour_space="", linear=True) if data else frames[0].header
            made.append(Frame(pixels, number, header))
        return Result(made)

    register(Verb(name, compute))


per_frame("over", _over)
per_frame("premultiply", _premultiply)
per_frame("unpremultiply", _unpremultiply)
per_frame("total", _total)
per_frame("refine matte", _refine)
per_frame("difference", _difference)
