"""A plan run with an engine: its memory shared out, its threads too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from matte_core.engine.engine import Engine
from matte_core.engine.room import resident
from matte_core.engine.threads import file_threads, in_lane, steps_at_once
from matte_core.io.image import library_threads
from matte_core.lanes import LANES
from matte_core.plan import Plan
from matte_core.pull import BUDGET, SERIAL, Run

_SCRATCH = 3  # frames' worth of memory that a thread takes while it reads, writes or computes one
_LIBRARIES = 450_000_000  # where the system does not tell what the process holds
_LATER = 120_000_000  # of libraries that are loaded with the first frame


@dataclass(frozen=True)
class Shares:
    """Threads per lane, frames ahead (None: as usual), bytes of frames that live, and bytes for all but the step."""

    lanes: Mapping[str, int]
    ahead: int | None
    frames: int
    beside: int


def shares(plan: Plan, budget: int | None, steps: int = 1) -> Shares:
    """How `budget` bytes of the host's memory are shared: half the room at most is for what goes on beside the step.

    Where that is too little there are fewer threads and fewer frames ahead, and at last nothing beside the step.
    `steps` are taken at once where nothing is scarce: the caller takes one, threads beside it the others.
    """
    wide = {**LANES, "device": steps - 1} if steps > 1 else LANES
    if budget is None:
        return Shares(wide, None, BUDGET, 0)
    room = budget - (resident() or _LIBRARIES)
    least = plan.peak_bytes()
    scratch = _SCRATCH * max((unit.shot.frame_bytes for unit in plan.units), default=0)
    one_each = dict.fromkeys(LANES, 1)
    for lanes, ahead, frames in ((wide, None, max(BUDGET, least)), (one_each, None, 2 * least), (one_each, 1, least)):
        beside = frames + scratch * sum(lanes.values())
        if beside <= room // 2:
            return Shares(lanes, ahead, frames, beside)
    return Shares(SERIAL, 0, least, 0)


def run_with(engine: Engine, plan: Plan, check: Callable[[], None] = lambda: None, keep_going: bool = False) -> Run:
    """A run of `plan` within the engine's budget, for a program that has the machine for itself."""
    budget = engine.room.budget
    steps = steps_at_once(engine.device) if budget is None else 1  # a budget is for one step at its best
    share = shares(plan, budget, steps)
    engine.room = replace(engine.room, beside=share.beside, base=(resident() or _LIBRARIES) + _LATER)
    library_threads(file_threads() if share.lanes else 0)
    return Run(
        plan,
        lanes=share.lanes,
        ahead=share.ahead,
        budget=share.frames,
        tools=engine,
        check=check,
        inside=in_lane(engine.device, 1 + share.lanes.get("device", 0)),
        keep_going=keep_going,
    )
