"""Lanes: what a device has begun is waited for beside it; what lacks memory is tried again by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from matte_core.errors import FrameError
from matte_core.frame import Frame, FrameRange, Header, Window
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot, make
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

HEADER = Header(Window(0, 0, 1, 1), Window(0, 0, 1, 1))


def a_frame(value: float, number: int) -> Frame:
    return Frame(np.full((1, 1, 1), value, np.float32), number, HEADER)


def numbers(job: Job) -> Result:
    return Result([a_frame(float(number), number) for number in job.numbers])


def source(count: int) -> Shot:
    frames = FrameRange(range(1001, 1001 + count))
    return make("numbers", (), kind="plate", frames=frames, header=HEADER, channels=["A"])


def begins_late(job: Job) -> Result:
    """Answers as a device does: the frames come when `finish` is called, in another thread."""
    started.append(job.numbers[0])
    made = [a_frame(float(job.one(0, n).pixels[0, 0, 0]) + 1, n) for n in job.numbers]

    def finish() -> Sequence[Frame]:
        time.sleep(0.02)
        finished.append((job.numbers[0], threading.current_thread().name, len(started)))
        return made

    return Result((), job.state, finish)


def sometimes_short(job: Job) -> Result:
    """Runs out of memory at its first try, and notes how many others are at work beside it."""
    number = job.numbers[0]
    with beside:
        at_work.append(number)
        crowd = len(at_work)
    try:
        time.sleep(0.01)
        if number not in tried:
            tried[number] = crowd
            raise MemoryError("Unable to allocate 3.00 GiB")
        tried[number] = crowd
        return Result([a_frame(float(job.one(0, number).pixels[0, 0, 0]), number)])
    finally:
        with beside:
            at_work.remove(number)


def always_short(job: Job) -> Result:
    raise MemoryError("Unable to allocate 3.00 GiB")


started: list[int] = []
finished: list[tuple[int, str, int]] = []
at_work: list[int] = []
tried: dict[int, int] = {}
beside = threading.Lock()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    for name, compute, lane in (
        ("numbers", numbers, "read"),
        ("begins late", begins_late, "device"),
        ("sometimes short", sometimes_short, "compute"),
        ("always short", always_short, "compute"),
    ):
        VERBS[name] = Verb(name, compute, declare=lambda parameters, lane=lane: Declaration(lane=lane))  # type: ignore[misc]
    for held in (started, finished, at_work, tried):
        held.clear()
    yield
    for name in ("numbers", "begins late", "sometimes short", "always short"):
        del VERBS[name]


def values(run: Run) -> list[float]:
    return [float(frame.pixels[0, 0, 0]) for frame in run]


def test_what_a_device_has_begun_is_waited_for_beside_it_and_no_more_than_two_are() -> None:
    shot = make("begins late", [source(8)])
    plain = values(Run(Plan([(shot, shot.frames)]), lanes=SERIAL))
    started.clear()
    finished.clear()
    assert values(Run(Plan([(shot, shot.frames)]))) == plain
    assert {name for _, name, _ in finished} == {"matte-finish"}
    ahead = [begun - place for place, (_, _, begun) in enumerate(finished)]
    assert max(ahead) == 2, "the next one is begun while one is waited for, and never more"


def test_a_unit_that_lacks_memory_is_tried_again_with_nothing_beside_it() -> None:
    shot = make("sometimes short", [source(6)])
    lanes = {"read": 2, "compute": 3, "write": 1, "finish": 1}
    run = Run(Plan([(shot, shot.frames)]), lanes=lanes)
    assert len(values(run)) == 6 and set(tried.values()) == {1}


def test_one_that_lacks_memory_even_alone_ends_in_its_error() -> None:
    shot = make("always short", [source(3)])
    with pytest.raises(FrameError, match=r"always short, frame 1001: MemoryError: Unable to allocate 3\.00 GiB"):
        values(Run(Plan([(shot, shot.frames)])))
