"""Memory held back by a budget, and stages that overlap."""

from __future__ import annotations

import threading
from dataclasses import replace

from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

from .conftest import a_mix, a_source, mix, read_number, values


def test_what_the_awaited_frame_needs_is_held_back_by_the_budget_too() -> None:
    shot = a_mix(a_source("1-200"), carries=True, warm_up=None, backward=True)
    run = Run(Plan([(shot, [1])]), lanes={"read": 3, "compute": 1}, budget=40)
    assert len(list(run)) == 1
    assert run.most_bytes <= 60  # of 200 frames of 4 bytes


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
