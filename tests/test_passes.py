"""Passes from keyframes: forward, backward, blended; what a new key costs; cuts; the same however it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from matte_core.engine.engine import Engine
from matte_core.errors import FrameError, UsageError
from matte_core.frame import Frame, Pixels
from matte_core.guide import Guide
from matte_core.io.kept import KeptFrames
from matte_core.matting import matte_of
from matte_core.memory import hold
from matte_core.models import catalogue
from matte_core.models.base import Card, Guides, Layers
from matte_core.passes import carried_from_keys
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot
from matte_core.sources import hold_still

CPU = torch.device("cpu")
SIDE = 96


class Counting:
    """Alpha is how many frames lie between a frame and the key it is carried from, and whose key it is."""

    card = Card("test-counting", "", guides=("mask",), keyed=True, carries=True, warm_up=None)

    def load(self, weights: Any, device: torch.device) -> None:
        return None

    def step(self, net: None, frames: torch.Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        mask, away = (guides["mask"], 0) if "mask" in guides else (state[0], state[1] + 1)
        return {"alpha": (mask + away / 1000).clamp(0, 1)}, (mask, away)


COUNTING = Counting()


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.CATALOGUE, "test-counting", f"{__name__}:COUNTING")


def picture(seed: int, number: int) -> Pixels:
    """A frame of a take: a scene that stands still, a square that moves over it."""
    dice = np.random.default_rng(seed).random((3, SIDE, SIDE)).astype(np.float32)
    wide = np.stack([cv2.GaussianBlur(each, (0, 0), 3) + 2 * cv2.GaussianBlur(each, (0, 0), 15) for each in dice])
    plate = np.asarray((wide - wide.min()) / np.ptp(wide) * 0.4, np.float32)
    plate[:, 10:20, number % 12 : number % 12 + 10] += 0.3
    return plate


def mask(value: float) -> Pixels:
    return np.full((1, SIDE, SIDE), value, np.float32)


def key_value(shot: Shot, numbers: Sequence[int], **settings: Any) -> dict[int, float]:
    return {frame.number: round(float(frame.pixels[0, 0, 0]), 4) for frame in pulled(shot, numbers, **settings)}


def pulled(shot: Shot, numbers: Sequence[int] | None = None, **settings: Any) -> Iterator[Frame]:
    engine = Engine(CPU, lambda card: None)
    return iter(
        Run(
            Plan([(shot, numbers or shot.frames)]),
            **{"lanes": SERIAL, "tools": engine, "inside": torch.inference_mode, **settings},
        )
    )


@pytest.fixture
def plate(shot_of: Any) -> Any:
    return shot_of([picture(1, number) for number in range(12)])


def carried(plate: Shot, guide: Shot, **settings: Any) -> Shot:
    return carried_from_keys(plate, guide, "test-counting", "auto", CPU, **{"cuts": "none", **settings})


def test_between_two_keys_both_passes_are_faded_and_beyond_them_one_is_alone(plate: Shot, shot_of: Any) -> None:
    shot = carried(plate, shot_of([mask(0.2), mask(0.6)], "1004,1008"))
    found = key_value(shot, shot.frames)
    assert [found[n] for n in (1001, 1002, 1003)] == [0.203, 0.202, 0.201]  # backward from the first key
    assert (found[1004], found[1008]) == (0.2, 0.6)
    assert found[1005] == pytest.approx(0.75 * 0.201 + 0.25 * 0.603, abs=1e-4)
    assert found[1007] == pytest.approx(0.25 * 0.203 + 0.75 * 0.601, abs=1e-4)
    assert [found[n] for n in (1009, 1012)] == [0.601, 0.604]


@pytest.mark.parametrize(("direction", "expected"), [("forward", 0.202), ("backward", 0.602)])
def test_one_direction_alone_still_covers_the_shot(direction: str, expected: float, plate: Shot, shot_of: Any) -> None:
    found = key_value(carried(plate, shot_of([mask(0.2), mask(0.6)], "1004,1008"), direction=direction), plate.frames)
    assert found[1006] == expected
    assert (found[1001], found[1012]) == (0.203, 0.604)


def test_every_cut_of_the_shot_into_chunks_gives_the_same(plate: Shot, shot_of: Any) -> None:
    shot = carried(plate, shot_of([mask(0.2), mask(0.6)], "1004,1008"))
    whole = key_value(shot, shot.frames)
    for size in (1, 3, 5):
        parts = [key_value(shot, shot.frames[start : start + size]) for start in range(0, 12, size)]
        assert {n: v for part in parts for n, v in part.items()} == whole
    assert key_value(shot, shot.frames, lanes={"read": 2, "compute": 2}) == whole
    again = Shot.rebuild(shot.describe())
    assert again.describe() == shot.describe()
    assert [again.stamp(n) for n in shot.frames] == [shot.stamp(n) for n in shot.frames]


def made_by(shot: Shot, kept: Any = None) -> Counter[tuple[bool, int]]:
    """How often each frame was made, by pass; True is the backward one."""
    count: Counter[tuple[bool, int]] = Counter()

    def watch(made: Shot, numbers: Sequence[int], seconds: float) -> None:
        if made.verb == "carry from keys":
            count.update((bool(made.parameters["backward"]), number) for number in numbers)

    engine = Engine(CPU, lambda card: None)
    list(Run(Plan([(shot, shot.frames)], kept), lanes=SERIAL, tools=engine, watch=watch))
    return count


def test_only_the_passes_that_a_frame_needs_are_run(plate: Shot, shot_of: Any) -> None:
    made = made_by(carried(plate, shot_of([mask(0.2), mask(0.6)], "1004,1008")))
    assert sorted(n for back, n in made if not back) == list(range(1004, 1013))
    assert sorted(n for back, n in made if back) == [*range(1001, 1009)]
    assert set(made.values()) == {1}


def test_a_key_added_in_the_middle_costs_only_the_frames_up_to_its_neighbours(
    plate: Shot, shot_of: Any, tmp_path: Any
) -> None:
    before = carried(plate, shot_of([mask(0.2), mask(0.6)], "1002,1010"))
    after = carried(plate, shot_of([mask(0.2), mask(0.4), mask(0.6)], "1002,1006,1010"))
    assert len(made_by(before, KeptFrames(tmp_path))) == 11 + 10
    made = made_by(after, KeptFrames(tmp_path))
    assert sorted(n for back, n in made if not back) == [1006, 1007, 1008, 1009]
    assert sorted(n for back, n in made if back) == [1003, 1004, 1005, 1006]
    stamps = [before.stamp(n) == after.stamp(n) for n in plate.frames]
    assert stamps == [True, True, *[False] * 7, True, True, True]


def test_a_key_drawn_again_changes_the_stamps_up_to_its_neighbours_alone(plate: Shot, shot_of: Any) -> None:
    keys = [mask(0.2), mask(0.4), mask(0.6)]
    before = carried(plate, shot_of(keys, "1002,1006,1010"))
    after = carried(plate, shot_of([keys[0], mask(0.5), keys[2]], "1002,1006,1010"))
    assert [n for n in plate.frames if before.stamp(n) != after.stamp(n)] == [*range(1003, 1010)]


@pytest.mark.parametrize("cuts", ["1007", ""])
def test_nothing_is_carried_over_a_cut(cuts: str, shot_of: Any) -> None:
    plate = shot_of([picture(1 + (n >= 6), n) for n in range(12)])
    shot = carried(plate, shot_of([mask(0.2), mask(0.6)], "1002,1010"), cuts=cuts)
    found = key_value(shot, shot.frames)
    assert [found[n] for n in (1001, 1005, 1006)] == [0.201, 0.203, 0.204]
    assert [found[n] for n in (1007, 1009, 1012)] == [0.603, 0.601, 0.602]


def test_a_take_without_a_key_costs_its_own_frames_and_says_so(shot_of: Any) -> None:
    plate = shot_of([picture(1 + (n >= 6), n) for n in range(12)])
    shot = carried(plate, shot_of([mask(0.2)], "1002"), cuts="")
    engine = Engine(CPU, lambda card: None)
    run = Run(Plan([(shot, shot.frames)]), lanes=SERIAL, tools=engine, keep_going=True)
    assert [frame.number for frame in run] == [*range(1001, 1007)]
    assert sorted(n for error in run.failures for n in error.costs) == [*range(1007, 1013)]
    assert "frame 1007 is in a take without a keyframe" in str(run.failures[0])
    with pytest.raises(UsageError, match="the take from frame 1007 to 1012 has no keyframe"):
        carried(plate, shot_of([mask(0.2)], "1002"), cuts="1007")


def test_keys_that_are_not_there_and_masks_that_show_nothing_are_refused(plate: Shot, shot_of: Any) -> None:
    one = shot_of([mask(0.2)], "1004")
    with pytest.raises(UsageError, match="keyframe 1030 is outside the shot"):
        carried(plate, one, keys="1030")
    with pytest.raises(UsageError, match="no keyframe: the guide has frames 7-8"):
        carried(plate, shot_of([mask(0.2)] * 2, "7,8"))
    with pytest.raises(UsageError, match="is empty \\(nothing selected\\)"):
        carried(plate, shot_of([mask(0.0)], "1004"))
    with pytest.raises(UsageError, match="the cut at frame 9 is not in the shot"):
        carried(plate, one, cuts="9")


def test_a_shot_of_one_frame_and_a_still_without_a_number(plate: Shot, shot_of: Any) -> None:
    alone = shot_of([picture(1, 0)])
    assert key_value(carried(alone, shot_of([mask(0.3)], "1001"), cuts=""), [1001]) == {1001: 0.3}
    still = shot_of([mask(0.3)], "0")
    assert key_value(carried(plate, still), [1001, 1003]) == {1001: 0.3, 1003: 0.302}


def test_frames_that_are_missing_are_carried_over(shot_of: Any) -> None:
    plate = shot_of([picture(1, number) for number in range(4)], "1001,1002,1005,1006")
    found = key_value(carried(plate, shot_of([mask(0.2)], "1001"), cuts=""), plate.frames)
    assert found == {1001: 0.2, 1002: 0.201, 1005: 0.202, 1006: 0.203}


def test_a_plate_frame_that_cannot_be_read_costs_what_is_carried_over_it_and_no_more(shot_of: Any) -> None:
    plate, gone = shot_of([picture(1, number) for number in range(9)]), list[int]()

    def read(place: int) -> Pixels:
        if place in gone:
            raise OSError("gone")
        return picture(1, place)

    broken = hold(read, 9, plate.frames, kind="plate", header=plate.header, channels=plate.channels)
    shot = carried(broken, shot_of([mask(0.2), mask(0.6)], "1002,1004"))
    gone.append(6)
    with pytest.raises(FrameError, match="output frames lost: 1007, 1008, 1009"):
        key_value(shot, shot.frames)
    assert list(key_value(shot, [1001, 1002, 1003, 1004, 1005, 1006])) == [1001, 1002, 1003, 1004, 1005, 1006]


def test_memory_does_not_grow_with_the_shot_and_nothing_is_left_on_disk(
    shot_of: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    most = {}
    for length in (20, 60):
        plate = shot_of([picture(1, number) for number in range(length)])
        shot = carried(plate, shot_of([mask(0.2)], f"{1000 + length}"), cuts="")
        run = Run(Plan([(shot, shot.frames)]), tools=Engine(CPU, lambda card: None), budget=4 * plate.frame_bytes)
        assert len(list(run)) == length
        most[length] = run.most_bytes
    assert max(most.values()) <= 8 * plate.frame_bytes
    assert not list(tmp_path.iterdir())


class Window:
    """Alpha tells how many frames of its window differ, and how often it has been called since the state began."""

    card = Card("test-window", "", guides=("trimap",), before=1, after=1, carries=True, warm_up=None)

    def load(self, weights: Any, device: torch.device) -> None:
        return None

    def step(self, net: None, frames: torch.Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        calls = 0 if state is None else state + 1
        different = len({float(frame.mean()) for frame in frames})
        return {"alpha": torch.full_like(guides["trimap"][1:2], different / 10 + calls / 1000)}, calls


WINDOW = Window()


@pytest.mark.parametrize("cuts", ["1007", "", "none"])
def test_every_model_with_a_state_or_a_window_begins_anew_at_a_cut(
    cuts: str, shot_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue.CATALOGUE, "test-window", f"{__name__}:WINDOW")
    plate = shot_of([picture(1 + (n >= 6), n) for n in range(12)])
    trimap = np.repeat(np.linspace(0, 1, SIDE, dtype=np.float32)[None, None], SIDE, 1).round(1)
    guide = Guide(trimap=hold_still(shot_of([trimap], "0"), plate.frames))
    shot = matte_of(plate, guide, "test-window", "auto", CPU, cuts=cuts)
    found = key_value(shot, shot.frames)
    if cuts == "none":
        assert (found[1006], found[1007], found[1008]) == (0.305, 0.306, 0.307)
    else:
        assert (found[1005], found[1006], found[1007], found[1008]) == (0.304, 0.205, 0.2, 0.301)
    assert (found[1001], found[1012]) == (0.2, 0.211 if cuts == "none" else 0.205)
