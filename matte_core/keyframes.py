"""Guides drawn on a few keyframes: held, or blended from shape to shape, on the frames between."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matte_core.errors import UsageError
from matte_core.frame import FrameRange, Json, Pixels
from matte_core.late import late
from matte_core.shot import Shot, make
from matte_core.trimap import distance
from matte_core.verb import Declaration, Job, Result, Verb, register

cv2 = late("cv2")

BETWEEN = ("shape", "hold", "dissolve")
LEVELS = 8  # contours a soft mask is followed by; even, so that a trimap's 0.5 comes back as 0.5


def keyframed(guide: Shot, frames: FrameRange, keys: str = "", between: str = "shape") -> Shot:
    """The guide (K, H, W) on every one of `frames`, from the frames of it that are keyframes.

    keys     numbers of the keyframes, such as "1001,1040,1096"; empty: every frame that the guide has. Where the
             guide has other numbers and as many frames, its frames are put on these numbers in their order
    between  "shape": the outline moves from key to key (see `between_shapes`), "hold": the last key stays until
             the next, "dissolve": one fades into the other

    On a keyframe the guide is that key, bit for bit; before the first and after the last key the nearest is held.
    At most two keys are in memory. Raises UsageError for keys that are not there or another `between`.
    """
    if between not in BETWEEN:
        raise UsageError(f"'{between}' is no way from key to key. Choose one of: {', '.join(BETWEEN)}.")
    pairs = pairs_of(guide.frames, keys)
    return make(
        "keyframes",
        [guide],
        {"keys": [list(pair) for pair in pairs], "between": between},
        frames=frames,
        notes=[f"The guide has {len(pairs)} keyframe{'s' * (len(pairs) > 1)}: {FrameRange(key for key, _ in pairs)}."],
    )


def pairs_of(have: FrameRange, keys: str) -> list[tuple[int, int]]:
    """(keyframe, number of the guide's frame) in order. Raises UsageError where a key has no frame."""
    wanted = FrameRange.parse(keys) if keys.strip() else have
    if all(number in have for number in wanted):
        return [(number, number) for number in wanted]
    if len(wanted) == len(have):
        return list(zip(wanted, have, strict=True))
    absent = next(number for number in wanted if number not in have)
    raise UsageError(
        f"keyframe {absent} is not in the guide ({have}), and {len(wanted)} keys do not number its {len(have)} frames. "
        "Name frames that it has, or one key for each of them."
    )


def keys_within(guide: Shot, frames: FrameRange, keys: str) -> list[tuple[int, int]]:
    """The pairs of `pairs_of` that lie in `frames`, the plate's; a still without a number is its first frame.

    Raises UsageError where a key is named that is in neither, or no key is in the plate.
    """
    if not keys.strip() and len(guide.frames) == 1 and guide.frames[0] not in frames:
        return [(frames[0], guide.frames[0])]
    pairs = pairs_of(guide.frames, keys)
    if keys.strip():
        outside = [key for key, _ in pairs if key not in frames]
        if outside:
            raise UsageError(f"keyframe {outside[0]} is outside the shot ({frames}). Name frames that it has.")
    inside = [pair for pair in pairs if pair[0] in frames]
    if not inside:
        raise UsageError(f"no keyframe: the guide has frames {guide.frames}, the plate {frames}. Name keyframes of it.")
    return inside


def without_keys(parameters: Mapping[str, Json]) -> Mapping[str, Json]:
    """A verb's recipe without its keyframes, where each frame's own keys come with the frames that it needs: so a new
    keyframe makes no more frames anew than look at it."""
    return {name: value for name, value in parameters.items() if name != "keys"}


def neighbours(keys: list[list[int]], number: int) -> tuple[list[int], list[int], float]:
    """The (keyframe, guide's frame) at or before `number` and the one after, and how far between them it lies, 0..1."""
    after = bisect_right([key for key, _ in keys], number)
    first, last = keys[max(after - 1, 0)], keys[min(after, len(keys) - 1)]
    if first[0] >= number or first == last:
        return first, first, 0.0
    return first, last, (number - first[0]) / (last[0] - first[0])


def between_shapes(first: Pixels, second: Pixels, share: float) -> Pixels:
    """The shape (H, W) in 0..1 at `share` of the way from the first to the second.

    Both are moved so that their centres of mass meet on the straight line between them; there the signed distance
    to the outline, in pixels, is mixed, and the new outline is where it is 0, one pixel soft. Soft masks and trimaps
    are mixed so at eight levels, so a trimap keeps its band: its values are 0, 0.5 and 1 but for that one pixel. A
    shape that only one key has grows from, or shrinks to, its innermost point.
    Source: Raya and Udupa 1990, Shape-based interpolation of multidimensional objects.
    """
    made = np.zeros(first.shape, np.float32)
    known: dict[bytes, Pixels] = {}
    for level in (np.arange(LEVELS) + 0.5) / LEVELS:
        regions = first >= level, second >= level
        same = b"".join(np.packbits(region).tobytes() for region in regions)
        if same not in known:
            known = {same: _outline_between(*regions, share)}  # levels of a hard mask are all one
        made += known[same]
    return np.asarray(made / LEVELS, np.float32)


def _outline_between(first: NDArray[np.bool_], second: NDArray[np.bool_], share: float) -> Pixels:
    """Coverage (H, W) of the shape between two regions."""
    here, there = _signed_distance(first), _signed_distance(second)
    if here is None and there is None:
        return first.astype(np.float32) * (1 - share) + second.astype(np.float32) * share  # empty or full, both
    if here is None or there is None:
        known, region, part = (there, first, share) if here is None else (here, second, 1 - share)
        assert known is not None
        # Nothing lies as deep as the shape's deepest point below its outline; everything as far above it.
        reach = known.max() if not region.any() else known.min()
        return np.asarray((known - (1 - part) * reach + 0.5).clip(0, 1), np.float32)
    way = _centre(second) - _centre(first)
    mixed = (1 - share) * _moved(here, way * share) + share * _moved(there, -way * (1 - share))
    return np.asarray((mixed + 0.5).clip(0, 1), np.float32)


def _signed_distance(region: NDArray[np.bool_]) -> Pixels | None:
    """Pixels to the outline (H, W), above 0 inside; None where there is no outline."""
    if region.all() or not region.any():
        return None
    return np.asarray(np.where(region, distance(region) - 0.5, 0.5 - distance(~region)), np.float32)


def _centre(region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean column and row of a region."""
    rows, columns = np.nonzero(region)
    return np.array([columns.mean(), rows.mean()])


def _moved(picture: Pixels, way: NDArray[np.float64]) -> Pixels:
    """The picture (H, W) moved by `way` (x, y) in pixels, its border carried on."""
    matrix = np.array([[1, 0, way[0]], [0, 1, way[1]]], np.float64)
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(
        cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _layers_between(first: Pixels, second: Pixels, share: float, between: str) -> Pixels:
    if between == "dissolve":
        return np.asarray((1 - share) * first + share * second, np.float32)
    return np.stack([between_shapes(one, other, share) for one, other in zip(first, second, strict=True)])


def _needs(shot: Shot, which: int, number: int) -> list[int]:
    first, second, share = neighbours(shot.parameters["keys"], number)
    if share == 0 or shot.parameters["between"] == "hold":
        return [first[1]]
    return [first[1], second[1]]


def _compute(job: Job) -> Result:
    keys, between = job.parameter("keys"), job.parameter("between")
    made = []
    for number in job.numbers:
        frames = job.around(0, number)
        pixels = frames[0].pixels
        if len(frames) > 1:
            share = neighbours(keys, number)[2]
            pixels = _layers_between(pixels, frames[1].pixels, share, between)
        made.append(replace(frames[0], pixels=pixels, number=number))
    return Result(made)


def _declare(parameters: Mapping[str, Json]) -> Declaration:
    return Declaration(needs=_needs)


def _place(parameters: Mapping[str, Json], number: int) -> Json:
    """How far between its keys a frame lies: part of its stamp, since frames between the same keys differ in it."""
    return 0.0 if parameters["between"] == "hold" else neighbours(parameters["keys"], number)[2]


register(Verb("keyframes", _compute, declare=_declare, source=_place))
