"""Instances from masks: the layers in order, as they are, under names that compositing programs keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matte_core.deliver import layer_names
from matte_core.errors import UsageError
from matte_core.frame import Frame, Header, Window
from matte_core.masks import instances_of, unseen
from matte_core.ops import instances_from_masks
from matte_core.pull import frames


def mask(value: float, layers: int = 1) -> Any:
    return np.full((layers, 4, 6), value, np.float32)


def test_the_layers_come_in_the_order_of_the_masks_unchanged(shot_of: Any) -> None:
    guide = instances_of([shot_of([mask(0.1)]), shot_of([mask(0.2, 2)]), shot_of([mask(0.3)])], ["hero", "dog"])
    assert guide.channels == ("hero", "dog", "layer1", "layer0")
    picture = next(frames(guide)).pixels
    assert picture.shape == (4, 4, 6)
    assert picture.mean(axis=(1, 2)) == pytest.approx([0.1, 0.2, 0.2, 0.3])


def test_a_layer_without_a_name_is_called_by_its_place(shot_of: Any) -> None:
    plain = [replace(shot_of([mask(0.1)]), channels=("A",)) for _ in range(3)]
    assert instances_of(plain, ["", "dog"]).channels == ("instance1", "dog", "instance3")


def test_a_layers_own_name_is_kept_and_only_what_is_written_as_a_layer_is_spelt_anew(shot_of: Any) -> None:
    own = [replace(shot_of([mask(0.1)]), channels=(name,)) for name in ("/set/hero 01", "3rd dog", "hair.A", "matte")]
    guide = instances_of(own)
    assert guide.channels == ("/set/hero 01", "3rd dog", "hair.A", "instance4")
    assert layer_names(guide) == ("set_hero_01", "matte_3rd_dog", "hair_A", "instance4")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a", "b", "c"], "3 names were given for 2 masks"),
        (["1st"], "cannot name a layer"),
        (["hero", "Hero"], "two masks are called"),
        (["hair.A"], "cannot name a layer"),
    ],
)
def test_names_that_cannot_be_are_refused(names: list[str], sentence: str, shot_of: Any) -> None:
    with pytest.raises(UsageError, match=sentence):
        instances_of([shot_of([mask(0)]), shot_of([mask(1)])], names)


def test_an_instance_that_is_never_selected_is_said() -> None:
    seen, absent = np.ones((4, 6), np.float32), np.zeros((4, 6), np.float32)
    window = Window(0, 0, 6, 4)
    header = Header(window, window)
    guide = [Frame(np.stack([seen, absent, place * seen]), 1001 + place, header) for place in range(2)]
    assert unseen(guide, ["hero", "ghost", "late"]) == [
        "Nothing is selected of ghost in all 2 frames looked at: without a mask an instance's matte is empty."
    ]
    assert not unseen(guide[1:], ["hero", "a", "late"])[0].startswith("Nothing is selected of hero")
    assert "of a in frame 1002:" in unseen(guide[1:], ["hero", "a", "late"])[0]
    assert unseen([], ["hero", "ghost"]) == []


def test_the_operation_holds_stills_and_skips_empty_sockets(shot_of: Any) -> None:
    guide = instances_from_masks(shot_of([mask(0.5)], "1"), mask_3=shot_of([mask(0.25)] * 3), names="hero, dog")
    assert (str(guide.frames), guide.channels) == ("1001-1003", ("hero", "dog"))
    assert [frame.pixels.mean(axis=(1, 2)).tolist() for frame in frames(guide)] == [[0.5, 0.25]] * 3


def test_masks_of_other_sizes_or_frames_are_one_sentence(shot_of: Any) -> None:
    with pytest.raises(UsageError, match="the mask 2 is 5x5 and the longest mask is 6x4"):
        instances_from_masks(shot_of([mask(0)]), shot_of([np.zeros((1, 5, 5))]))
    with pytest.raises(UsageError, match="no frame in common"):
        instances_from_masks(shot_of([mask(0)] * 2, "1-2"), shot_of([mask(0)] * 2, "5-6"), names="a,b")
