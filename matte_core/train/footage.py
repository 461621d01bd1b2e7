"""Real footage to adapt to: frames with rough segmentations, no true alpha.

The layout is that of photographs with mattes (`cutouts`): image/ and mask/, and bg/ with new backgrounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from matte_core.colour import to_display
from matte_core.errors import UsageError
from matte_core.train.cutouts import Cutout, Cutouts, load_background, load_pair
from matte_core.train.procedural.fields import Map, Random, as_map
from matte_core.train.procedural.trimaps import BACKGROUND, FOREGROUND, UNKNOWN, Trimap
from matte_core.train.segmentations import eroded_mask, regions

_CLOSEST = 0.5  # the smallest part of a frame that is learned from, of its shorter side


@dataclass(frozen=True)
class Rough:
    """How sure a segmentation is taken to be, in pixels; the published numbers.

    foreground, background  how far it is eroded on each side for the trimap that Net-T should answer with
    mask, blur              how far that trimap's subject is eroded, and blurred, for the mask that Net-T is given
    """

    foreground: float = 15.0
    background: float = 50.0
    mask: float = 20.0
    blur: float = 5.0


@dataclass(frozen=True)
class Take:
    """One example, S pixels a side: `pixels` and `behind` (S, S, 3) display-referred, the `mask` that is given (S, S)
    in 0..1, and the `regions` (S, S) that are taken to be true."""

    pixels: Map
    behind: Map
    mask: Map
    regions: Trimap


class Footage:
    """Takes from frames with segmentations. Raises UsageError where there are no frames or no backgrounds."""

    def __init__(self, cutouts: Cutouts, rough: Rough, size: int) -> None:
        frames = [cutout for cutout in cutouts.foregrounds if cutout.whole]
        if not frames or not cutouts.backgrounds:
            missing = "frames (image/ and mask/)" if not frames else "new backgrounds (bg/)"
            raise UsageError(
                f"the data holds no {missing}. Adaption needs both: give a folder that has them with --data."
            )
        self._frames: Sequence[Cutout] = frames
        self._backgrounds, self._rough, self._size = cutouts.backgrounds, rough, size

    def __len__(self) -> int:
        return len(self._frames)

    def take(self, random: Random, place: int | None = None) -> Take:
        """A random part of a frame before a random background; of frame `place` where one is named."""
        chosen = int(random.integers(0, len(self._frames))) if place is None else place
        light, mask = load_pair(self._frames[chosen])
        both = _square(random, np.concatenate([light, mask[..., None]], 2), self._size)
        subject = as_map(both[..., 3] > 0.5)
        front = regions(subject, self._rough.foreground) == FOREGROUND
        back = regions(subject, self._rough.background) == BACKGROUND
        sure = np.where(front, FOREGROUND, np.where(back, BACKGROUND, UNKNOWN)).astype(np.uint8)
        background = load_background(self._backgrounds[int(random.integers(0, len(self._backgrounds)))])
        return Take(
            to_display(np.ascontiguousarray(both[..., :3])),
            to_display(_square(random, background, self._size)),
            eroded_mask(as_map(sure != BACKGROUND), self._rough.mask, self._rough.blur),
            sure,
        )


def _square(random: Random, picture: Map, size: int) -> Map:
    """A random square of `picture` (H, W, C) at `size` pixels a side, mirrored half of the time."""
    shorter = min(picture.shape[:2])
    side = max(1, int(shorter * random.uniform(_CLOSEST, 1)))
    top, left = (int(random.integers(0, length - side + 1)) for length in picture.shape[:2])
    part = picture[top : top + side, left : left + side]
    part = part[:, ::-1] if random.random() < 0.5 else part
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return as_map(cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=method))
