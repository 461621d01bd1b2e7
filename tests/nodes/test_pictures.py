"""Nodes between pictures and shots, and nodes that show: previews compute what they show, once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange, Header, Window
from matte_core.memory import hold

RAMP = torch.linspace(0, 1, 3 * 2 * 4 * 3).reshape(3, 2, 4, 3)


@pytest.fixture
def pictures(load: Any, comfy: Any) -> Any:
    return load("pictures")


@pytest.fixture
def the_preview(load: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The preview's module with an empty cache."""
    module = load("preview")
    monkeypatch.setattr(module, "CACHE", load("pulling").FrameCache())
    return module


def keyed(node: Any, pattern: str) -> tuple[Any, Any]:
    (plate,) = node("MatteTRead").run(path=pattern, frames="")
    (matte,) = node("MatteTKey").run(plate=plate, gain=1.0, width=3, soft=True, model="good")
    return plate, matte


def shown(comfy: Any, said: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Pictures of a preview by what they show, read from where ComfyUI's page gets them."""
    entries = said["ui"]["images"]
    assert {entry["type"] for entry in entries} <= {"temp"}
    files = [comfy.folder / "temp" / entry["subfolder"] / entry["filename"] for entry in entries]
    return {
        Path(file).name.rsplit("_", 1 + file.stem.count("_") - 1)[0]: np.asarray(Image.open(file)) for file in files
    }


def test_an_image_goes_through_a_shot_unchanged(pictures: Any) -> None:
    (shot,) = pictures.ShotFromImage().run(RAMP, 1001, "sRGB")
    assert str(shot.frames) == "1001-1003"
    for view, atol in (("unchanged", 0.0), ("display", 1e-5)):
        (image,) = pictures.ImageFromShot().run(shot, "", view)
        np.testing.assert_allclose(image.numpy(), RAMP.numpy(), atol=atol)


def test_values_outside_0_to_1_survive_the_linear_way_round(pictures: Any) -> None:
    image = torch.tensor([-0.1, 40.0, 0.5]).expand(2, 2, 4, 3)
    (shot,) = pictures.ShotFromImage().run(image, 1, "linear Rec.709")
    (back,) = pictures.ImageFromShot().run(shot, "2", "linear")
    assert back.shape == (1, 2, 4, 3)
    np.testing.assert_allclose(back.numpy(), image[1:].numpy(), rtol=1e-6)


def test_a_mask_goes_through_a_shot_and_may_be_turned_round_twice(pictures: Any) -> None:
    mask = torch.linspace(0, 1, 24).reshape(3, 2, 4)
    (shot,) = pictures.ShotFromMask().run(mask, 1001, True)
    (back,) = pictures.MaskFromShot().run(shot, "1002-1003", "", True)
    np.testing.assert_allclose(back.numpy(), mask[1:].numpy(), atol=1e-7)
    (single,) = pictures.ShotFromMask().run(mask[0], 7, False)
    assert str(single.frames) == "7"


def test_one_layer_of_a_matte_with_several_is_chosen_by_name(pictures: Any) -> None:
    window = Window(0, 0, 4, 2)
    layers = np.stack([np.full((2, 4), 0.25, np.float32), np.full((2, 4), 0.75, np.float32)])
    header = Header(window, window)
    shot = hold(lambda place: layers, 1, FrameRange([1]), kind="matte", header=header, channels=("anna", "ben"))
    assert float(pictures.MaskFromShot().run(shot, "", "ben", False)[0].max()) == 0.75
    assert float(pictures.MaskFromShot().run(shot, "", "", False)[0].max()) == 0.25
    with pytest.raises(UsageError, match=r"no layer 'carl'\. It has: anna, ben"):
        pictures.MaskFromShot().run(shot, "", "carl", False)


def test_pictures_of_an_overscan_plate_cover_the_display_window(pictures: Any) -> None:
    data, display = Window(-1, 0, 3, 2), Window(0, 0, 4, 2)
    pixels = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    header = Header(data, display, colour_space="Linear Rec.709 (sRGB)")
    shot = hold(lambda place: pixels, 1, FrameRange([1]), kind="plate", header=header, channels=("R", "G", "B"))
    (image,) = pictures.ImageFromShot().run(shot, "", "unchanged")
    np.testing.assert_array_equal(image[0, 0, :, 0].numpy(), [1, 2, 0, 0])


def test_a_matte_as_an_image_is_grey(pictures: Any) -> None:
    (shot,) = pictures.ShotFromMask().run(torch.full((1, 2, 4), 0.5), 1, False)
    (image,) = pictures.ImageFromShot().run(shot, "", "display")
    assert torch.equal(image, torch.full((1, 2, 4, 3), 0.5))


def test_shot_info_reads_no_frame_and_says_what_there_is(
    node: Any, plate_files: str, pictures: Any, worked: Any
) -> None:
    _, matte = keyed(node, plate_files)
    (text,) = pictures.ShotInfo().run(matte)["result"]
    assert "matte: 4 frames, 1001-1004" in text and "data window: 8x6 at 0, 0" in text and "t key" in text
    assert worked.numbers == []


def test_preview_shows_plate_alpha_and_checker_of_the_first_frame_only(
    node: Any, plate_files: str, pictures: Any, comfy: Any, worked: Any, the_preview: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    said = pictures.Preview().run("", "all", plate, matte)
    seen = shown(comfy, said)
    assert list(seen) == ["plate", "alpha", "checker"]
    assert worked.numbers == [1001]
    np.testing.assert_allclose(seen["alpha"], 0.1 * 255, atol=1)
    code = 255 * (1.055 * 0.1 ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(seen["plate"], code, atol=1)


def test_the_checker_is_the_plate_over_two_greys_in_linear_light(
    load: Any, pictures: Any, comfy: Any, the_preview: Any
) -> None:
    display, plate, mask = load("display"), torch.full((1, 32, 32, 3), 1.0), torch.full((1, 32, 32), 0.5)
    seen = shown(comfy, pictures.Preview().run("", "checker", plate, mask))["checker"]
    light = np.array([0.5 + 0.5 * display.DARK, 0.5 + 0.5 * display.LIGHT])
    np.testing.assert_allclose(np.unique(seen), np.rint(255 * (1.055 * light ** (1 / 2.4) - 0.055)), atol=1)


def test_going_back_to_a_frame_computes_nothing_and_a_changed_file_computes_again(
    node: Any, plates: Any, plate_files: str, pictures: Any, comfy: Any, worked: Any, the_preview: Any
) -> None:
    for frames in ("1001", "1003", "1001", "1001,1003"):
        plate, matte = keyed(node, plate_files)
        pictures.Preview().run(frames, "all", plate, matte)
    assert worked.numbers == [1001, 1003]
    plates(comfy.folder / "input", [0.9, 0.9, 0.95, 0.9])
    os.utime(comfy.path("input", "plate.1003.exr"), (2_000_000_000, 2_000_000_000))  # a stamp counts whole seconds
    plate, matte = keyed(node, plate_files)
    seen = shown(comfy, pictures.Preview().run("1003", "alpha", plate, matte))["alpha"]
    assert worked.numbers == [1001, 1003, 1003]
    np.testing.assert_allclose(seen, 255 * 0.95, atol=1)


def test_the_cache_keeps_within_its_bytes(load: Any, comfy: Any, node: Any, plate_files: str, worked: Any) -> None:
    _, matte = keyed(node, plate_files)
    size = 6 * 8 * 4
    cache = load("pulling").FrameCache(2 * size)
    for number in (1001, 1002, 1003, 1003, 1002, 1001):
        shutil.rmtree(comfy.path("temp", "matte"), ignore_errors=True)  # what is kept on disk is another matter
        (frames,) = cache.pulled([(matte, [number])], lambda frame: frame)
        assert [frame.number for frame in frames.values()] == [number]
    assert worked.numbers == [1001, 1002, 1003, 1001]


def test_a_large_frame_is_shrunk_for_the_page(the_preview: Any) -> None:
    window = Window(0, 0, 3000, 1500)
    frame = Frame(np.full((1, 1500, 3000), 0.25, np.float32), 1, Header(window, window))
    small = the_preview.shrink(frame)
    assert small.pixels.shape == (1, 512, 1024)
    np.testing.assert_allclose(small.pixels, 0.25, rtol=1e-6)


def test_preview_without_anything_to_show_is_one_sentence(pictures: Any, the_preview: Any) -> None:
    with pytest.raises(UsageError, match="nothing to show"):
        pictures.Preview().run("", "all")
    with pytest.raises(UsageError, match="the checker cannot be shown"):
        pictures.Preview().run("", "checker", RAMP[:1])
    (shot,) = pictures.ShotFromImage().run(RAMP[:1].expand(70, -1, -1, -1), 1, "sRGB")
    with pytest.raises(UsageError, match="70 frames is too much"):
        pictures.Preview().run("1-70", "all", shot)


@pytest.mark.parametrize("channels", [("Z",), ("U", "V"), ("R", "G", "B", "A")])
def test_a_plate_of_other_channels_is_shown_as_it_is(
    pictures: Any, comfy: Any, the_preview: Any, channels: tuple[str, ...]
) -> None:
    window = Window(0, 0, 4, 2)
    pixels = np.full((len(channels), 2, 4), 0.5, np.float32)
    shot = hold(
        lambda place: pixels, 1, FrameRange([1]), kind="plate", header=Header(window, window), channels=channels
    )
    (image,) = pictures.ImageFromShot().run(shot, "", "linear")
    assert torch.equal(image, torch.full((1, 2, 4, 3), 0.5))
    assert shown(comfy, pictures.Preview().run("", "plate", shot))["plate"].shape == (2, 4, 3)


def test_the_pixels_of_a_broken_plate_do_not_break_the_page(pictures: Any, comfy: Any, the_preview: Any) -> None:
    image = torch.full((1, 4, 4, 3), float("nan"))
    image[0, 0, 0] = float("inf")
    (shot,) = pictures.ShotFromImage().run(image, 1, "linear Rec.709")
    seen = shown(comfy, pictures.Preview().run("", "plate", shot))["plate"]
    assert seen.shape == (4, 4, 3)
