"""What changes from frame to frame: cuts, changed pixels, and the fusion of mattes that did not change.

Plain arithmetic on pictures: nothing here holds a shot. Pictures are encoded as a display shows them, 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from matte_core.flow import agreement, ends, motion, reduced, sampled
from matte_core.frame import FrameRange, Pixels
from matte_core.late import late

cv2 = late("cv2")

LOOKED_AT = 384  # pixels along the long side in which a cut is looked for
FOLLOWED = 0.25  # share of pixels that optical flow must be able to follow; across a cut it is near 0
SAME = 0.04  # difference up to which a pixel that was followed is the same; grain and codecs stay below
ALIKE = 0.9  # correlation of the whole picture, shifted as it may be, from which it is the same take all the same
THUMBNAIL = 64  # pixels along the long side in which pictures are correlated: grain is averaged away
CHANGED = 4.0  # times the noise from which a pixel has changed
EVEN = 0.25  # difference from which two even pictures are two takes
LEAST_NOISE = 0.5 / 255  # rounding to 8 bits


def is_cut(before: Pixels, after: Pixels) -> bool:
    """Whether a new take begins between two pictures (H, W) of one size.

    It does where optical flow can follow next to nothing (it comes back to where it began, at the same brightness),
    and no shift makes the pictures alike: a pan keeps its motion, a flash or a fade its shapes. Measured on pictures
    of at most 384 pixels. Two even pictures are a cut where they differ by more than a quarter.
    """
    one, other = (reduced(np.ascontiguousarray(picture, np.float32), LOOKED_AT) for picture in (before, after))
    if max(float(one.std()), float(other.std())) < LEAST_NOISE:
        return abs(float(one.mean()) - float(other.mean())) > EVEN
    ahead = motion(one, other)
    same = np.abs(sampled(other, ends(ahead)) - one) <= SAME
    if float((agreement(ahead, motion(other, one)) * same).mean()) >= FOLLOWED:
        return False
    return _likeness(one, other) < ALIKE


def _likeness(before: Pixels, after: Pixels) -> float:
    """Highest correlation, -1..1, of the middle of one picture with any place of the other."""
    one, other = (reduced(picture, THUMBNAIL) for picture in (before, after))
    found = [-1.0]
    for whole, part in ((one, other), (other, one)):
        rows, columns = part.shape[0] // 4, part.shape[1] // 4
        middle = np.ascontiguousarray(part[rows : part.shape[0] - rows, columns : part.shape[1] - columns])
        if middle.std() > LEAST_NOISE:
            found.append(float(np.nan_to_num(cv2.matchTemplate(whole, middle, cv2.TM_CCOEFF_NORMED)).max()))
    return max(found)


def unbroken(frames: FrameRange, number: int, before: int, after: int, step: int) -> list[int]:
    """Numbers from `before` frames before `number` to `after` after it; ends where the shot does or frames are missing.

    Frames are missing where two numbers lie further apart than `step`.
    """
    place = frames.position(number)
    first = last = place
    while first > max(place - before, 0) and frames[first] - frames[first - 1] <= step:
        first -= 1
    while last < min(place + after, len(frames) - 1) and frames[last + 1] - frames[last] <= step:
        last += 1
    return list(frames[first : last + 1])


def step_of(frames: FrameRange) -> int:
    """The smallest distance of two frame numbers of the shot; 1 for a single frame."""
    return min((after - before for before, after in pairwise(frames)), default=1)


def change_map(before: Pixels, after: Pixels) -> Pixels:
    """1 (H, W) where the picture (C, H, W) has changed from one frame to the next, by more than its noise; else 0.

    The measured stand-in for the change map that MaGGIe's network predicts: 3 x 3 pixels over all channels, against
    four times the noise, which is the lesser of two estimates: that of the quieter fifth of the changes, and that of
    what is uneven within a frame. Grown by one pixel.
    """
    change = (after - before).astype(np.float32)
    size = np.sqrt(cv2.blur(np.mean(change * change, axis=0), (3, 3)))
    over_time = float(np.quantile(size, 0.2)) / np.sqrt(2)
    uneven = [np.abs(cv2.Laplacian(channel, cv2.CV_32F)) for channel in before.astype(np.float32)]
    within = float(np.median(uneven)) / 0.6745 / np.sqrt(20)  # the kernel's weights squared add up to 20
    noise = max(min(over_time, within), LEAST_NOISE)
    changed = (size > CHANGED * np.sqrt(2) * noise).astype(np.uint8)
    return np.asarray(cv2.dilate(changed, np.ones((3, 3), np.uint8)), np.float32)


def fused(
    previous: Pixels, present: Pixels, following: Pixels, forward: Pixels, backward: Pixels, tolerance: float = 0.0
) -> Pixels:
    """Alpha (K, H, W) of the present frame, taken from its neighbours where nothing has changed.

    `forward` (H, W) says what changed since the frame before (1 = changed), `backward` what changes up to the
    frame after. Where what is carried forward and what is carried backward agree within `tolerance`, that is the
    answer; where they do not, the frame's own alpha. `previous` is the fused alpha of the frame before.
    Source: Huynh et al. 2024, MaGGIe, supplement, equations 12 to 14; theirs is a tolerance of 0.
    """
    ahead = previous * (1 - forward) + present * forward
    behind = following * (1 - backward) + present * backward
    return np.asarray(np.where(np.abs(ahead - behind) <= tolerance, ahead, present), np.float32)


def fused_clip(
    alphas: Sequence[Pixels], forward: Sequence[Pixels], backward: Sequence[Pixels], tolerance: float = 0.0
) -> list[Pixels]:
    """Fused alphas (K, H, W) of a clip without a cut, one for each of `alphas`; see `fused`.

    `forward[t]` and `backward[t]` (H, W) belong to frame t: changes from t - 1 to t, and from t to t + 1; the first
    forward and the last backward map are not used. The first frame is its own alpha, the last is carried forward.
    """
    made = list(alphas[:1])
    for place in range(1, len(alphas) - 1):
        own = (made[-1], alphas[place], alphas[place + 1], forward[place], backward[place])
        made.append(fused(*own, tolerance))
    if len(alphas) > 1:
        made.append(np.asarray(made[-1] * (1 - forward[-1]) + alphas[-1] * forward[-1], np.float32))
    return made
