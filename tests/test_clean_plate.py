"""A clean plate from the shot itself: what each pixel shows of the background, exactly, and where nothing was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_core.clean_plate import clean_plate, fill, masked_median
from matte_core.errors import FrameError, UsageError
from matte_core.frame import Pixels, Window
from matte_core.ops import clean_plate as clean_plate_op
from matte_core.plan import Plan
from matte_core.pull import frames
from matte_core.shot import Shot

SIDE = 48


def background(seed: int = 0) -> Pixels:
    light = np.random.default_rng(seed).uniform(0.01, 1, (3, SIDE, SIDE)).astype(np.float32)
    light[:, 3, 5], light[:, 40, 40] = -0.1, 40.0
    return light


def walking(count: int, width: int = 10) -> list[Pixels]:
    """Mattes (1, H, W) of a bar that walks from left to right over `count` frames."""
    mattes = [np.zeros((1, SIDE, SIDE), np.float32) for _ in range(count)]
    for place, matte in enumerate(mattes):
        left = place * (SIDE - width) // max(count - 1, 1)
        matte[:, :, left : left + width] = 1
    return mattes


def made(shot: Shot) -> Pixels:
    return next(iter(frames(shot))).pixels


def test_a_still_camera_gives_the_background_back_bit_for_bit_however_bright(shot_of: Any) -> None:
    back, mattes = background(), walking(9)
    plate = shot_of([np.where(matte > 0, np.float32(7), back) for matte in mattes])
    colour, seen = clean_plate(plate, shot_of(mattes), margin=1)
    assert (colour.kind, len(colour.frames), seen.kind) == ("plate", 1, "matte")
    assert made(seen).min() == 1
    assert np.array_equal(made(colour), back)


def test_grain_gets_less_with_more_frames_as_a_median_does(shot_of: Any) -> None:
    back, dice = background(), np.random.default_rng(4)
    plate = shot_of([back + dice.normal(0, 0.05, back.shape) for _ in range(25)])
    errors = [float(np.std(made(clean_plate(plate, None, count)[0]) - back)) for count in (1, 9, 25)]
    assert errors[0] == pytest.approx(0.05, rel=0.05)
    assert errors[1] < errors[0] / 2.2 and errors[2] < errors[0] / 3.5


def test_a_flash_in_one_frame_leaves_no_trace(shot_of: Any) -> None:
    back = background()
    plate = shot_of([back if place != 2 else back + 5 for place in range(5)])
    assert np.array_equal(made(clean_plate(plate, None, 5)[0]), back)


def test_what_no_frame_shows_is_said_and_filled_from_its_surroundings(shot_of: Any) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    back = np.stack([rows, columns, rows + columns])
    matte = np.zeros((1, SIDE, SIDE), np.float32)
    matte[:, 18:30, 18:30] = 1
    plate = shot_of([np.where(matte > 0, np.float32(50), back)] * 3)
    colour, seen = clean_plate(plate, shot_of([matte] * 3), margin=2)
    assert np.array_equal(made(seen)[0, 24], [0 if 16 <= x < 32 else 1 for x in range(SIDE)])
    assert np.abs(made(colour) - back).max() < 0.25
    assert np.array_equal(made(colour)[:, :16], back[:, :16])


def test_half_covered_pixels_and_a_margin_around_them_do_not_count(shot_of: Any) -> None:
    back = background()
    soft = np.zeros((1, SIDE, SIDE), np.float32)
    soft[:, 20, 20] = 0.02
    _, seen = clean_plate(shot_of([back]), shot_of([soft]), margin=3)
    outside = np.hypot(*(np.mgrid[:SIDE, :SIDE] - 20)) > 4
    assert made(seen)[0, 20, 23] == 0 and made(seen)[0][outside].min() == 1


def test_pixels_that_are_not_finite_count_as_not_seen(shot_of: Any) -> None:
    back = background()
    broken = back.copy()
    broken[1, 7, 7] = np.nan
    assert np.array_equal(made(clean_plate(shot_of([broken, back]), None)[0]), back)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_the_median_is_that_of_the_valid_values_whatever_their_order(count: int) -> None:
    dice = np.random.default_rng(count)
    pictures = [dice.normal(size=(3, 70, 5)).astype(np.float32) for _ in range(count)]
    valid = [dice.random((70, 5)) < 0.6 for _ in range(count)]
    median, seen = masked_median(pictures, valid)
    held = np.where(np.stack(valid)[:, None], np.stack(pictures), np.nan)
    known = seen[0] > 0
    assert np.allclose(median[:, known], np.nanmedian(held[:, :, known], axis=0), atol=1e-6)
    again = masked_median(pictures[::-1], valid[::-1])[0]
    assert np.array_equal(median, again)


def test_filling_keeps_what_is_known_and_carries_an_even_colour_into_any_hole() -> None:
    picture = np.full((3, 37, 21), [[[-0.1]], [[0.5]], [[40.0]]], np.float32)
    seen = np.zeros((37, 21), bool)
    seen[30, 2] = True
    assert np.allclose(fill(np.where(seen, picture, np.float32(np.nan)), seen), picture, rtol=1e-5)


def test_only_the_frames_that_were_chosen_are_computed_and_only_once(shot_of: Any) -> None:
    plate = shot_of([background(place) for place in range(50)])
    colour, seen = clean_plate(plate, None, samples=5)
    read = [unit.numbers for unit in Plan([(colour, colour.frames), (seen, seen.frames)]).units]
    assert sorted(read[:5]) == [(1001,), (1013,), (1025,), (1037,), (1050,)]
    assert len(read) == 8  # five frames, one median, two parts of it
    named = clean_plate(plate, None, frames="1002,1004")[0]
    assert "1002-1004x2" in str(named.said()) or "1002,1004" in str(named.said())
    assert colour.stamp(1001) != named.stamp(1001)


def test_what_cannot_be_is_one_sentence(shot_of: Any) -> None:
    plate = shot_of([background()] * 3)
    with pytest.raises(UsageError, match="frame 2000 is not in the shot"):
        clean_plate(plate, None, frames="2000")
    with pytest.raises(UsageError, match="no frame in common"):
        clean_plate(plate, shot_of(walking(3), "5-7"))
    with pytest.raises(FrameError, match="none of the 3 frames looked at shows any background"):
        made(clean_plate(plate, shot_of([np.ones((1, SIDE, SIDE))] * 3))[0])


def test_the_operation_holds_one_still_matte_and_places_it_in_the_data_window(shot_of: Any) -> None:
    plate = shot_of([background()] * 3, window=Window(-4, -4, SIDE, SIDE))
    still = np.zeros((1, SIDE, SIDE), np.float32)
    still[:, :, :6] = 1
    colour, seen = clean_plate_op(plate, shot_of([still], "1"), margin=0)
    assert colour.header.data == plate.header.data
    assert made(seen)[0, 10, :8].tolist() == [0] * 6 + [1, 1]
