"""The queue of prompts, what became of them, and the thread that works on them."""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from matte_core.studio.control import Control
from matte_core.studio.prompt import Prompt

MOST_REMEMBERED = 500


@dataclass(frozen=True, order=True)
class Job:
    """One prompt in the queue; the lowest number is next."""

    number: float
    id: str
    prompt: Prompt = field(compare=False)
    extra: dict[str, Any] = field(compare=False)
    outputs: list[str] = field(compare=False)
    client: str | None = field(compare=False)
    created: int = field(compare=False, default_factory=lambda: int(time.time() * 1000))

    def item(self) -> list[Any]:
        """The job as /queue and /history list it."""
        return [self.number, self.id, self.prompt, {**self.extra, "create_time": self.created}, self.outputs]


@dataclass(frozen=True)
class Outcome:
    """What the output nodes showed, whether all went well, and the messages on the way."""

    shown: dict[str, dict[str, list[Any]]]
    success: bool
    messages: list[tuple[str, dict[str, Any]]]

    def times(self) -> dict[str, int]:
        """When each kind of message was sent, in milliseconds since 1970."""
        return {event: data["timestamp"] for event, data in self.messages}


class Queue:
    """Prompts that wait, the one that runs, and those that are over. Every method may be called in any thread."""

    def __init__(self, control: Control, changed: Callable[[], None]) -> None:
        self._control, self._changed = control, changed
        self._condition = threading.Condition()
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._over: OrderedDict[str, tuple[Job, Outcome]] = OrderedDict()
        self._count = 0
        self._closed = False

    def put(self, prompt: Prompt, outputs: list[str], extra: dict[str, Any], client: str | None, front: bool) -> Job:
        """The prompt as a job at the end, or in front of the others."""
        with self._condition:
            self._count += 1
            number = float(-self._count if front else self._count)
            job = Job(number, str(uuid4()), prompt, extra, outputs, client)
            heapq.heappush(self._waiting, job)
            self._condition.notify()
        self._changed()
        return job

    def take(self) -> Job | None:
        """The next job, waited for; None when the server goes."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._running = heapq.heappop(self._waiting)
            self._control.clear()
            job = self._running
        self._changed()
        return job

    def finish(self, outcome: Outcome) -> None:
        """The running job is over."""
        with self._condition:
            if self._running is not None:
                self._over[self._running.id] = (self._running, outcome)
                self._running = None
            while len(self._over) > MOST_REMEMBERED:
                self._over.popitem(last=False)
        self._changed()

    def interrupt(self, identifier: str | None = None) -> bool:
        """Stops the running job, if it is the one that is meant (None: whichever)."""
        with self._condition:
            hit = self._running is not None and identifier in (None, self._running.id)
            if hit:
                self._control.interrupt()
        return hit

    def cancel(self, identifier: str) -> bool:
        """Stops a job or takes it out of the queue; whether there was one."""
        return self.interrupt(identifier) or self.remove({identifier}) > 0

    def remove(self, identifiers: set[str] | None) -> int:
        """Takes waiting jobs out of the queue (None: all); how many."""
        with self._condition:
            kept = [job for job in self._waiting if identifiers is not None and job.id not in identifiers]
            gone = len(self._waiting) - len(kept)
            heapq.heapify(kept)
            self._waiting = kept
        self._changed()
        return gone

    def forget(self, identifiers: set[str] | None) -> None:
        """Drops finished jobs from the history (None: all)."""
        with self._condition:
            for identifier in list(self._over) if identifiers is None else identifiers:
                self._over.pop(identifier, None)

    def close(self) -> None:
        """Ends the wait for further jobs, and the running one."""
        with self._condition:
            self._closed = True
            self._control.interrupt()
            self._condition.notify_all()

    def waiting(self) -> list[Job]:
        with self._condition:
            return sorted(self._waiting)

    def running(self) -> list[Job]:
        with self._condition:
            return [self._running] if self._running is not None else []

    def over(self) -> list[tuple[Job, Outcome]]:
        """Finished jobs, the oldest first."""
        with self._condition:
            return list(self._over.values())

    def left(self) -> int:
        """How many jobs wait or run."""
        with self._condition:
            return len(self._waiting) + (self._running is not None)


def work(queue: Queue, run: Callable[[Job], Outcome], done: Callable[[Job], None]) -> None:
    """Carries out jobs until the queue is closed; the body of the worker's thread."""
    while (job := queue.take()) is not None:
        queue.finish(run(job))
        done(job)
