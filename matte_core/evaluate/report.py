"""Measures of a sequence against its truth, one frame at a time: per frame, and their mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from matte_core.errors import UsageError
from matte_core.evaluate import metrics
from matte_core.evaluate.metrics import Alpha, Region

UNITS: Mapping[str, str] = {
    "SAD": "sum / 1000",
    "MSE": "mean x 1000",
    "MAD": "mean x 1000 (mSAD of papers on video)",
    "Grad": "sum / 1000",
    "Conn": "sum / 1000",
    "SSDA": "root of the sum of squares, per frame",
    "dtSSD": "root of the sum of squares, from the frame before",
    "MESSDdt": "mean x 1000, from the frame before, along the motion",
}


@dataclass(frozen=True)
class Sample:
    """One frame to measure: alphas (H, W) in 0..1, and which pixels count (None = all).

    `flow` (H, W, 2) is the motion in pixels (x, y) from this frame to the next, where it is known.
    `starts` marks the first frame of a sequence: nothing is measured across it.
    """

    name: str
    prediction: Alpha
    truth: Alpha
    unknown: Region | None = None
    flow: Alpha | None = None
    starts: bool = False

    @property
    def region(self) -> Region:
        """The pixels that count (H, W)."""
        return np.ones(self.truth.shape, np.bool_) if self.unknown is None else self.unknown


@dataclass(frozen=True)
class Report:
    """Measures by frame name, and the mean over the frames that have them; units are in `UNITS`."""

    frames: Mapping[str, Mapping[str, float]]
    mean: Mapping[str, float]


def evaluate(samples: Iterable[Sample], sequence: bool = False) -> Report:
    """SAD, MSE, MAD, Grad and Conn of every sample; with `sequence`, SSDA, dtSSD and MESSDdt too.

    Holds two samples at a time. Measures that a frame cannot have (no unknown pixel, no frame before, no flow)
    are left out of it and of the mean. Raises UsageError where sizes differ, a name comes twice, or a value is
    not a number.
    """
    frames: dict[str, dict[str, float]] = {}
    before: Sample | None = None
    for sample in samples:
        _check(sample)
        if sample.name in frames:
            raise UsageError(f"{sample.name} comes twice. Give every frame a name of its own.")
        found = _still(sample)
        if sequence:
            found |= _moving(None if sample.starts else before, sample)
            before = sample
        frames[sample.name] = {name: value for name, value in found.items() if not math.isnan(value)}
    names = [name for name in UNITS if any(name in found for found in frames.values())]
    return Report(frames, {name: _mean([found[name] for found in frames.values() if name in found]) for name in names})


def _still(sample: Sample) -> dict[str, float]:
    given = sample.prediction, sample.truth, sample.region
    return {
        "SAD": metrics.sad(*given),
        "MSE": metrics.mse(*given),
        "MAD": metrics.mad(*given),
        "Grad": metrics.gradient(*given),
        "Conn": metrics.connectivity(*given),
    }


def _moving(before: Sample | None, sample: Sample) -> dict[str, float]:
    found = {"SSDA": metrics.ssda(sample.prediction, sample.truth, sample.region)}
    if before is None:
        return found
    if before.truth.shape != sample.truth.shape:
        raise UsageError(f"{sample.name} has another size than {before.name}. Measure sequences of one size.")
    pair = before.prediction, sample.prediction, before.truth, sample.truth, before.region
    found["dtSSD"] = metrics.dt_ssd(*pair)
    if before.flow is not None:
        found["MESSDdt"] = metrics.mess_ddt(*pair, before.flow)
    return found


def _check(sample: Sample) -> None:
    height, width = sample.truth.shape
    for what, values in (("matte", sample.prediction), ("trimap", sample.region)):
        if values.shape != (height, width):
            size = "x".join(map(str, reversed(values.shape)))
            raise UsageError(f"the {what} of {sample.name} is {size}, its truth {width}x{height}. Give one size.")
    if not (np.isfinite(sample.prediction).all() and np.isfinite(sample.truth).all()):
        raise UsageError(f"{sample.name} holds values that are not numbers. Render it again.")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
