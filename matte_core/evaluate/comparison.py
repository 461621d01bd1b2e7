"""Methods beside each other: errors of every answer, their means, differences to a reference, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from matte_core.evaluate.asking import Answers
from matte_core.evaluate.cost import Cost
from matte_core.evaluate.metrics import Alpha, Region
from matte_core.evaluate.pictures import Picture
from matte_core.evaluate.report import UNITS, Report, Sample, evaluate
from matte_core.evaluate.statistics import Difference, difference
from matte_core.frame import Pixels
from matte_core.pull import frames
from matte_core.shot import Shot
from matte_core.sources import matte_source
from matte_core.trimap import snap
from matte_core.windows import over_window_of

REGIONS = ("unknown", "whole")
COMPARED = ("SAD", "MSE")  # the measures whose difference to the reference is looked at


@dataclass(frozen=True)
class MethodCost:
    """Mean seconds and processor seconds per megapixel, and the greatest memory of any picture.

    `rise` is megabytes per megapixel that the process grew by; `peak` and `device` are megabytes in all.
    """

    seconds: float
    processor: float
    rise: float | None
    peak: float | None
    device: float


@dataclass(frozen=True)
class Comparison:
    """What was found. Reports are by region, set of trimaps and method; they hold the pictures that were answered."""

    methods: Sequence[str]
    trimaps: Sequence[str]
    pictures: Sequence[str]
    reports: Mapping[tuple[str, str, str], Report]
    costs: Mapping[str, MethodCost]
    failures: Mapping[tuple[str, str, str], str]
    reference: str

    def mean(self, region: str, trimaps: str, method: str, measure: str) -> float | None:
        """The mean over all pictures; None where the method failed at one of them."""
        report = self.reports[region, trimaps, method]
        return report.mean.get(measure) if len(report.frames) == len(self.pictures) else None

    def difference(self, region: str, trimaps: str, method: str, measure: str) -> Difference | None:
        """How far the method's errors lie above the reference's; None where a picture is missing."""
        pair = [self.reports[region, trimaps, name].frames for name in (method, self.reference)]
        if any(len(report) < len(self.pictures) for report in pair):
            return None
        ours, theirs = ([report[name][measure] for name in self.pictures] for report in pair)
        return difference(ours, theirs)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "pictures": list(self.pictures),
            "reference": self.reference,
            "units": {name: UNITS[name] for name in ("SAD", "MSE", "MAD", "Grad", "Conn")},
            "errors": [
                {
                    "region": region,
                    "trimaps": trimaps,
                    "method": method,
                    "mean": {name: self.mean(region, trimaps, method, name) for name in report.mean},
                    "pictures": report.frames,
                    "difference": {
                        name: None if found is None else asdict(found)
                        for name in COMPARED
                        if self.reference in self.methods
                        for found in [self.difference(region, trimaps, method, name)]
                    },
                }
                for (region, trimaps, method), report in self.reports.items()
            ],
            "cost": {method: asdict(cost) for method, cost in self.costs.items()},
            "failures": [
                {"method": method, "trimaps": trimaps, "picture": picture, "why": why}
                for (method, trimaps, picture), why in self.failures.items()
            ],
        }


def compare(methods: Sequence[str], pictures: Sequence[Picture], answers: Answers, reference: str) -> Comparison:
    """The comparison of `answers`; one picture with all its answers is held at a time.

    Raises UsageError where a truth or trimap does not have its plate's size.
    """
    errors: dict[tuple[str, str, str], dict[str, Mapping[str, float]]] = {
        (region, trimaps, method): {} for region in REGIONS for trimaps in pictures[0].trimaps for method in methods
    }
    costs: dict[str, list[tuple[Cost, float]]] = {method: [] for method in methods}
    for picture in pictures:
        for trimaps in picture.trimaps:
            truth, unknown = truth_of(picture, trimaps)
            for method in methods:
                answer = answers[method, trimaps, picture.name]
                alpha = answer.alpha()
                if alpha is None:
                    continue
                costs[method].append((answer.cost, truth.size / 1e6))
                for region, where in (("unknown", unknown), ("whole", None)):
                    report = evaluate([Sample(picture.name, alpha, truth, where)])
                    errors[region, trimaps, method].update(report.frames)
    return Comparison(
        methods,
        list(pictures[0].trimaps),
        [picture.name for picture in pictures],
        {key: _report(found) for key, found in errors.items()},
        {method: _mean_cost(spent) for method, spent in costs.items() if spent},
        {key: answer.failure for key, answer in answers.items() if answer.failure},
        reference,
    )


def truth_of(picture: Picture, trimaps: str) -> tuple[Alpha, Region]:
    """The true alpha (H, W) and where the trimap is unknown (H, W) bool."""
    truth = matte_source(str(picture.truth))
    guide = over_window_of(truth, matte_source(str(picture.trimaps[trimaps])), "trimap")
    return _pixels(truth), np.asarray(snap(_pixels(guide)) == 0.5)


def _pixels(shot: Shot) -> Pixels:
    return np.asarray(next(frames(shot)).pixels[0])


def _report(errors: Mapping[str, Mapping[str, float]]) -> Report:
    names = [name for name in UNITS if errors and all(name in found for found in errors.values())]
    return Report(errors, {name: sum(found[name] for found in errors.values()) / len(errors) for name in names})


def _mean_cost(spent: Sequence[tuple[Cost, float]]) -> MethodCost:
    area = sum(megapixels for _, megapixels in spent)
    rises = [cost.rise / megapixels for cost, megapixels in spent if cost.rise is not None]
    peaks = [cost.peak for cost, _ in spent if cost.peak is not None]
    return MethodCost(
        sum(cost.seconds for cost, _ in spent) / area,
        sum(cost.processor for cost, _ in spent) / area,
        max(rises) if rises else None,
        max(peaks) if peaks else None,
        max(cost.device for cost, _ in spent),
    )
