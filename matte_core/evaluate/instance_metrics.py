"""How far the mattes of several instances are from the true ones: as MaGGIe prints it, and in the usual units.

Alphas are (T, K, H, W) in 0..1 over the frames of a clip and its instances, a picture being a clip of one frame.
Every number is a mean over the maps of instances and frames that the truth has. The published units are those of the
authors' evaluation, which differ from what their names say elsewhere; a table says which it prints.
Source: MaGGIe, CVPR 2024, section 4, and its published evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.evaluate import metrics

Alphas = NDArray[np.float32]
Map = NDArray[np.float32]
Units = Literal["published", "usual"]
_BAND = 25  # pixels across the ellipse that makes the unknown around the true alpha
_PUBLISHED_MEAN, _PUBLISHED_STEADY, _PUBLISHED_MOVED = 1e10, 0.1, 1e4
_TOGETHER = 3  # pairs of frames at a clip's end that the published evaluation takes as one
_FLOW = (0.5, 5, 10, 2, 7, 1.5, cv2.OPTFLOW_FARNEBACK_GAUSSIAN)


def picture_scores(found: Alphas, truth: Alphas, units: Units) -> dict[str, float]:
    """MAD, MSE, SAD, Grad, Conn, MADf, MADu of every map, their means by name; NaN where no map has such pixels.

    "usual": means of the error x 1000, sums / 1000. "published": the means carry 10^10 / (H W) instead, so they depend
    on the size of the pictures; the gradient is that of both alphas stretched to 0..1, black around them.
    """
    published = units == "published"
    scale = _PUBLISHED_MEAN / (truth.shape[2] * truth.shape[3]) if published else 1000.0
    stretched = [_stretched(each) for each in (found, truth)] if published else [found, truth]
    beyond = cv2.BORDER_CONSTANT if published else cv2.BORDER_REPLICATE
    every: dict[str, list[float]] = {}
    for place in np.ndindex(*truth.shape[:2]):
        if not truth[place].any():
            continue
        one, other = found[place], truth[place]
        whole = np.ones(other.shape, np.bool_)
        unknown = _unknown(other)
        error = np.abs(one - other)
        measured = {
            "MAD": scale * float(error.mean()),
            "MSE": scale * float(np.square(error).mean()),
            "SAD": metrics.sad(one, other, whole),
            "Grad": metrics.gradient(stretched[0][place], stretched[1][place], whole, beyond),
            "Conn": metrics.connectivity(one, other, whole),
            "MADf": scale * _mean(error, ~unknown & (other > 0.5)),
            "MADu": scale * _mean(error, unknown),
        }
        for name, value in measured.items():
            every.setdefault(name, []).append(value)
    return {
        name: float(np.nanmean(values)) if not np.isnan(values).all() else math.nan for name, values in every.items()
    }


def clip_scores(found: Alphas, truth: Alphas, units: Units) -> dict[str, float]:
    """dtSSD and MESSDdt of a clip's instances, their means by name.

    "usual": dtSSD is the root of the mean squared difference between both alphas' changes from frame to frame, x 1000;
    MESSDdt follows the motion of the true alpha. "published": a tenth of the root of the sum, the last three pairs of
    frames taken as one; MESSDdt with rows and columns changed over when it follows the motion, as the published
    evaluation does.
    """
    steady, moved = (_published_steadiness, _published_moved) if units == "published" else (_steadiness, _moved)
    there = [k for k in range(truth.shape[1]) if truth[:, k].any()]
    measures: Mapping[str, Callable[[Map, Map], float]] = {"dtSSD": steady, "MESSDdt": moved}
    return {
        name: float(np.mean([measure(found[:, k], truth[:, k]) for k in there])) for name, measure in measures.items()
    }


def _steadiness(found: Map, truth: Map) -> float:
    return 1000 * math.sqrt(float(np.square(np.diff(found - truth, axis=0)).mean()))


def _published_steadiness(found: Map, truth: Map) -> float:
    squared = np.square(np.diff(found.astype(np.float64) - truth, axis=0)).sum((1, 2))
    calls = [*squared[:-_TOGETHER], squared[-_TOGETHER:].sum()]
    return float(np.mean([_PUBLISHED_STEADY * math.sqrt(each) for each in calls]))


def _moved(found: Map, truth: Map) -> float:
    whole = np.ones(truth.shape[1:], np.bool_)
    pairs = zip(found[:-1], found[1:], truth[:-1], truth[1:], strict=True)
    return float(np.mean([metrics.mess_ddt(*pair, whole, _flow(pair[2], pair[3])) for pair in pairs]))


def _published_moved(found: Map, truth: Map) -> float:
    squared, total = np.square(found.astype(np.float64) - truth), 0.0
    height, width = truth.shape[1:]
    rows, columns = np.indices((height, width))
    for place in range(len(truth) - 1):
        flow = np.rint(_flow(truth[place], truth[place + 1])).astype(np.int64)
        x, y = np.clip(columns + flow[..., 0], 0, height - 1), np.clip(rows + flow[..., 1], 0, width - 1)
        total += float(np.abs(squared[place] - squared[place + 1].ravel()[x * width + y]).sum())
    return float(_PUBLISHED_MOVED * total / ((len(truth) - 1) * (height * width + 1)))


def _flow(before: Map, after: Map) -> Map:
    pair = [np.asarray(np.rint(each * 255), np.uint8) for each in (before, after)]
    return np.asarray(cv2.calcOpticalFlowFarneback(pair[0], pair[1], np.zeros((*before.shape, 2)), *_FLOW), np.float32)


def _unknown(truth: Map) -> NDArray[np.bool_]:
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_BAND, _BAND))
    return np.asarray(cv2.dilate(truth, ellipse) - cv2.erode(truth, ellipse) > 0)


def _stretched(alphas: Alphas) -> Alphas:
    low, high = float(alphas.min()), float(alphas.max())
    return (alphas - np.float32(low)) / np.float32(max(high - low, 1e-6))


def _mean(error: Map, region: NDArray[np.bool_]) -> float:
    return float(error[region].mean()) if region.any() else math.nan
