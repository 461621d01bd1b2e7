"""Errors, cancels and disks that do not answer: one sentence, and no thread left."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from matte_core.errors import Cancelled, FrameError, OutputError, SourceError
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.shot import Shot
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

from .conftest import a_mix, a_source, read_number


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
