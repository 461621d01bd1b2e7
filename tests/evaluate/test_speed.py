"""The bench: what is measured of one model, and how it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch

from matte_core.cli.bench import _size
from matte_core.errors import UsageError
from matte_core.evaluate.speed.clip import FIRST, make_clip, pattern
from matte_core.evaluate.speed.floor import Counting, Rates, Work
from matte_core.evaluate.speed.measure import Asked, Measured, measure
from matte_core.evaluate.speed.table import content, markdown, save_plot
from matte_core.models.base import Card
from matte_core.pull import frames
from matte_core.sources import matte_source


def test_every_frame_of_the_clip_has_a_trimap_of_its_own(tmp_path: Path) -> None:
    make_clip(tmp_path, 108, 192, 2)
    first, second = (frame.pixels for frame in frames(matte_source(pattern(tmp_path, "trimap"))))
    assert set(first.ravel()) == {0.0, 0.5, 1.0} and (first != second).any()
    assert 0.03 < (first == 0.5).mean() < 0.4


def test_a_model_is_measured_from_files_to_files(tmp_path: Path) -> None:
    make_clip(tmp_path, 96, 128, 2)
    found = measure(Asked("colour-prior", tmp_path, 96, 128, 2, 1, "cpu", "auto", reference=False))
    assert found.same, "the plain loop and the lanes wrote the same files"
    assert set(found.stages) == {"decode", "colour", "network", "copy", "encode"}
    assert sum(found.stages.values()) < found.naive * 1.05
    assert found.slowest == max(found.stages.values())
    assert found.ratio == pytest.approx(found.naive / found.lanes)
    assert found.floor is None, "a solver's sparse matrices are not counted"
    assert (tmp_path / "lanes0" / f"out.{FIRST}.exr").is_file()


class Convolution:
    card = Card("conv", "Conv")

    def load(self, weights: object, device: object) -> object:
        return torch.ones(4, 3, 3, 3)

    def step(self, net: torch.Tensor, frames: torch.Tensor, guides: object, state: object) -> tuple[object, object]:
        return {"alpha": torch.nn.functional.conv2d(frames, net, padding=1)}, state


def test_operations_and_bytes_are_counted() -> None:
    counting = Counting(Convolution())  # type: ignore[arg-type]
    with torch.inference_mode():
        counting.step(torch.ones(4, 3, 3, 3), torch.ones(1, 3, 10, 20), {}, None)
    work = counting.work()
    assert work.operations == 2 * 9 * 3 * 4 * 10 * 20
    assert work.bytes == 2 * 4 * 4 * 10 * 20


def test_the_floor_is_the_longer_of_operations_and_bytes() -> None:
    assert Work(1e9, 1e6, True).least(Rates(1e10, 1e9)) == 0.1
    assert Work(1e6, 1e9, True).least(Rates(1e10, 1e9)) == 1.0


ROWS = [
    Measured(
        "net",
        1080,
        1920,
        "fp32",
        stages={"decode": 0.1, "colour": 0.05, "network": 0.4, "encode": 0.1},
        naive=0.65,
        lanes=0.42,
        ratio=1.55,
        reference=8.4,
        same=True,
        host=900.0,
        floor=0.21,
    ),
    Measured("other", 1080, 1920, failure="other needs about 30 GB. Choose a smaller model."),
]


def test_the_table_says_what_was_found_and_why_there_is_nothing() -> None:
    text = markdown(ROWS, "Device cpu.")
    row = next(line for line in text.splitlines() if line.startswith("| net"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3:] == [
        "0.1", "0.05", "0.4", "", "0.1", "0.65", "2.38", "1.55x", "1.05x", "20.00x", "900", "", "0.21", "50%",
    ]  # fmt: skip
    assert "other, 1920x1080: other needs about 30 GB." in text
    assert json.loads(json.dumps(content(ROWS, {})))["measured"][0]["slowest"] == 0.4


def test_the_plot_has_a_row_for_each_that_was_measured(tmp_path: Path) -> None:
    save_plot(ROWS, tmp_path / "bench.png")
    picture = cv2.imread(str(tmp_path / "bench.png"))
    assert picture is not None and (picture != 255).any()


@pytest.mark.parametrize("text", ["huge", "10x10", "1920x", "x1080"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        _size(text)
