"""Optical flow: where every pixel of one picture is in another, and what can be done with such a motion.

A motion is (H, W, 2) float32, x and y in pixels: what is at (x, y) is at (x, y) + motion[y, x] in the other
picture. Pictures are (H, W) float32 in 0..1, encoded as a display shows them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from matte_core.frame import Pixels
from matte_core.late import late

cv2 = late("cv2")

SMALLEST = 16  # pixels across; the flow's patches need so many
SLACK, SLOPE = 0.5, 0.05  # pixels, and share of the way, by which there and back may miss where it began


def channels_last(pixels: Pixels) -> Pixels:
    """Pixels (C, H, W) with their channels last, as everything here takes them."""
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


def motion(before: Pixels, after: Pixels, fine: bool = False) -> Pixels:
    """Motion (H, W, 2) from one picture to the other; 0 everywhere where they are too small for it. `fine` looks at
    single pixels, else at every second.

    Source: Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search, as OpenCV has it. Patches do not take
    their neighbours' guesses over: stripes of a picture go to threads, and the answer must not depend on how many.
    """
    still = np.zeros((*before.shape, 2), np.float32)
    if min(before.shape) < SMALLEST:
        return still
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setUseSpatialPropagation(False)
    if fine:
        search.setFinestScale(0)
    pair = [np.asarray(np.rint(np.clip(picture, 0, 1) * 255), np.uint8) for picture in (before, after)]
    return np.asarray(search.calc(*pair, still), np.float32)


def ends(moved: Pixels, left: int = 0, top: int = 0) -> Pixels:
    """Where (H, W, 2) the pixels of a motion end, x and y; its first pixel stands at `left`, `top`."""
    rows, columns = np.indices(moved.shape[:2], np.float32)
    return np.asarray(moved + np.stack([columns + left, rows + top], axis=-1), np.float32)


def sampled(picture: Pixels, places: Pixels, cubic: bool = False) -> Pixels:
    """Values of the picture (H, W) or (H, W, C) at the places (h, w, 2), its border carried on.

    Between pixels they are bilinear; `cubic` keeps thin lines and may overshoot.
    """
    how = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    x, y = (np.ascontiguousarray(places[..., i]) for i in (0, 1))
    return _by_fours(picture, lambda four: cv2.remap(four, x, y, how, borderMode=cv2.BORDER_REPLICATE))


def _by_fours(picture: Pixels, function: Callable[[Pixels], Pixels]) -> Pixels:
    """`function` of the picture (H, W) or (H, W, C), four channels at a time: OpenCV takes no more at once."""
    if picture.ndim == 2:
        return np.asarray(function(picture), np.float32)
    fours = [np.ascontiguousarray(picture[..., first : first + 4]) for first in range(0, picture.shape[2], 4)]
    made = [function(four) for four in fours]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in made], axis=-1).astype(np.float32)


def chained(first: Pixels, second: Pixels) -> Pixels:
    """The motion of `first` and then of `second`, which goes on where `first` ends."""
    return first + sampled(second, ends(first))


def agreement(there: Pixels, back: Pixels) -> Pixels:
    """How well (H, W), 0..1, the way there and back ends where it began; 0 where it leaves the picture.

    1 up to the slack, 0 at three times as much. Source: Sundaram et al. 2010, Dense Point Trajectories by
    GPU-accelerated Large Displacement Optical Flow, equation 5, with a soft end.
    """
    miss = np.linalg.norm(chained(there, back), axis=-1)
    allowed = SLACK + SLOPE * np.linalg.norm(there, axis=-1)
    return np.asarray(((3 - miss / allowed) / 2).clip(0, 1) * inside(there), np.float32)


def inside(moved: Pixels) -> Pixels:
    """1 (H, W) where a motion ends inside the picture, else 0."""
    height, width = moved.shape[:2]
    x, y = np.moveaxis(ends(moved), -1, 0)
    return np.asarray((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1), np.float32)


def reduced(picture: Pixels, most: int) -> Pixels:
    """The picture (H, W) or (H, W, C) averaged down by a whole factor, to at most `most` pixels along its long side."""
    height, width = picture.shape[:2]
    wide, high = reduced_size(width, height, most)
    if (wide, high) == (width, height):
        return picture
    return _by_fours(picture, lambda four: cv2.resize(four, (wide, high), interpolation=cv2.INTER_AREA))


def reduced_size(width: int, height: int, most: int) -> tuple[int, int]:
    """Width and height that `reduced` gives."""
    factor = -(-max(width, height) // most)
    return -(-width // factor), -(-height // factor)


def enlarged(picture: Pixels, width: int, height: int) -> Pixels:
    """The picture (H, W) or (H, W, C) over `width` x `height` pixels, bilinear."""
    if picture.shape[:2] == (height, width):
        return picture
    return _by_fours(picture, lambda four: cv2.resize(four, (width, height), interpolation=cv2.INTER_LINEAR))
