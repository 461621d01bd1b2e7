"""Motion between two pictures: which way it points, how it is chained, and where it is not to be trusted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from matte_core import flow
from matte_core.frame import Pixels


def uneven(seed: int = 0, height: int = 80, width: int = 120) -> Pixels:
    dice = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    wide = cv2.GaussianBlur(dice, (0, 0), 2)
    return np.asarray((wide - wide.min()) / np.ptp(wide), np.float32)


def moved(picture: Pixels, x: float, y: float) -> Pixels:
    matrix = np.float32([[1, 0, x], [0, 1, y]])
    return np.asarray(cv2.warpAffine(picture, matrix, picture.shape[::-1], borderMode=cv2.BORDER_REFLECT), np.float32)


@pytest.mark.parametrize(("x", "y"), [(3, 0), (0, 2), (-4, 1.5)])
def test_motion_says_x_before_y_and_where_a_pixel_has_gone(x: float, y: float) -> None:
    found = flow.motion(uneven(), moved(uneven(), x, y))[16:-16, 16:-16]
    assert np.abs(found - [x, y]).mean() < 0.1


def test_the_picture_after_seen_along_the_motion_is_the_picture_before() -> None:
    before, after = uneven(), moved(uneven(), 3, -2)
    seen = flow.sampled(after, flow.ends(flow.motion(before, after)))
    assert np.abs(seen - before)[16:-16, 16:-16].mean() < 0.01 < np.abs(after - before).mean()


def test_no_motion_gives_the_picture_back_bit_for_bit_whatever_its_channels() -> None:
    picture = np.random.default_rng(1).random((20, 30, 9)).astype(np.float32)
    still = flow.ends(np.zeros((20, 30, 2), np.float32))
    assert np.array_equal(flow.sampled(picture, still), picture)
    assert np.array_equal(flow.sampled(picture, still, cubic=True), picture)
    part = flow.ends(np.zeros((4, 5, 2), np.float32), left=7, top=3)
    assert np.array_equal(flow.sampled(picture, part), picture[3:7, 7:12])


def test_motions_are_chained_where_the_first_ends() -> None:
    first = np.zeros((10, 20, 2), np.float32)
    first[..., 0] = 2
    second = np.zeros_like(first)
    second[..., 0] = np.arange(20)
    assert flow.chained(first, second)[5, 3].tolist() == [2 + 5, 0]


def test_there_and_back_agree_but_for_what_leaves_or_is_covered() -> None:
    there = np.zeros((10, 20, 2), np.float32)
    there[..., 0] = 4
    agreed = flow.agreement(there, -there)
    assert agreed[:, :16].min() == 1 and agreed[:, 16:].max() == 0
    assert flow.agreement(there, there).max() == 0


def test_the_number_of_threads_does_not_change_the_motion() -> None:
    before, after = uneven(height=240, width=320), moved(uneven(height=240, width=320), 6, 3)
    threads, found = cv2.getNumThreads(), []
    try:
        for count in (1, 3):
            cv2.setNumThreads(count)
            found.append(flow.motion(before, after))
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(*found)


def test_pictures_too_small_for_a_flow_do_not_move() -> None:
    assert not flow.motion(np.zeros((9, 40), np.float32), np.ones((9, 40), np.float32)).any()


def test_pictures_are_made_smaller_by_a_whole_factor_and_large_again() -> None:
    picture = uneven(height=81, width=100)
    assert flow.reduced(picture, 100) is picture
    small = flow.reduced(np.stack([picture] * 5, axis=-1), 40)
    assert small.shape == (27, 34, 5) and flow.reduced_size(100, 81, 40) == (34, 27)
    assert flow.enlarged(small, 100, 81).shape == (81, 100, 5)
