"""The published augmentations of a foreground with its alpha, in linear light.

Source: arXiv 2103.17020, supplement, after Li and Lu, "Natural Image Matting via Guided Contextual Attention", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.colour import srgb_decode, srgb_encode
from matte_core.train.cutouts import Layer
from matte_core.train.procedural.fields import Map, Random, as_map
from matte_core.train.procedural.trimaps import BACKGROUND, FOREGROUND, UNKNOWN, Trimap

_METHODS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4, cv2.INTER_AREA)
_FAINT = 1 / 255  # coverage below this, or this close to 1, counts as none, as full
WHOLE = 1.25  # how much larger than the crop a picture that is shown whole becomes: 640 for 512


@dataclass(frozen=True)
class Augmentation:
    """How far crops of foregrounds are varied; the defaults are the published ones.

    merge       how often a second foreground is laid over the first
    whole       how often the picture is shown whole, scaled to 1.25 crops a side
    rotation    most degrees it is turned by, where its longer side has `rotated` pixels at least
    scale       least and most that each axis is scaled by; `shear`: most degrees; `flip`: how often mirrored
    hue         most degrees that hues are shifted by; `jitter`: how often colours are shifted at all
    erosion     least and most pixels that foreground and background are eroded by for the trimap;
                without any (0, 0) trimaps are made as a hand draws them
    """

    merge: float = 0.5
    whole: float = 0.25
    rotation: float = 30.0
    rotated: int = 1024
    scale: tuple[float, float] = (0.8, 1.25)
    shear: float = 10.0
    flip: float = 0.5
    hue: float = 40.0
    jitter: float = 1.0
    erosion: tuple[int, int] = (1, 29)


def merged(front: Layer, back: Layer) -> Layer:
    """`front` over `back`, which is scaled to its size: alpha 1 - (1-a)(1-b), colour as light adds up."""
    height, width = front.alpha.shape
    colour, alpha = (resized(values, (height, width), cv2.INTER_LINEAR) for values in back)
    under = (1 - front.alpha) * np.clip(alpha, 0, 1)
    total = front.alpha + under
    light = front.colour * front.alpha[..., None] + colour * under[..., None]
    mixed = light / np.maximum(total, 1e-6)[..., None]
    return Layer(as_map(np.where(total[..., None] > 1e-3, mixed, front.colour)), as_map(np.minimum(total, 1)))


def turned(random: Random, layer: Layer, settings: Augmentation) -> Layer:
    """The layer turned, scaled, sheared and mirrored about its middle; outside of it alpha is 0."""
    height, width = layer.alpha.shape
    large = max(height, width) >= settings.rotated
    angle = np.deg2rad(random.uniform(-settings.rotation, settings.rotation)) if large else 0.0
    across, down = random.uniform(*settings.scale, 2)
    shear = np.tan(np.deg2rad(random.uniform(-settings.shear, settings.shear)))
    mirror = -1.0 if random.random() < settings.flip else 1.0
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[mirror * across, shear * down], [0, down]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    placed = np.concatenate([matrix, (middle - matrix @ middle)[:, None]], 1)
    method = pick_method(random, warps=True)
    alpha = cv2.warpAffine(layer.alpha, placed, (width, height), flags=method, borderMode=cv2.BORDER_CONSTANT)
    colour = cv2.warpAffine(layer.colour, placed, (width, height), flags=method, borderMode=cv2.BORDER_REFLECT)
    return Layer(as_map(np.maximum(colour, 0)), as_map(np.clip(alpha, 0, 1)))


def jittered(random: Random, layer: Layer, hue: float) -> Layer:
    """The layer with its hue, saturation and value shifted in display light; highlights above 1 keep their height.

    Saturation and value move by up to a tenth of what the subject's mean has left, and are reflected at 1.
    """
    height = np.maximum(layer.colour.max(2, keepdims=True), 1)
    shown = cv2.cvtColor(srgb_encode(as_map(layer.colour / height)), cv2.COLOR_RGB2HSV)
    seen = layer.alpha > 0
    shown[..., 0] = (shown[..., 0] + random.uniform(-hue, hue)) % 360
    for channel in (1, 2):
        mean = float(shown[..., channel][seen].mean()) if seen.any() else 0.5
        shift = (1.1 - mean) / 10 * random.uniform(-1, 1)
        moved = np.abs(shown[..., channel] + np.float32(shift))
        shown[..., channel] = np.where(moved > 1, 2 - moved, moved)
    light = srgb_decode(np.clip(cv2.cvtColor(shown, cv2.COLOR_HSV2RGB), 0, 1)) * height
    return Layer(as_map(light), layer.alpha)


def eroded_trimap(random: Random, alpha: Map, erosion: tuple[int, int]) -> Trimap:
    """(H, W) of BACKGROUND, UNKNOWN, FOREGROUND: full and no coverage, each eroded by an ellipse of its own size."""
    front, back = ((alpha >= 1 - _FAINT), (alpha <= _FAINT))
    sides = [int(random.integers(erosion[0], erosion[1] + 1)) for _ in range(2)]
    known = [_eroded(region, side) for region, side in zip((front, back), sides, strict=True)]
    return np.where(known[0], FOREGROUND, np.where(known[1], BACKGROUND, UNKNOWN)).astype(np.uint8)


def around_unknown(random: Random, alpha: Map, size: int) -> tuple[int, int]:
    """Row and column of a crop's first pixel, so that a fractional pixel of `alpha` (H, W) stands in its middle.

    Anywhere where there is none; the crop lies inside where the picture is large enough.
    """
    height, width = alpha.shape
    rows, columns = np.nonzero((alpha > _FAINT) & (alpha < 1 - _FAINT))
    if len(rows):
        chosen = int(random.integers(0, len(rows)))
        top, left = int(rows[chosen]) - size // 2, int(columns[chosen]) - size // 2
    else:
        top, left = (int(random.integers(0, max(side - size, 0) + 1)) for side in (height, width))
    return max(0, min(top, height - size)), max(0, min(left, width - size))


def pick_method(random: Random, warps: bool = False) -> int:
    """A random way to interpolate, as OpenCV numbers them; `warps`: one that can turn a picture."""
    return int(random.choice(_METHODS[:-1] if warps else _METHODS))


def resized(values: Map, size: tuple[int, int], method: int) -> Map:
    """`values` (H, W[, C]) at `size` (H, W), not below 0."""
    return as_map(np.maximum(cv2.resize(values, size[::-1], interpolation=method), 0))


def _eroded(region: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.erode(region.astype(np.uint8), kernel) > 0)
