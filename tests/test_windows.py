"""Guides and backgrounds are put over the plate's data window, by their windows or by their size."""

from __future__ import annotations

import numpy as np
import pytest

from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange, Header, Pixels, Window
from matte_core.memory import hold
from matte_core.pull import frames
from matte_core.shot import Shot
from matte_core.windows import over_window_of

DISPLAY = Window(0, 0, 6, 4)
OVERSCAN = Window(-2, -1, 10, 6)


def a_shot(data: Window, display: Window, pixels: Pixels | None = None) -> Shot:
    made = np.arange(data.width * data.height, dtype=np.float32).reshape(1, data.height, data.width)
    picture = made if pixels is None else pixels
    header = Header(data, display)
    return hold(lambda place: picture, 1, FrameRange([1]), kind="matte", header=header, channels=["A"])


def placed(plate: Shot, guide: Shot) -> Frame:
    return next(iter(frames(over_window_of(plate, guide, "mask"))))


def test_a_guide_of_the_same_window_is_taken_as_it_is() -> None:
    guide = a_shot(OVERSCAN, DISPLAY)
    assert over_window_of(a_shot(OVERSCAN, DISPLAY), guide, "mask") is guide


def test_a_picture_without_windows_covers_the_display_and_its_edge_goes_on_into_the_overscan() -> None:
    frame = placed(a_shot(OVERSCAN, DISPLAY), a_shot(DISPLAY, DISPLAY))
    assert frame.header.data == OVERSCAN
    assert np.array_equal(frame.pixels[0, 1:5, 2:8], np.arange(24).reshape(4, 6))
    assert frame.pixels[0, 0, 2:8].tolist() == [0, 1, 2, 3, 4, 5]
    assert frame.pixels[0, 5, 0] == 18 and frame.pixels[0, 5, 9] == 23


def test_a_picture_of_the_data_windows_size_covers_the_data_window() -> None:
    flat = Window(0, 0, 10, 6)
    frame = placed(a_shot(OVERSCAN, DISPLAY), a_shot(flat, flat))
    assert np.array_equal(frame.pixels[0], np.arange(60).reshape(6, 10))


def test_a_cropped_guide_with_the_plates_display_window_is_placed_by_its_own_and_is_nothing_beyond() -> None:
    frame = placed(a_shot(OVERSCAN, DISPLAY), a_shot(Window(1, 1, 2, 2), DISPLAY))
    assert np.array_equal(frame.pixels[0, 2:4, 3:5], [[0, 1], [2, 3]])
    assert frame.pixels.sum() == 6


def test_another_size_is_refused_with_both_sizes() -> None:
    small = Window(0, 0, 5, 5)
    with pytest.raises(UsageError, match=r"the mask is 5x5 and the plate is 10x6 \(display window 6x4\)"):
        over_window_of(a_shot(OVERSCAN, DISPLAY), a_shot(small, small), "mask")
