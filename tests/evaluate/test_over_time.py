"""Errors over a shot's frames as pictures: spikes where the matte jumps, frames evenly spread."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from matte_core.errors import OutputError
from matte_core.evaluate.over_time import ErrorStrip, save_flicker, write_report
from matte_core.evaluate.report import Sample, evaluate

LINE = np.array((250, 200, 90))  # blue first, as files are read


def samples(count: int, wrong: int, size: int = 24) -> list[Sample]:
    """Frames that are right but for the one numbered `wrong`."""
    truth = np.zeros((size, size), np.float32)
    truth[6:18, 6:18] = 1
    return [Sample(str(1001 + n), truth * (0.2 if n == wrong else 1.0), truth) for n in range(count)]


def read(path: Path) -> np.ndarray:
    """The picture in a file (H, W, 3), blue first."""
    return np.asarray(cv2.imread(str(path)))


def test_the_plot_rises_where_the_matte_jumps(tmp_path: Path) -> None:
    save_flicker(evaluate(samples(20, 10), sequence=True), tmp_path / "flicker.png")
    plot = read(tmp_path / "flicker.png").astype(int)
    assert plot.shape[0] == 3 * 130  # MAD, SSDA and dtSSD; no motion was given
    panel = np.abs(plot[2 * 130 : 3 * 130] - LINE).sum(-1) < 30
    heights = {x: int(np.nonzero(panel[:, x])[0].min()) for x in np.nonzero(panel.any(0))[0]}
    highest = min(heights, key=lambda x: heights[x])
    assert abs(highest - (60 + (10 / 19) * (900 - 72))) < 60  # dtSSD of frames 10 and 11
    assert heights[min(heights)] > 100


def test_a_strip_keeps_a_few_frames_of_any_shot(tmp_path: Path) -> None:
    strip = ErrorStrip()
    assert len(list(strip.seen(samples(40, 16)))) == 40
    strip.save(tmp_path / "errors.png")
    picture = read(tmp_path / "errors.png")
    assert picture.shape[1] in [364 * count for count in range(4, 9)]
    assert picture[-180:, :, 0].max() > 200  # frame 16 is among them, and wrong


def test_numbers_stand_beside_the_pictures(tmp_path: Path) -> None:
    write_report(evaluate(samples(3, 1), sequence=True), tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert set(found["frames"]) == {"1001", "1002", "1003"} and found["frames"]["1002"]["dtSSD"] > 0
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(evaluate(samples(1, 0)), tmp_path / "nowhere" / "report.json")
