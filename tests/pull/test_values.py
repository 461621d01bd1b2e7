"""Every frame once, with the values of a serial pull, whatever is kept, merged or left out."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

from matte_core.frame import Frame
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot, read_again

from .conftest import a_frame, a_mix, a_source, values


def a_random_graph(dice: random.Random) -> list[Shot]:
    shots = [a_source(seed=1), a_source(seed=2)]
    for seed in range(dice.randint(2, 7)):
        inputs = dice.sample(shots, min(len(shots), dice.randint(1, 3)))
        windows = [[dice.randint(0, 3), dice.randint(0, 3)] for _ in inputs]
        shape: dict[str, Any] = {"batch": dice.randint(1, 7)}
        if dice.random() < 0.25:
            shape = {"carries": True, "warm_up": dice.choice([0, 1, 4, None]), "batch": dice.randint(1, 3)}
            shape |= {"backward": dice.random() < 0.5, "begins": dice.sample(range(1001, 1025), dice.randint(0, 3))}
            if dice.random() < 0.5:
                inputs = [read_again(source, "again") for source in inputs]
        elif dice.random() < 0.25:
            shape = {"clip": dice.randint(2, 5)}
        lane = dice.choice(["compute", "device", "write"])
        shots.append(a_mix(*inputs, windows=windows, seed=seed + 2, lane=lane, **shape))
    return dice.sample(shots[2:], dice.randint(1, min(3, len(shots) - 2)))


def test_a_second_reading_is_not_merged_with_the_first_and_has_its_stamps() -> None:
    shot = a_mix(a_source())
    again = read_again(shot, "again")
    plan = Plan([(shot, [1001]), (again, [1001])])
    assert len(plan.units) == 4
    assert again.stamp(1001) == shot.stamp(1001)
    assert Shot.rebuild(again.describe()).inputs[0].reading == "again"


@pytest.mark.parametrize("seed", range(120))
def test_random_graphs_compute_each_frame_once_and_agree_with_a_serial_pull(seed: int) -> None:
    dice = random.Random(seed)
    sinks = a_random_graph(dice)
    numbers = sorted(dice.sample(range(1001, 1025), dice.choice([3, 9, 24])))  # gaps, as a resume leaves them
    plan = Plan([(sink, numbers) for sink in sinks])
    serial = values(Run(plan, lanes=SERIAL))
    counts: Counter[tuple[int, int]] = Counter()
    lanes = {lane: dice.randint(0, 3) for lane in ("read", "compute", "write")}
    run = Run(
        plan,
        lanes=lanes,
        ahead=dice.randint(0, 9),
        budget=dice.choice([0, 40, 10**9]),
        watch=lambda shot, made, seconds: counts.update((id(shot), n) for n in made),
    )
    assert values(run) == serial
    assert set(counts.values()) == {1}
    assert set(counts) == set(plan.unit_of)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("matte-")]
    assert not len(run._store) and not run._state and run._store.bytes == 0 and run._reserved == 0


class Shelf:
    """Keeps frames of mixes by settings and number; holds back what the dice do not want held."""

    def __init__(self, dice: random.Random | None = None) -> None:
        self.frames: dict[tuple[str, int], Frame] = {}
        self.dice, self.held = dice, set[tuple[int, int]]()

    def holds(self, shot: Shot, number: int) -> bool:
        there = (shot.settings(), number) in self.frames
        if there and (self.dice is None or self.dice.random() < 0.5):
            self.held.add((id(shot), number))
            return True
        return False

    def fetch(self, shot: Shot, number: int) -> Frame:
        return self.frames[shot.settings(), number]

    def put(self, shot: Shot, frame: Frame) -> None:
        if shot.verb == "test mix":
            self.frames[shot.settings(), frame.number] = frame


@pytest.mark.parametrize("seed", range(30))
def test_frames_kept_from_another_run_change_no_value_and_are_not_computed(seed: int) -> None:
    dice = random.Random(2000 + seed)
    first, second = a_source(seed=1), a_source(seed=2)
    middle = a_mix(first, second, windows=[[1, 2], [0, 0]], batch=dice.randint(1, 5), lane="device")
    history = a_mix(middle, carries=True, warm_up=None, batch=dice.randint(1, 3))
    clip = a_mix(history, second, windows=[[2, 1], [0, 0]], clip=dice.randint(2, 5))
    sinks = [clip, a_mix(middle, windows=[[1, 1]])]
    pulls = [(sink, sorted(dice.sample(range(1001, 1025), 9))) for sink in sinks]
    expected, shelf = values(Run(Plan(pulls), lanes=SERIAL)), Shelf(dice)
    list(Run(Plan([(sink, sink.frames) for sink in sinks], shelf)))
    counts: Counter[tuple[int, int]] = Counter()
    shelf.held.clear()
    plan = Plan(pulls, shelf)
    run = Run(plan, watch=lambda shot, made, seconds: counts.update((id(shot), n) for n in made))
    assert values(run) == expected
    assert set(counts.values()) <= {1}
    whole = {id(unit.shot) for unit in plan.units if unit.shot.declaration.clip or unit.shot.declaration.carries}
    assert not {key for key in shelf.held & set(counts) if key[0] not in whole}  # these may need their neighbours


def test_what_is_kept_whole_needs_no_source() -> None:
    shelf, sink = Shelf(), a_mix(a_mix(a_source(), windows=[[1, 1]]), windows=[[2, 2]])
    expected = values(Run(Plan([(sink, sink.frames)], shelf)))
    plan = Plan([(sink, sink.frames)], shelf)
    assert [unit.kept for unit in plan.units] == [True] * len(sink.frames)
    assert values(Run(plan)) == expected


def test_frames_that_only_warmed_a_state_are_not_kept() -> None:
    shelf, shot = Shelf(), a_mix(a_source(), carries=True, warm_up=4)
    list(Run(Plan([(shot, [1010])], shelf)))
    assert [number for _, number in shelf.frames] == [1010]


@pytest.mark.parametrize("seed", range(30))
def test_pulling_some_frames_gives_the_same_values_as_pulling_all(seed: int) -> None:
    dice = random.Random(1000 + seed)
    first, second = a_source(seed=1), a_source(seed=2)
    middle = a_mix(first, second, windows=[[1, 2], [0, 0]], batch=dice.randint(1, 5))
    whole_history = a_mix(middle, carries=True, warm_up=None, batch=dice.randint(1, 3))
    clip = a_mix(whole_history, windows=[[2, 1]], clip=dice.randint(2, 5))
    everything = dict(values(Run(Plan([(clip, clip.frames)]), lanes=SERIAL)))
    some = sorted(dice.sample(range(1001, 1025), 5))
    assert values(Run(Plan([(clip, some)]))) == [(n, everything[n]) for n in some]


def test_shots_that_say_the_same_are_computed_once() -> None:
    counts: Counter[str] = Counter()
    pulls = [(a_mix(a_source(), seed=5), [1001, 1002]), (a_mix(a_source(), seed=6), [1001, 1002])]
    list(Run(Plan(pulls), watch=lambda shot, numbers, seconds: counts.update([shot.verb] * len(numbers))))
    assert counts == {"test read": 2, "test mix": 4}


def test_a_batch_holds_only_frames_that_are_needed() -> None:
    made: list[int] = []
    shot = a_mix(a_source(), batch=4)
    list(Run(Plan([(shot, [1002, 1009])]), watch=lambda s, numbers, seconds: made.extend(numbers)))
    assert sorted(made) == [1002, 1002, 1009, 1009]


def test_frames_cannot_be_written_to() -> None:
    frame = a_frame(1, 1)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 2
