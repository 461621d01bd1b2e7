"""States: what a frame depends on, warm-up, and what is lost with a frame."""

from __future__ import annotations

import pytest

from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run

from .conftest import a_mix, a_source, values


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


def test_a_state_is_warmed_up_after_a_long_gap_and_carried_through_a_short_one() -> None:
    ran: list[int] = []
    shot = a_mix(a_source("1001-1100"), carries=True, warm_up=8)
    plan = Plan([(shot, [1010, 1012, 1050])])
    list(Run(plan, watch=lambda made, numbers, seconds: ran.extend(numbers) if made is shot else None))
    assert sorted(ran) == [*range(1002, 1013), *range(1042, 1051)]


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
