"""Matte Viewer: computes what it shows and that once, tells the frames' own values, shows nobody anything else."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from matte_core.errors import Cancelled, FrameError, SourceError, UsageError
from matte_core.frame import FrameRange, Header, Window
from matte_core.memory import hold
from matte_core.pull import frames as frames_of
from matte_core.shot import Shot
from matte_core.sources import plate_source

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "plate"
Ask = Callable[..., Any]


def here() -> bool:
    return False


@pytest.fixture
def viewer(load: Any, comfy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The viewer's module with nothing remembered."""
    module, views, caches = load("viewer"), load("views"), load("pulling")
    small = caches.FrameCache()
    monkeypatch.setattr(views, "CACHE", small)
    monkeypatch.setattr(views, "WHOLE", caches.FrameCache(views.WHOLE_BYTES))
    monkeypatch.setattr(module, "VIEWS", views.Views())
    return module


@pytest.fixture
def opened(viewer: Any) -> Callable[..., Ask]:
    """Runs a Matte Viewer as a prompt does; asks what its page asks."""

    def run(node: Any = None, **given: Any) -> Ask:
        shown = (node or viewer.MatteViewer()).run(**given)
        (token,) = shown["ui"]["matte_view"]

        def ask(what: str, gone: Callable[[], bool] = here, **asked: Any) -> Any:
            texts: Mapping[str, str] = {name: str(value) for name, value in asked.items()}
            body, kind = viewer.answer({"view": token, "what": what, **texts}, gone)
            return json.loads(body) if kind == "application/json" else np.asarray(Image.open(io.BytesIO(body)))

        return ask

    return run


def keyed(node: Any, pattern: str) -> tuple[Any, Any]:
    (plate,) = node("MatteTRead").run(path=pattern, frames="")
    (matte,) = node("MatteTKey").run(plate=plate, gain=1.0, width=3, soft=True, model="good")
    return plate, matte


def held(pixels: Any, kind: Any, channels: tuple[str, ...], data: Window | None = None) -> Shot:
    """A shot of one picture (C, H, W), its frame 1."""
    display = Window(0, 0, pixels.shape[2], pixels.shape[1])
    header = Header(data or display, display, colour_space="Linear Rec.709 (sRGB)" if kind == "plate" else "")
    return hold(lambda place: pixels, 1, FrameRange([1]), kind=kind, header=header, channels=channels)


def plate_of(*colours: tuple[float, float, float]) -> Shot:
    """A plate of one row, a pixel of each colour, linear Rec.709."""
    return held(np.array(colours, np.float32).T[:, None, :].copy(), "plate", ("R", "G", "B"))


def matte_of(*values: float) -> Shot:
    return held(np.array(values, np.float32)[None, None], "matte", ("A",))


def code(light: Any) -> Any:
    """8-bit sRGB of linear light."""
    clipped = np.clip(np.asarray(light, np.float64), 0, 1)
    return np.rint(255 * np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055))


# What it computes


def test_a_prompt_computes_the_first_frame_and_the_page_finds_it_made(
    node: Any, plate_files: str, opened: Any, worked: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    assert worked.numbers == [1001]
    assert ask("about")["frames"] == "1001-1004"
    ask("picture", look="checker", frame=1001)
    assert worked.numbers == [1001]


def test_scrubbing_back_is_free_whatever_the_look(node: Any, plate_files: str, opened: Any, worked: Any) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    for number in (1001, 1002, 1003, 1004, 1003, 1002, 1001):
        for look in ("checker", "alpha", "overlay", "grey", "colour"):
            ask("picture", look=look, frame=number, exposure=1, gamma=2.2)
        ask("values", look="alpha", frame=number, x=0, y=0)
    assert worked.numbers == [1001, 1002, 1003, 1004]


def test_looking_at_the_plate_never_computes_the_matte(node: Any, plate_files: str, viewer: Any, worked: Any) -> None:
    plate, matte = keyed(node, plate_files)
    view = viewer.View({"plate": plate, "matte": matte}, viewer.Asked())
    token = viewer.VIEWS.add(view)
    asked = {"view": token, "look": "rgb", "frame": "1003", "x": "1", "y": "1"}
    viewer.answer({**asked, "what": "picture"}, here)
    body, _ = viewer.answer({**asked, "what": "values"}, here)
    assert worked.numbers == []
    assert set(json.loads(body)["values"]) == {"plate"}


def test_what_a_preview_showed_the_viewer_shows_for_nothing(
    node: Any, plate_files: str, load: Any, opened: Any, viewer: Any, worked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load("preview"), "CACHE", load("views").CACHE)
    plate, matte = keyed(node, plate_files)
    load("pictures").Preview().run("1001", "all", plate, matte)
    opened(plate=plate, matte=matte)("picture", look="checker", frame=1001)
    assert worked.numbers == [1001]


def test_the_next_prompt_computes_the_frame_and_look_the_page_is_at(
    node: Any, plate_files: str, opened: Any, viewer: Any, worked: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    one = viewer.MatteViewer()
    opened(one, plate=plate, matte=matte)("picture", look="alpha", frame=1003)
    (other,) = node("MatteTKey").run(plate=plate, gain=2.0, width=3, soft=True, model="good")
    opened(one, plate=plate, matte=other)
    assert worked.numbers == [1001, 1003, 1003]


def test_a_frame_that_cannot_be_made_is_an_error_of_the_node(
    node: Any, plate_files: str, viewer: Any, worked: Any
) -> None:
    worked.fail_at = 1001
    plate, matte = keyed(node, plate_files)
    with pytest.raises(FrameError, match=r"t key in node 7 \(Key\), frame 1001"):
        viewer.MatteViewer().run(plate=plate, matte=matte)


# What it shows


def test_looks_are_made_in_linear_light(opened: Any) -> None:
    ask = opened(plate=plate_of((0.2, 0.4, 0.8), (0.2, 0.4, 0.8)), matte=matte_of(1.0, 0.25))
    plate, grey = np.array([0.2, 0.4, 0.8]), 0.18
    expected = {
        "rgb": [code(plate), code(plate)],
        "alpha": [[255] * 3, [64] * 3],
        "grey": [code(plate), code(0.25 * plate + 0.75 * grey)],
        "colour": [code(plate), code(0.25 * plate + 0.75 * np.array([1, 0, 0]))],
    }
    for look, pixels in expected.items():
        seen = ask("picture", look=look, frame=1, background="#ff0000")
        np.testing.assert_allclose(seen[0], pixels, atol=1, err_msg=look)


def test_an_overlay_tints_the_plate_where_the_matte_is_and_each_layer_in_its_own_colour(opened: Any) -> None:
    layers = np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]], np.float32)
    grey = (0.2, 0.2, 0.2)
    ask = opened(plate=plate_of(grey, grey, grey), matte=held(layers, "matte", ("anna", "ben")))
    anna, ben, none = ask("picture", look="overlay", frame=1)[0].astype(int)
    assert anna[0] > anna[2] + 50 and ben[2] > ben[0] + 50
    np.testing.assert_allclose(none, code(np.array(grey)), atol=1)
    assert ask("about")["layers"] == ["anna", "ben"]
    only = ask("picture", look="alpha", frame=1, layer="ben")[0]
    np.testing.assert_array_equal(only[:, 0], [0, 255, 0])


def test_exposure_and_gamma_change_the_picture_and_bring_highlights_back(opened: Any) -> None:
    ask = opened(plate=plate_of((4.0, 0.1, 0.0)), matte=matte_of(0.25))
    dark = ask("picture", look="rgb", frame=1, exposure=-3)[0, 0]
    np.testing.assert_allclose(dark, code([0.5, 0.0125, 0]), atol=1)
    raised = ask("picture", look="rgb", frame=1, exposure=-3, gamma=2)[0, 0]
    np.testing.assert_allclose(raised, 255 * np.sqrt(code([0.5, 0.0125, 0]) / 255), atol=2)
    np.testing.assert_allclose(ask("picture", look="alpha", frame=1, exposure=1)[0, 0], 127.5, atol=1)


def test_side_b_is_made_of_the_inputs_to_compare(opened: Any) -> None:
    a, b = plate_of((1.0, 0.0, 0.0)), plate_of((0.0, 1.0, 0.0))
    ask = opened(plate=a, matte=matte_of(1.0), compare_plate=b, compare_matte=matte_of(0.0))
    for look, side, expected in (
        ("rgb", "a", (255, 0, 0)),
        ("rgb", "b", (0, 255, 0)),
        ("alpha", "a", (255, 255, 255)),
        ("alpha", "b", (0, 0, 0)),
        ("colour", "b", (0, 0, 255)),
    ):
        seen = ask("picture", look=look, side=side, frame=1, background="#0000ff")[0, 0]
        np.testing.assert_array_equal(seen, expected, err_msg=f"{look} {side}")
    assert ask("about")["compare"] == ["compare_plate", "compare_matte"]


def test_a_composite_is_made_of_the_foreground_where_there_is_one(opened: Any) -> None:
    plate, foreground = plate_of((1.0, 0.0, 0.0)), plate_of((0.0, 1.0, 0.0))
    ask = opened(plate=plate, matte=matte_of(1.0), foreground=foreground)
    np.testing.assert_array_equal(ask("picture", look="grey", frame=1)[0, 0], (0, 255, 0))
    np.testing.assert_array_equal(ask("picture", look="rgb", frame=1)[0, 0], (255, 0, 0))


def test_close_up_a_part_of_the_frame_comes_pixel_by_pixel(opened: Any) -> None:
    pixels = np.random.default_rng(1).random((3, 900, 1600), np.float32)
    ask = opened(plate=held(pixels, "plate", ("R", "G", "B")))
    assert ask("picture", look="rgb", frame=1).shape == (576, 1024, 3)
    seen = ask("picture", look="rgb", frame=1, region="1590,890,10,10")
    np.testing.assert_allclose(seen, code(pixels[:, 890:, 1590:].transpose(1, 2, 0)), atol=1)


# What it tells


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


# Who may ask, and what


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


# Beside the prompts


class Prompts:
    """ComfyUI's queue; whether a prompt runs is set by the test."""

    running = 0

    def get_tasks_remaining(self) -> int:
        return self.running


@pytest.fixture
def prompts(comfy: Any, load: Any) -> Prompts:
    queue = Prompts()
    load("host")._server().prompt_queue = queue
    return queue


def test_while_a_prompt_runs_only_what_needs_no_device_is_computed(
    node: Any, plate_files: str, opened: Any, load: Any, prompts: Prompts, worked: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    prompts.running = 1
    with pytest.raises(load("host").Busy, match="A prompt is running"):
        ask("picture", look="alpha", frame=1002)
    assert worked.numbers == [1001]
    ask("picture", look="rgb", frame=1002)
    ask("picture", look="alpha", frame=1001)
    prompts.running = 0
    ask("picture", look="alpha", frame=1002)
    assert worked.numbers == [1001, 1002]


def test_the_page_neither_moves_the_progress_bar_nor_hears_the_stop_button(
    node: Any, plate_files: str, opened: Any, comfy: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    bars = len(comfy.bars)
    comfy.interrupted = True
    ask("picture", look="alpha", frame=1002)
    assert len(comfy.bars) == bars and comfy.interrupted


def test_what_nobody_waits_for_any_more_is_not_computed(node: Any, plate_files: str, opened: Any, worked: Any) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    with pytest.raises(Cancelled):
        ask("picture", gone=lambda: True, look="alpha", frame=1002)
    assert worked.numbers == [1001]


def test_pages_compute_one_after_the_other_and_a_prompt_waits_for_the_frame_under_way(load: Any, comfy: Any) -> None:
    host, order, inside = load("host"), list[str](), threading.Event()

    def page() -> None:
        with host.BesidePrompts(here).turn(True):
            inside.set()
            order.append("page begins")
            leave.wait(5)
            order.append("page ends")

    def prompt() -> None:
        with host.ComfyHost().turn(True):
            order.append("prompt")

    leave = threading.Event()
    threads = [threading.Thread(target=work) for work in (page, prompt)]
    threads[0].start()
    assert inside.wait(5)
    threads[1].start()
    threads[1].join(0.2)
    assert order == ["page begins"]
    leave.set()
    for thread in threads:
        thread.join(5)
    assert order == ["page begins", "page ends", "prompt"]


def test_a_prompt_that_starts_takes_the_device_from_the_page_at_the_next_step(load: Any, prompts: Prompts) -> None:
    host = load("host")
    beside = host.BesidePrompts(here)
    with beside.turn(True):
        beside.check()
        prompts.running = 1
        with pytest.raises(host.Busy):
            beside.check()
    beside = host.BesidePrompts(here)
    with beside.turn(False):
        beside.check()  # reading a file takes nothing from a prompt
