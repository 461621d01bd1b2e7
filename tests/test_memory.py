"""Shots of pictures in memory: stamped by their content, repeated when alone, gone when the shot is gone."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from matte_core.errors import FrameError, UsageError
from matte_core.frame import FrameRange, Header, Window
from matte_core.memory import hold
from matte_core.pull import frames
from matte_core.shot import Shot

HEADER = Header(Window(0, 0, 2, 1), Window(0, 0, 2, 1))


def held(values: list[float], numbers: str) -> Shot:
    def picture(place: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.full((1, 1, 2), values[place], np.float32)

    return hold(picture, len(values), FrameRange.parse(numbers), kind="matte", header=HEADER, channels=["A"])


def test_pictures_belong_to_the_frame_numbers_in_order() -> None:
    made = list(frames(held([0.25, 0.5], "1001-1002")))
    assert [(f.number, float(f.pixels[0, 0, 0])) for f in made] == [(1001, 0.25), (1002, 0.5)]


def test_one_picture_is_repeated_for_every_frame() -> None:
    shot = held([0.25], "1001-1003")
    assert [float(f.pixels[0, 0, 0]) for f in frames(shot)] == [0.25, 0.25, 0.25]
    assert shot.stamp(1001) == shot.stamp(1003)


def test_another_number_of_pictures_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"2 pictures were given for 3 frames \(1-3\)\. Give one picture"):
        held([0.0, 1.0], "1-3")


def test_the_stamp_of_a_frame_follows_its_picture_and_no_other() -> None:
    before, after = held([0.1, 0.2], "1-2"), held([0.1, 0.3], "1-2")
    assert before.stamp(1) == after.stamp(1)
    assert before.stamp(2) != after.stamp(2)
    assert before.settings() == after.settings()


def test_pictures_are_let_go_of_with_the_shot() -> None:
    picture = np.zeros((1, 1, 2), np.float32)
    gone = weakref.ref(picture)
    shot = hold(lambda place, own=picture: own, 1, FrameRange([1]), kind="matte", header=HEADER, channels=["A"])
    del picture
    assert gone() is not None
    del shot
    gc.collect()
    assert gone() is None


def test_a_shot_rebuilt_elsewhere_says_that_its_pictures_are_gone() -> None:
    elsewhere = Shot.rebuild(held([0.5], "1").describe())
    with pytest.raises(FrameError, match="Write them to files"):
        list(frames(elsewhere))
