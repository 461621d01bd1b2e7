"""A shot's errors over its frames as pictures: a plot in which flicker shows, a strip of frames with their errors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.errors import OutputError
from matte_core.evaluate.report import UNITS, Report, Sample
from matte_core.evaluate.strip import grey_tile, titled, write_png

PLOTTED = ("MAD", "SSDA", "dtSSD", "MESSDdt")  # one panel each, where the shot has them
_WIDTH, _HEIGHT, _MARGIN = 900, 130, 60
_PAPER, _INK, _LINE = 24, (230, 230, 230), (90, 200, 250)
_MOST = 8  # frames in a strip


def as_json(report: Report) -> str:
    """The report as text: measures by frame, their means, their units."""
    content = {"frames": report.frames, "mean": report.mean, "units": {name: UNITS[name] for name in report.mean}}
    return json.dumps(content, indent=2) + "\n"


def write_report(report: Report, path: Path) -> None:
    """Write the report as JSON. Raises OutputError where it cannot be."""
    try:
        path.write_text(as_json(report), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}). Choose another folder with --out.") from error


def save_flicker(report: Report, path: Path) -> None:
    """Write a PNG with a panel for each of PLOTTED: its value in every frame, from 0 up; the dashed line is its mean.

    A spike of dtSSD or MESSDdt is a frame whose matte jumps. Raises OutputError where the file cannot be written.
    """
    names = list(report.frames)
    panels = [
        _panel(name, [report.frames[frame].get(name) for frame in names], report.mean[name], names)
        for name in PLOTTED
        if name in report.mean
    ]
    write_png(path, np.concatenate(panels))


def _panel(name: str, values: list[float | None], mean: float, frames: list[str]) -> NDArray[np.uint8]:
    canvas = np.full((_HEIGHT, _WIDTH, 3), _PAPER, np.uint8)
    most = max([value for value in values if value is not None] + [1e-12])
    low, high = _HEIGHT - 22, 24

    def place(at: int, value: float) -> tuple[int, int]:
        across = _MARGIN + round(at / max(len(values) - 1, 1) * (_WIDTH - _MARGIN - 12))
        return across, low - round(value / most * (low - high))

    for start in range(_MARGIN, _WIDTH - 12, 12):
        height = place(0, mean)[1]
        cv2.line(canvas, (start, height), (start + 5, height), (110, 110, 110), 1)
    known = [place(at, value) for at, value in enumerate(values) if value is not None]
    cv2.polylines(canvas, [np.array(known, np.int32)], False, _LINE, 1, cv2.LINE_AA)
    for point in known:
        cv2.circle(canvas, point, 2, _LINE, -1, cv2.LINE_AA)
    _text(canvas, f"{name}, mean {mean:.4g}", (_MARGIN, 15))
    _text(canvas, f"{most:.3g}", (6, high + 4))
    _text(canvas, "0", (6, low + 4))
    _text(canvas, frames[0], (_MARGIN, _HEIGHT - 6))
    _text(canvas, frames[-1], (_WIDTH - 12 - 8 * len(frames[-1]), _HEIGHT - 6))
    return canvas


def _text(canvas: NDArray[np.uint8], text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)


class ErrorStrip:
    """Keeps a few frames of what passes, evenly spread however long it is: truth, matte and error below each other."""

    def __init__(self) -> None:
        self._columns: list[NDArray[np.uint8]] = []
        self._every, self._count = 1, 0

    def seen(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The same samples, one after the other."""
        for sample in samples:
            if self._count % self._every == 0:
                self._columns.append(_column(sample))
                if len(self._columns) > _MOST:
                    self._columns, self._every = self._columns[::2], self._every * 2
            self._count += 1
            yield sample

    def save(self, path: Path) -> None:
        """Write the strip to `path` (PNG); an error is white where alpha is wrong by a half or more.

        Raises OutputError where it cannot be written, or frames of several sizes have passed.
        """
        if len({column.shape for column in self._columns}) > 1:
            raise OutputError(f"{path} cannot hold frames of several sizes. Measure sequences of one size.")
        write_png(path, np.concatenate(self._columns, 1))


def _column(sample: Sample) -> NDArray[np.uint8]:
    wrong = np.abs(sample.prediction - sample.truth)
    total = f"SAD {wrong[sample.region].sum() / 1000:.3g}"
    tiles = {f"{sample.name} truth": sample.truth, "matte": sample.prediction, f"{total} (white = 0.5)": wrong * 2}
    return np.concatenate([titled(grey_tile(np.asarray(alpha, np.float32)), title) for title, alpha in tiles.items()])
