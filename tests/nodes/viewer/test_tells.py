"""What the viewer tells, and whom: values as they are, sentences, tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from matte_core.errors import SourceError, UsageError
from matte_core.frame import FrameRange, Header, Window
from matte_core.memory import hold
from matte_core.pull import frames as frames_of
from matte_core.sources import plate_source

from .conftest import here, matte_of, plate_of

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "plate"


def test_values_of_the_bundled_plate_are_the_files_own(opened: Any) -> None:
    plate = plate_source(str(SAMPLES / "plate.####.exr"), "1001-1002")
    (frame,) = frames_of(plate, [1002])
    data, display = frame.header.data, plate.header.display
    ask = opened(plate=plate)
    brightest = np.unravel_index(frame.pixels[0].argmax(), frame.pixels[0].shape)
    for row, column in (brightest, (100, 100), (200, 77)):
        x, y = int(column) + data.x - display.x, int(row) + data.y - display.y
        told = ask("values", look="rgb", frame=1002, x=x, y=y)
        assert (told["x"], told["y"]) == (x + display.x, y + display.y)
        assert list(told["values"]["plate"].values()) == [float(value) for value in frame.pixels[:, row, column]]
    assert frame.pixels.max() > 40  # the brightest was no ordinary pixel
    assert ask("about")["spaces"] == {"plate": "ACEScg"}


def test_values_below_0_above_1_and_no_numbers_are_told_as_they_are(opened: Any) -> None:
    plate = plate_of((-0.1, 40.0, 65504.0), (float("nan"), float("inf"), 1e-9))
    ask = opened(plate=plate, matte=matte_of(0.1, 1.0))
    first, second = (ask("values", look="checker", frame=1, x=x, y=0)["values"] for x in (0, 1))
    assert first["plate"] == {"R": float(np.float32(-0.1)), "G": 40.0, "B": 65504.0}
    assert first["matte"] == {"A": float(np.float32(0.1))}
    assert second["plate"] == {"R": "nan", "G": "inf", "B": float(np.float32(1e-9))}


def test_where_an_overscan_plate_has_no_pixels_there_is_no_value(opened: Any) -> None:
    header = Header(Window(-1, 0, 3, 2), Window(0, 0, 4, 2), colour_space="Linear Rec.709 (sRGB)")
    pixels = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    plate = hold(lambda place: pixels, 1, FrameRange([1]), kind="plate", header=header, channels=("R", "G", "B"))
    ask = opened(plate=plate)
    assert ask("values", look="rgb", frame=1, x=0, y=1)["values"]["plate"]["R"] == 4.0
    assert ask("values", look="rgb", frame=1, x=3, y=1)["values"]["plate"] == {"R": None, "G": None, "B": None}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"what": "picture", "look": "rgb"}, "no frame was asked for"),
        ({"what": "picture", "look": "rgb", "frame": "1e3"}, "'frame' must be a number"),
        ({"what": "picture", "look": "rgb", "frame": "9"}, r"frame 9 is not in the plate \(1\)"),
        ({"what": "picture", "look": "x-ray", "frame": "1"}, "'x-ray' is no look. Choose one of: checker, rgb"),
        ({"what": "picture", "look": "alpha", "frame": "1"}, "alpha cannot be shown without its input"),
        ({"what": "picture", "look": "rgb", "frame": "1", "side": "c"}, "'c' is no side"),
        ({"what": "picture", "look": "rgb", "frame": "1", "exposure": "nan"}, "must lie between -20 and 20"),
        ({"what": "picture", "look": "rgb", "frame": "1", "gamma": "0"}, "must lie between 0.05 and 20"),
        ({"what": "picture", "look": "rgb", "frame": "1", "background": "red"}, "'red' is no colour"),
        ({"what": "picture", "look": "rgb", "frame": "1", "region": "0,0,3,1"}, "'0,0,3,1' is no part of a picture"),
        ({"what": "picture", "look": "rgb", "frame": "1", "region": "-1,0,1,1"}, "is no part of a picture of 2x1"),
        ({"what": "values", "look": "rgb", "frame": "1", "x": "2", "y": "0"}, "no pixel 2, 0 in a picture of 2x1"),
        ({"what": "files"}, "a viewer has no 'files'"),
    ],
)
def test_a_wrong_question_is_answered_in_one_sentence(viewer: Any, asked: dict[str, str], sentence: str) -> None:
    plate = plate_of((0, 0, 0), (1, 1, 1))
    token = viewer.VIEWS.add(viewer.View({"plate": plate}, viewer.Asked()))
    with pytest.raises(UsageError, match=sentence):
        viewer.answer({"view": token, **asked}, here)


@pytest.mark.parametrize("token", ["", "1", "../../etc/passwd", "plate.1001.exr"])
def test_only_what_a_prompt_gave_to_a_viewer_is_shown(viewer: Any, token: str) -> None:
    viewer.MatteViewer().run(plate=plate_of((0, 0, 0)))
    with pytest.raises(SourceError, match="not here any more"):
        viewer.answer({"view": token, "what": "picture", "look": "rgb", "frame": "1"}, here)


def test_the_same_shots_have_the_same_token_and_no_other_server_knows_it(viewer: Any, load: Any) -> None:
    def view(value: float) -> Any:
        return viewer.View({"plate": plate_of((value, 0, 0))}, viewer.Asked())

    views, others = load("views").Views(), load("views").Views()
    assert views.add(view(0.5)) == views.add(view(0.5)) != views.add(view(0.25))
    assert views.add(view(0.5)) != others.add(view(0.5))


def test_the_latest_views_are_kept_so_many_and_so_many_bytes_of_them(viewer: Any, load: Any) -> None:
    def view(number: int, side: int = 1) -> Any:
        image = torch.full((1, side, side, 3), number / 10)
        (shot,) = load("pictures").ShotFromImage().run(image, 1, "sRGB")
        return viewer.View({"plate": shot}, viewer.Asked())

    def known(views: Any, tokens: list[str]) -> list[bool]:
        return [views._views.get(token) is not None for token in tokens]

    few = load("views").Views(most=3, held=3000)
    assert known(few, [few.add(view(number)) for number in range(5)]) == [False, False, True, True, True]
    large = load("views").Views(most=3, held=3000)
    assert known(large, [large.add(view(number, 10)) for number in range(4)]) == [False, False, True, True]


def test_a_viewer_with_nothing_to_show_says_so(viewer: Any) -> None:
    with pytest.raises(UsageError, match="Matte Viewer has nothing to show"):
        viewer.MatteViewer().run(compare_matte=matte_of(1.0))
    with pytest.raises(UsageError, match="the compare matte is 3x1 and the plate is 1x1"):
        viewer.MatteViewer().run(plate=plate_of((0, 0, 0)), compare_matte=matte_of(1, 1, 1))
