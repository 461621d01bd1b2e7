"""The pull: each frame once, the same values as one after another, no thread left, errors named."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matte_core.errors import Cancelled, FrameError, OutputError, SourceError
from matte_core.frame import Frame, FrameRange, Header, Window
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot, make, read_again
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

HEADER = Header(Window(0, 0, 1, 1), Window(0, 0, 1, 1))
PRIME = 65521  # values stay whole numbers that float32 holds exactly


def a_frame(value: float, number: int) -> Frame:
    return Frame(np.full((1, 1, 1), value, np.float32), number, HEADER)


def read_number(job: Job) -> Result:
    delay = job.parameter("delay")
    time.sleep(delay)
    broken = [n for n in job.numbers if n in job.parameter("broken")]
    if broken:
        raise SourceError(f"frame {broken[0]} is cut short. Render it again.")
    return Result([a_frame((n * 31 + job.parameter("seed")) % PRIME, n) for n in job.numbers])


def mix(job: Job) -> Result:
    """Every value depends on every frame of its window, on its number and, if carried, on what came before."""
    time.sleep(job.parameter("delay"))
    state, made = job.state or 0, []
    for number in job.numbers:
        total = number * job.parameter("seed")
        for which in range(len(job.shot.inputs)):
            for place, frame in enumerate(job.around(which, number)):
                total = (total * 17 + int(frame.pixels[0, 0, 0]) * (place + 1)) % PRIME
        if job.parameter("carries"):
            total = state = (total + 7 * state) % PRIME
        if job.parameter("clip"):
            total = (total + sum(job.numbers)) % PRIME
        made.append(a_frame(total, number))
    return Result(made, state)


def declare_mix(parameters: Any) -> Declaration:
    return Declaration(
        windows=tuple((b, a) for b, a in parameters["windows"]),
        batch=parameters["batch"],
        clip=parameters["clip"],
        carries=parameters["carries"],
        warm_up=parameters["warm_up"],
        backward=parameters["backward"],
        begins=tuple(parameters["begins"]),
        lane=parameters["lane"],
    )


@pytest.fixture(autouse=True)
def verbs() -> Iterator[None]:
    made = [
        Verb("test read", read_number, declare=lambda p: Declaration(lane="read")),
        Verb("test mix", mix, declare=declare_mix),
    ]
    VERBS.update({verb.name: verb for verb in made})
    yield
    for verb in made:
        del VERBS[verb.name]


def a_source(frames: str = "1001-1024", seed: int = 1, broken: Sequence[int] = (), delay: float = 0) -> Shot:
    parameters = {"seed": seed, "broken": list(broken), "delay": delay}
    return make(
        "test read", (), parameters, kind="plate", frames=FrameRange.parse(frames), header=HEADER, channels=["A"]
    )


def a_mix(*inputs: Shot, **settings: Any) -> Shot:
    defaults = {
        "windows": [],
        "batch": 1,
        "clip": 0,
        "carries": False,
        "warm_up": 0,
        "backward": False,
        "begins": [],
        "lane": "compute",
        "seed": 3,
        "delay": 0,
    }
    return make("test mix", inputs, {**defaults, **settings})


def values(run: Run) -> list[tuple[int, float]]:
    return [(frame.number, float(frame.pixels[0, 0, 0])) for frame in run]


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


@pytest.mark.parametrize("backward", [False, True])
def test_a_state_that_begins_anew_is_the_same_however_the_shot_is_cut(backward: bool) -> None:
    shot = a_mix(a_source(), carries=True, warm_up=None, backward=backward, begins=[1007, 1008, 1015])
    whole = dict(values(Run(Plan([(shot, shot.frames)]), lanes=SERIAL)))
    for size in (1, 4, 10):
        for start in range(0, 24, size):
            part = values(Run(Plan([(shot, shot.frames[start : start + size])]), lanes=SERIAL))
            assert part == [(number, whole[number]) for number, _ in part]
    unbroken = a_mix(a_source(), carries=True, warm_up=None, backward=backward)
    assert whole != dict(values(Run(Plan([(unbroken, unbroken.frames)]), lanes=SERIAL)))


@pytest.mark.parametrize(("backward", "expected"), [(False, [1007, 1008, 1009]), (True, [1009, 1010, 1011, 1012])])
def test_a_frame_depends_on_what_lies_between_it_and_where_its_state_began(backward: bool, expected: list[int]) -> None:
    shot = a_mix(a_source(), carries=True, warm_up=None, backward=backward, begins=[1003, 1007, 1012])
    assert shot.lookback(1009) == [expected]
    plan = Plan([(shot, [1009])])
    assert sorted(n for unit in plan.units for n in unit.numbers if unit.shot.inputs) == expected


def test_a_second_reading_is_not_merged_with_the_first_and_has_its_stamps() -> None:
    shot = a_mix(a_source())
    again = read_again(shot, "again")
    plan = Plan([(shot, [1001]), (again, [1001])])
    assert len(plan.units) == 4
    assert again.stamp(1001) == shot.stamp(1001)
    assert Shot.rebuild(again.describe()).inputs[0].reading == "again"


def test_what_the_awaited_frame_needs_is_held_back_by_the_budget_too() -> None:
    shot = a_mix(a_source("1-200"), carries=True, warm_up=None, backward=True)
    run = Run(Plan([(shot, [1])]), lanes={"read": 3, "compute": 1}, budget=40)
    assert len(list(run)) == 1
    assert run.most_bytes <= 60  # of 200 frames of 4 bytes


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


def test_a_state_is_warmed_up_after_a_long_gap_and_carried_through_a_short_one() -> None:
    ran: list[int] = []
    shot = a_mix(a_source("1001-1100"), carries=True, warm_up=8)
    plan = Plan([(shot, [1010, 1012, 1050])])
    list(Run(plan, watch=lambda made, numbers, seconds: ran.extend(numbers) if made is shot else None))
    assert sorted(ran) == [*range(1002, 1013), *range(1042, 1051)]


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


def test_the_error_names_verb_and_frame_and_comes_after_the_frames_before_it() -> None:
    plate = a_source(broken=[1010])
    smooth = a_mix(plate, windows=[[1, 1]], batch=4)
    delivered: list[int] = []
    with pytest.raises(FrameError) as caught:
        for frame in Run(Plan([(smooth, smooth.frames)])):
            delivered.append(frame.number)
    assert delivered == list(range(1001, 1009))
    assert (caught.value.verb, caught.value.number, caught.value.costs) == ("test read", 1010, (1009, 1010, 1011))
    assert str(caught.value).startswith("test read, frame 1010: frame 1010 is cut short. Render it again.")


def test_keep_going_loses_only_the_frames_that_depend_on_the_broken_one() -> None:
    smooth = a_mix(a_source(broken=[1010]), windows=[[1, 1]], batch=4)
    whole = dict(values(Run(Plan([(a_mix(a_source(), windows=[[1, 1]], batch=4), smooth.frames)]))))
    run = Run(Plan([(smooth, smooth.frames)]), keep_going=True)
    expected = [n for n in smooth.frames if n not in (1009, 1010, 1011)]
    assert values(run) == [(n, whole[n]) for n in expected]
    assert [error.number for error in run.failures] == [1010]


def test_a_state_that_is_lost_costs_every_frame_after_it() -> None:
    run = Run(Plan([(a_mix(a_source(broken=[1010]), carries=True, warm_up=None), range(1001, 1025))]), keep_going=True)
    assert [number for number, _ in values(run)] == list(range(1001, 1010))
    assert run.failures[0].costs == tuple(range(1010, 1025))


def test_a_cancel_stops_and_leaves_no_thread() -> None:
    seen: list[int] = []

    def check() -> None:
        if len(seen) == 5:
            raise Cancelled("stopped by the person")

    with pytest.raises(Cancelled):
        for frame in Run(Plan([(a_mix(a_source(delay=0.002)), range(1001, 1025))]), check=check):
            seen.append(frame.number)
    assert seen == [1001, 1002, 1003, 1004, 1005]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("matte-")]


def test_nothing_is_begun_beside_the_device_after_a_cancel() -> None:
    cancelled, begun = threading.Event(), list[int]()

    def check() -> None:
        if cancelled.is_set():
            raise Cancelled("stopped by the person")

    def watch(shot: Shot, numbers: Sequence[int], seconds: float) -> None:
        if shot.verb == "test read":
            begun.extend(numbers)
            if len(begun) == 4:
                cancelled.set()

    busy = a_mix(a_source("1001-1200", delay=0.01), lane="device", delay=0.5)
    with pytest.raises(Cancelled):
        list(Run(Plan([(busy, busy.frames)]), ahead=200, check=check, watch=watch))
    assert 4 <= len(begun) <= 6  # of the two threads that read, each ends what it had begun


def test_a_loop_that_is_left_early_leaves_no_thread() -> None:
    for _ in Run(Plan([(a_mix(a_source()), range(1001, 1025))])):
        break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("matte-")]


def test_the_budget_bounds_live_bytes_whatever_the_length() -> None:
    most = []
    for length in (40, 400):
        smooth = a_mix(a_mix(a_source(f"1-{length}")), windows=[[1, 1]], batch=2)
        run = Run(Plan([(smooth, smooth.frames)]), ahead=64, budget=100)
        list(run)
        most.append(run.most_bytes)
    assert most[1] <= most[0] + 4 * 4
    assert most[1] < 100 + 20 * 4


def test_the_stages_overlap() -> None:
    """The network of frame 2 is not left before frame 4 is read and frame 1 is written: only lanes can do that."""
    begun, read, written = threading.Event(), threading.Event(), threading.Event()

    def reading(job: Job) -> Result:
        if 2 in job.numbers:
            assert begun.wait(20)  # two threads read: frame 2 must not reach the network before frame 1
        if 4 in job.numbers:
            read.set()
        return read_number(job)

    def network(job: Job) -> Result:
        if 1 in job.numbers:
            begun.set()
        if 2 in job.numbers:
            assert read.wait(20) and written.wait(20)
        return mix(job)

    def writing(job: Job) -> Result:
        if 1 in job.numbers:
            written.set()
        return mix(job)

    for name, compute, lane in (
        ("reading", reading, "read"),
        ("network", network, "device"),
        ("writing", writing, "write"),
    ):
        VERBS[name] = Verb(name, compute, declare=lambda p, lane=lane: Declaration(lane=lane))  # type: ignore[misc]
    try:
        plate = replace(a_source("1-6"), verb="reading")
        alpha = replace(a_mix(plate), verb="network")
        assert len(values(Run(Plan([(replace(a_mix(alpha), verb="writing"), range(1, 7))])))) == 6
    finally:
        for name in ("reading", "network", "writing"):
            del VERBS[name]


def test_peak_bytes_is_what_a_serial_run_holds() -> None:
    shot = a_mix(a_source(), windows=[[2, 2]], batch=3)
    plan = Plan([(shot, shot.frames)])
    run = Run(plan, lanes=SERIAL, ahead=0)
    list(run)
    assert run.most_bytes <= plan.peak_bytes() <= 2 * run.most_bytes


def test_frames_cannot_be_written_to() -> None:
    frame = a_frame(1, 1)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 2


@pytest.mark.parametrize(("lane", "error"), [("read", SourceError), ("write", OutputError)])
def test_a_disk_that_does_not_answer_ends_the_run_in_one_sentence(lane: Any, error: type[Exception]) -> None:
    answers = threading.Event()

    def hanging(job: Job) -> Result:
        if 3 in job.numbers:
            answers.wait(60)
        return read_number(job)

    VERBS["hanging"] = Verb("hanging", hanging, declare=lambda parameters: Declaration(lane=lane))
    made = []
    try:
        shot = replace(a_source("1-6"), verb="hanging")
        with pytest.raises(error, match=r"hanging, frame 3: the disk has not answered for 0\.2 s\. .*run again"):
            for frame in Run(Plan([(shot, shot.frames)]), lanes={lane: 1}, patience=0.2):
                made.append(frame.number)
    finally:
        answers.set()
        del VERBS["hanging"]
    assert made == [1, 2]


def test_a_stop_does_not_wait_for_a_disk_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, begun = threading.Event(), threading.Event()
    monkeypatch.setattr("matte_core.patience.LEAVING", 0.2)

    def hanging(job: Job) -> Result:
        begun.set()
        answers.wait(60)
        return read_number(job)

    def stop() -> None:
        if begun.is_set():
            raise Cancelled

    VERBS["hanging"] = Verb("hanging", hanging, declare=lambda parameters: Declaration(lane="read"))
    try:
        shot, started = replace(a_source("1-6"), verb="hanging"), time.monotonic()
        with pytest.raises(Cancelled):
            list(Run(Plan([(shot, shot.frames)]), lanes={"read": 1}, check=stop))
        assert time.monotonic() - started < 30
    finally:
        answers.set()
        del VERBS["hanging"]
