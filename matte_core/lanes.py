"""Which unit is taken next, and in which lane; whoever asks holds the run's lock."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import NamedTuple

from matte_core.errors import FrameError
from matte_core.plan import Unit
from matte_core.verb import Job, Result

LANES: Mapping[str, int] = {"read": 2, "compute": 1, "write": 1, "finish": 1}  # threads beside the caller's own
AHEAD_ON_DEVICE = 2  # units that a device may have begun and not given back


class Begun(NamedTuple):
    """A unit whose frames are on their way from the device, and the seconds it has taken so far."""

    job: Job
    cause: FrameError | None
    result: Result
    seconds: float


class Lanes:
    """Units that may be taken, lane by lane; "device" is the caller's thread, and does what has no lane of its own.

    `begun` holds what a device has begun, by unit: it is waited for in the lane "finish". A unit that is put `aside`
    is taken in the caller's thread when nothing else is in hand: it has the memory for itself.
    """

    def __init__(self, threads: Mapping[str, int]) -> None:
        self.threads = threads
        self.begun: dict[int, Begun] = {}
        self._ready: dict[str, list[Unit]] = {lane: [] for lane in (*LANES, "device")}
        self._aside: list[Unit] = []
        self._tried: set[int] = set()
        self._in_hand = 0

    def enter(self, unit: Unit, lane: str) -> None:
        """`unit` may be taken in `lane`, or by the caller where that lane has no thread."""
        heapq.heappush(self._ready[lane if self.threads.get(lane) else "device"], unit)

    def take(self, lane: str) -> Unit | None:
        """The next unit of `lane`, which is in hand then; None while there is none that may be begun."""
        if lane == "device" and self._aside:
            return None if self._in_hand or self.begun else self._taken(self._aside.pop())
        full = lane == "device" and len(self.begun) >= AHEAD_ON_DEVICE
        if not self._ready[lane] or full or (self._aside and lane != "finish"):
            return None
        return self._taken(heapq.heappop(self._ready[lane]))

    def _taken(self, unit: Unit) -> Unit:
        self._in_hand += 1
        return unit

    def begin(self, unit: Unit, work: Begun) -> None:
        """The device has begun `unit`; `work` is what `begun` holds until it is given back."""
        self.begun[unit.index] = work
        self._in_hand -= 1
        self.enter(unit, "finish")

    def put_aside(self, unit: Unit) -> bool:
        """Whether `unit`, which is in hand, is tried again by itself: once."""
        if unit.index in self._tried:
            return False
        self.done(unit)
        self._tried.add(unit.index)
        self._aside.append(unit)
        return True

    def done(self, unit: Unit) -> None:
        """`unit` is in hand no longer."""
        self.begun.pop(unit.index, None)
        self._in_hand -= 1
