"""Resize to Plate: no value leaves the range, overscan keeps its place, other proportions are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matte_core.errors import UsageError
from matte_core.frame import Frame, Window
from matte_core.ops import estimate_foreground, resize_to_plate
from matte_core.pull import frames
from matte_core.resize import resize_to
from matte_core.shot import Shot


def first(shot: Shot) -> Frame:
    return next(frames(shot))


def test_a_mask_of_half_the_size_gets_the_plates_and_then_fits_it(shot_of: Any) -> None:
    plate = shot_of([np.full((3, 40, 60), 0.5, np.float32)])
    mask = np.zeros((1, 20, 30), np.float32)
    mask[:, :, 15:] = 1
    resized = resize_to_plate(shot_of([mask]), plate)
    assert resized.kind == "matte" and resized.header.data == plate.header.data
    values = first(resized).pixels[0, 0]
    assert (values[:29] == 0).all() and (values[31:] == 1).all() and (np.diff(values) >= 0).all()
    assert first(estimate_foreground(plate, resized)).pixels.shape == (3, 40, 60)
    with pytest.raises(UsageError, match=r"30x20 and the plate is 60x40.*use Resize to Plate"):
        estimate_foreground(plate, shot_of([mask]))


@pytest.mark.parametrize("size", [(20, 30), (80, 120), (40, 60)])
@pytest.mark.parametrize("filter", ["smooth", "nearest"])
def test_no_value_leaves_the_range_and_an_even_picture_stays_even(
    size: tuple[int, int], filter: str, shot_of: Any
) -> None:
    plate = shot_of([np.zeros((3, *size), np.float32)])
    light = np.random.default_rng(0).uniform(-0.1, 40, (3, 40, 60)).astype(np.float32)
    light[1] = 0.25
    pixels = first(resize_to(shot_of([light]), plate, filter)).pixels
    assert pixels.shape == (3, *size)
    assert pixels.min() >= light.min() and pixels.max() <= light.max()
    assert (pixels[1] == 0.25).all()


def test_nearest_makes_no_new_value(shot_of: Any) -> None:
    trimap = np.random.default_rng(1).choice(np.float32([0, 0.5, 1]), (1, 20, 30))
    plate = shot_of([np.zeros((3, 50, 75), np.float32)])
    assert set(np.unique(first(resize_to(shot_of([trimap]), plate, "nearest")).pixels)) == {0, 0.5, 1}


def test_a_picture_of_the_right_size_is_left_as_it_is(shot_of: Any) -> None:
    plate, mask = shot_of([np.zeros((3, 8, 8))]), shot_of([np.ones((1, 8, 8))])
    assert resize_to(mask, plate) is mask


def test_overscan_keeps_its_place(shot_of: Any) -> None:
    def windows(shot: Shot, data: Window, display: Window) -> Shot:
        return replace(shot, header=replace(shot.header, data=data, display=display))

    plate = windows(shot_of([np.zeros((3, 44, 64))]), Window(-2, -2, 64, 44), Window(0, 0, 60, 40))
    proxy = windows(shot_of([np.zeros((1, 22, 32))]), Window(-1, -1, 32, 22), Window(0, 0, 30, 20))
    resized = resize_to(proxy, plate)
    assert (resized.header.data, resized.header.display) == (plate.header.data, plate.header.display)
    square = windows(shot_of([np.zeros((3, 40, 40))]), Window(-5, 0, 40, 40), Window(0, 0, 30, 40))
    overscanned = resize_to(shot_of([np.zeros((1, 20, 20))]), square)
    assert overscanned.header.data == square.header.data


def test_other_proportions_are_one_sentence(shot_of: Any) -> None:
    with pytest.raises(UsageError, match="64x64 does not have the proportions of the plate"):
        resize_to(shot_of([np.zeros((1, 64, 64))]), shot_of([np.zeros((3, 40, 60))]))
    with pytest.raises(UsageError, match="no way to resize"):
        resize_to(shot_of([np.zeros((1, 4, 6))]), shot_of([np.zeros((3, 40, 60))]), "sinc")
