"""The pull: carries out a plan, each frame once, in lanes, in bounded memory.

`Run(plan)` owns everything that moves. A unit enters a lane only when its inputs exist, so no thread ever
waits for another unit. The caller's thread is the device lane: a CUDA context, the host's interrupt and its
progress stay where the host expects them; what a device has begun is waited for in a lane of its own. A unit for
which memory was short is tried once more when nothing else is in hand. A frame is dropped after its last planned
consumer. The byte budget holds work back, that for the awaited frame only while other work is under way; it never
evicts, so nothing is computed twice. What a backward pass makes is wanted last of all and waits on disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from matte_core.aside import Aside, Waiting, brought_back, frame_of
from matte_core.errors import FrameError, SourceError, out_of_memory
from matte_core.frame import Frame
from matte_core.lanes import LANES, Begun, Lanes
from matte_core.patience import AtDisk
from matte_core.plan import Key, Plan, Unit, needs_of
from matte_core.shot import Shot
from matte_core.store import Store
from matte_core.verb import VERBS, Job, Result

BUDGET = 600_000_000  # bytes of frames that may live ahead of the awaited one
SERIAL: Mapping[str, int] = {}


class Run:
    """Frames of the plan's pulls, in order; made once, when iterated.

    lanes       threads per lane; a lane that is not named runs in the caller's thread
    ahead       pulled frames to work ahead; by default twice the largest batch and at least four
    budget      bytes of frames that may live before further work is held back
    tools       handed to every verb (the engine)
    check       called before each unit, in its thread; raises to stop (a person's cancel)
    inside      a context every verb runs in, in whatever thread (torch's inference mode is thread-local)
    watch       told of every unit that was computed: (shot, numbers, seconds)
    keep_going  a frame whose source cannot be read costs its own outputs and no others: they are
                collected in `failures` while the rest is made; any other error stops the run
    patience    seconds that a thread may wait for a disk to read or write one unit; None is PATIENCE

    Raises FrameError for the first frame that failed, after the frames before it were handed out; SourceError or
    OutputError where a disk does not answer.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        lanes: Mapping[str, int] = LANES,
        ahead: int | None = None,
        budget: int = BUDGET,
        tools: Any = None,
        check: Callable[[], None] = lambda: None,
        inside: Callable[[], AbstractContextManager[Any]] = nullcontext,
        watch: Callable[[Shot, Sequence[int], float], None] = lambda shot, numbers, seconds: None,
        keep_going: bool = False,
        patience: float | None = None,
    ) -> None:
        largest = max((len(unit.numbers) for unit in plan.units), default=1)
        self.plan = plan
        self.failures: list[FrameError] = []
        self._lanes, self._budget, self._tools, self._check = Lanes(lanes), budget, tools, check
        self._ahead = (max(4, 2 * largest) if ahead is None else ahead) * max(plan.sinks, 1)
        self._inside, self._watch, self._keep_going = inside, watch, keep_going
        self._at_disk = AtDisk(patience)
        self._changed = threading.Condition()
        self._store = Store(plan.uses)
        self._aside = Aside()
        self._state: dict[int, Any] = {}
        self._waits = [unit.waits_for for unit in plan.units]
        self._finished = [False] * len(plan.units)
        self._failed: dict[Key, FrameError] = {}
        self._reserved = self._admitted = self._awaited = self._finished_count = 0
        self._stop = False
        self._fatal: BaseException | None = None

    @property
    def most_bytes(self) -> int:
        """Most bytes of frames that lived at once."""
        return self._store.most_bytes

    def __iter__(self) -> Iterator[Frame]:
        threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"matte-{lane}", daemon=True)
            for lane, count in self._lanes.threads.items()
            for _ in range(count)
        ]
        try:
            for thread in threads:
                thread.start()
            for position, (shot, number) in enumerate(self.plan.pulls):
                self._await(position, self.plan.unit_of[id(shot), number])
                frame = self._collect(shot, number)
                if frame is not None:
                    yield frame
        finally:  # an error, a cancel, an abandoned loop: the same way out
            with self._changed:
                self._stop = True
                self._changed.notify_all()
            self._at_disk.leave(threads)
            self._store.clear()
            self._state.clear()
            self._aside.close()

    def _await(self, position: int, unit: Unit) -> None:
        """Work in the caller's thread until `unit` is finished."""
        while True:
            self._check()
            with self._changed:
                self._awaited = position
                self._admit()
                if self._fatal is not None:
                    raise self._fatal
                if self._finished[unit.index]:
                    return
                job = self._lanes.take("device")
                if job is None:
                    self._changed.wait(0.05)
                    self._at_disk.check()
                    continue
            self._execute(job)

    def _collect(self, shot: Shot, number: int) -> Frame | None:
        """The pulled frame; None where it failed and the run goes on."""
        key = (id(shot), number)
        with self._changed:
            error = self._failed.get(key)
            frame = self._store.get(key)
            self._store.release(key)
        if error is None:
            return None if frame is None else frame_of(frame)
        if not (self._keep_going and isinstance(error.cause, SourceError)):
            raise error
        if error not in self.failures:
            self.failures.append(error)
        return None

    def _admit(self) -> None:
        """Let units into their lanes, within the budget; what the awaited frame needs one by one beyond it."""
        units = self.plan.units
        while self._admitted < len(units):
            unit = units[self._admitted]
            need = unit.shot.frame_bytes * len(unit.numbers)
            full = self._store.bytes + self._reserved + need > self._budget
            # All that lies before the next unit being finished, it can be made, however full the budget.
            held_back = unit.sink > self._awaited or self._finished_count < self._admitted
            if unit.sink > self._awaited + self._ahead or (full and held_back):
                return
            self._reserved += need
            self._admitted += 1
            if self._waits[unit.index] == 0:
                self._enter(unit)

    def _enter(self, unit: Unit) -> None:
        lane = "read" if unit.kept else unit.shot.declaration.lane
        self._lanes.enter(unit, lane)
        self._changed.notify_all()

    def _work(self, lane: str) -> None:
        while True:
            with self._changed:
                while not self._stop and (unit := self._lanes.take(lane)) is None:
                    self._changed.wait()
                if self._stop or unit is None:
                    return
            try:
                self._check()  # a stop is heard while the device is busy: nothing more is begun beside it
                with self._at_disk.waiting(lane, f"{unit.shot.verb}, frame {unit.numbers[0]}"):
                    self._execute(unit)
            except BaseException as fatal:  # handed to the caller's thread, which raises it
                with self._changed:
                    self._fatal = self._fatal or fatal
                    self._stop = True
                    self._changed.notify_all()
                return

    def _execute(self, unit: Unit) -> None:
        """Compute the unit, or wait for what the device has begun of it, and settle what came of it."""
        with self._changed:
            begun = self._lanes.begun.get(unit.index)
            job, cause = (begun.job, begun.cause) if begun else self._gather(unit)
        result, error, started = Result(()), None, time.perf_counter() - (begun.seconds if begun else 0.0)
        made: Sequence[Frame | Waiting] = ()
        if job.numbers:
            try:
                job = brought_back(job)
                with self._inside():
                    result = self._result(unit, job, begun)
                if result.finish is not None:
                    with self._changed:
                        self._lanes.begin(unit, Begun(job, cause, result, time.perf_counter() - started))
                        self._changed.notify_all()
                    return
                result.expect(job)
                made = self._put_aside(unit, result)
            except Exception as failure:
                if out_of_memory(failure) and self._again(unit):
                    return
                error = self._error(unit, job, failure)
            else:
                self._computed(unit, result, time.perf_counter() - started)
        numbers = job.numbers
        del job, begun  # the inputs are let go before they are counted as free
        with self._changed:
            self._lanes.done(unit)
            failed = error or cause
            errors = {n: failed for n in unit.numbers if failed and (error or n not in numbers)}
            self._settle(unit, result, made, errors)

    def _put_aside(self, unit: Unit, result: Result) -> Sequence[Frame | Waiting]:
        """The frames of a unit as they wait for their consumers: those of a backward pass on disk."""
        if not unit.shot.declaration.backward:
            return result.frames
        return [self._aside.put(frame) for frame in result.frames if self._store.wanted((id(unit.shot), frame.number))]

    def _result(self, unit: Unit, job: Job, begun: Begun | None) -> Result:
        """What the unit's verb makes; where nobody else waits for what a device has begun, all of it."""
        if begun is not None:
            result = begun.result
        else:
            result = self._fetch(unit) if unit.kept else VERBS[unit.shot.verb].compute(job)
            if result.finish is None or self._lanes.threads.get("finish"):
                return result
        assert result.finish is not None
        return Result(result.finish(), result.state)

    def _again(self, unit: Unit) -> bool:
        """Whether the unit is tried once more, when nothing else takes memory beside it. A state is gone by then."""
        with self._changed:
            again = unit.previous is None and self._lanes.put_aside(unit)
            self._changed.notify_all()
            return again

    def _error(self, unit: Unit, job: Job, failure: Exception) -> FrameError:
        number = getattr(failure, "number", job.numbers[0])
        number = number if number in job.numbers else job.numbers[0]
        return FrameError(unit.shot.verb, number, failure, self.plan.costs(unit.shot, job.numbers), unit.shot.maker)

    def _fetch(self, unit: Unit) -> Result:
        kept = self.plan.kept
        return Result([kept.fetch(unit.shot, number) for number in unit.numbers] if kept is not None else [])

    def _computed(self, unit: Unit, result: Result, seconds: float) -> None:
        """Tell who watches, and keep what was computed; a frame that was fetched was not computed."""
        if unit.kept:
            return
        self._watch(unit.shot, [frame.number for frame in result.frames], seconds)
        kept = self.plan.kept
        for frame in result.frames:  # one that only warmed a state is not the answer
            if kept is not None and self.plan.uses[id(unit.shot), frame.number]:
                kept.put(unit.shot, frame)

    def _gather(self, unit: Unit) -> tuple[Job, FrameError | None]:
        """The unit's job without the frames that cannot be made, and the error that costs those."""
        lost = unit.lost(self._failed)
        numbers = [number for number in unit.numbers if number not in lost]
        cause = self._cause(unit) if lost else None
        needs = needs_of(unit.shot, numbers) if lost else unit.needs
        frames: list[dict[int, Any]] = [
            {n: self._store[id(source), n] for n in wanted}
            for source, wanted in zip(unit.shot.inputs, needs, strict=True)
        ]
        state = self._state.pop(unit.previous.index, None) if unit.previous is not None else None
        return Job(unit.shot, numbers, frames, state, self._tools), cause

    def _cause(self, unit: Unit) -> FrameError | None:
        return next((self._failed[key] for key in unit.depends_on() if key in self._failed), None)

    def _settle(
        self, unit: Unit, result: Result, made: Sequence[Frame | Waiting], errors: Mapping[int, FrameError]
    ) -> None:
        """Store what a unit made, let go of what it used, and let in what waited for it."""
        self._failed.update({(id(unit.shot), number): error for number, error in errors.items()})
        self._reserved -= unit.shot.frame_bytes * len(unit.numbers)
        for frame in made:
            self._store.keep((id(unit.shot), frame.number), frame)
        for source, numbers in zip(unit.shot.inputs, unit.needs, strict=True):
            for number in numbers:
                self._store.release((id(source), number))
        if any(other.previous is unit for other in unit.dependants):
            self._state[unit.index] = result.state
        self._finished[unit.index] = True
        self._finished_count += 1
        for other in unit.dependants:
            self._waits[other.index] -= 1
            if self._waits[other.index] == 0 and other.index < self._admitted:
                self._enter(other)
        self._changed.notify_all()


def frames(shot: Shot, numbers: Sequence[int] | None = None, *, tools: Any = None) -> Iterator[Frame]:
    """Frames of one shot, in order, computed in the caller's thread: for previews, measurements and tests."""
    plan = Plan([(shot, shot.frames if numbers is None else numbers)])
    return iter(Run(plan, lanes=SERIAL, tools=tools))
