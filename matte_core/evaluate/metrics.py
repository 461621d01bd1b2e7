"""How far an alpha is from the true one: the measures that papers and benchmarks print, in the units they print.

Every function takes alphas (H, W) in 0..1 and `unknown` (H, W) bool, the pixels that count. Sources: Rhemann et
al., "A Perceptually Motivated Online Benchmark for Image Matting", 2009 (gradient, connectivity), with the
constants of the Composition-1k evaluation; Erofeev et al., "Perceptually Motivated Benchmark for Video Matting",
2015 (the measures over time).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.floating]
Region = NDArray[np.bool_]

_SIGMA = 1.4  # of the Gaussian whose derivatives measure the gradient
_CUT = 1e-2  # the Gaussian is cut where it falls below this
_STEPS = 10  # levels of alpha at which connectedness is looked at
_TOLERATED = 0.15  # distance to the connected part that does not count


def sad(prediction: Alpha, truth: Alpha, unknown: Region) -> float:
    """Sum of absolute differences, in thousands of pixels."""
    return float(np.abs(_difference(prediction, truth)[unknown]).sum()) / 1000


def mse(prediction: Alpha, truth: Alpha, unknown: Region) -> float:
    """Mean squared difference x 1000; NaN without unknown pixels."""
    return _mean(np.square(_difference(prediction, truth)), unknown)


def mad(prediction: Alpha, truth: Alpha, unknown: Region) -> float:
    """Mean absolute difference x 1000; NaN without unknown pixels."""
    return _mean(np.abs(_difference(prediction, truth)), unknown)


def gradient(prediction: Alpha, truth: Alpha, unknown: Region, beyond: int = cv2.BORDER_REPLICATE) -> float:
    """Sum of squared differences between the slopes of both alphas / 1000.

    The slope is the length of the Gaussian derivative (sigma 1.4, cut at 1e-2, kernels of norm 1), the border repeated
    or what OpenCV's `beyond` says.
    """
    return float(np.square(_slope(prediction, beyond) - _slope(truth, beyond))[unknown].sum()) / 1000


def connectivity(prediction: Alpha, truth: Alpha, unknown: Region) -> float:
    """Sum of differences in how far pixels rise above what is connected / 1000.

    At levels 0.1 to 1 the connected part is the largest 4-connected region where both alphas reach the level; a
    pixel's distance is its alpha above the last level at which it belonged to it; up to 0.15 is tolerated.
    """
    first, second = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    connected = np.full(first.shape, -1.0)
    for step in range(1, _STEPS + 1):
        level = step / _STEPS
        lost = (connected == -1) & ~_largest((first >= level) & (second >= level))
        connected[lost] = (step - 1) / _STEPS
    connected[connected == -1] = 1
    return float(np.abs(_belonging(first, connected) - _belonging(second, connected))[unknown].sum()) / 1000


def ssda(prediction: Alpha, truth: Alpha, unknown: Region) -> float:
    """Root of the sum of squared differences of one frame."""
    return math.sqrt(float(np.square(_difference(prediction, truth))[unknown].sum()))


def dt_ssd(before: Alpha, after: Alpha, truth_before: Alpha, truth_after: Alpha, unknown_before: Region) -> float:
    """dtSSD: root of the sum of squared differences between both alphas' changes from one frame to the next."""
    change = _difference(after, truth_after) - _difference(before, truth_before)
    return math.sqrt(float(np.square(change)[unknown_before].sum()))


def mess_ddt(
    before: Alpha,
    after: Alpha,
    truth_before: Alpha,
    truth_after: Alpha,
    unknown_before: Region,
    flow: NDArray[np.floating],
) -> float:
    """MESSDdt: mean change of the squared difference along the motion x 1000; NaN without pixels that count.

    `flow` (H, W, 2) holds, for every pixel of the frame before, the pixels (x, y) by which it has moved in the
    frame after. Pixels that leave the picture do not count. The error after is interpolated bilinearly.
    """
    error = np.square(_difference(before, truth_before))
    later = np.square(_difference(after, truth_after))
    rows, columns = np.indices(error.shape)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    stays = (x >= 0) & (x <= error.shape[1] - 1) & (y >= 0) & (y <= error.shape[0] - 1)
    return _mean(np.abs(error - _sampled(later, np.where(stays, x, 0), np.where(stays, y, 0))), unknown_before & stays)


def _difference(prediction: Alpha, truth: Alpha) -> NDArray[np.float64]:
    return np.asarray(prediction, np.float64) - np.asarray(truth, np.float64)


def _mean(values: NDArray[np.float64], region: Region) -> float:
    return 1000 * float(values[region].mean()) if region.any() else math.nan


def _slope(alpha: Alpha, beyond: int) -> NDArray[np.float64]:
    half = math.ceil(_SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * _SIGMA * _CUT)))
    x = np.arange(-half, half + 1, dtype=np.float64)
    bell = np.exp(-(x * x) / (2 * _SIGMA**2))
    ramp = x * bell
    bell, ramp = bell / np.linalg.norm(bell), ramp / np.linalg.norm(ramp)
    picture = np.asarray(alpha, np.float64)
    across = cv2.sepFilter2D(picture, cv2.CV_64F, ramp, bell, borderType=beyond)
    down = cv2.sepFilter2D(picture, cv2.CV_64F, bell, ramp, borderType=beyond)
    return np.asarray(np.hypot(across, down), np.float64)


def _largest(region: Region) -> Region:
    """The largest 4-connected part of `region`; nothing where it is empty (the rest of the picture is no part)."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros_like(region)
    return np.asarray(labels == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA])))


def _belonging(alpha: NDArray[np.float64], connected: NDArray[np.float64]) -> NDArray[np.float64]:
    distance = alpha - connected
    return 1 - distance * (distance >= _TOLERATED)


def _sampled(picture: NDArray[np.float64], x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Values of `picture` at the places (x, y), which lie inside it, bilinearly."""
    left = np.minimum(np.floor(x).astype(np.int64), max(picture.shape[1] - 2, 0))
    top = np.minimum(np.floor(y).astype(np.int64), max(picture.shape[0] - 2, 0))
    right, bottom = np.minimum(left + 1, picture.shape[1] - 1), np.minimum(top + 1, picture.shape[0] - 1)
    across, down = x - left, y - top
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float64)
