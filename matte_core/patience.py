"""Disks that do not answer: work on files watched from outside, since a read that hangs cannot be interrupted.

A thread that waits for such a disk is left behind; it keeps neither the run nor the process. Patience is counted
while the process runs: one that was stopped for a while and continued has not waited for its disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from matte_core.errors import OutputError, SourceError

PATIENCE = 300.0  # seconds in which a disk must have read or written a frame
LEAVING = 15.0  # seconds for which a run that is over waits for it
TICK = 0.5  # seconds after which whoever waits looks again
LATE = 2.0  # a look that comes later than this: the process did not run meanwhile

Answer = TypeVar("Answer")


class Awake:
    """A clock of the time in which this process ran: between two looks at it no more than `most` seconds go by.

    Whoever waits looks at it all the time, so that only a process that was stopped, or got no processor, looks late.
    """

    def __init__(self, most: float) -> None:
        self._most, self._lock = most, threading.Lock()
        self._seconds, self._looked = 0.0, time.monotonic()

    def seconds(self) -> float:
        """Seconds since it was made, as far as the process ran."""
        with self._lock:
            now = time.monotonic()
            self._seconds += min(now - self._looked, self._most)
            self._looked = now
            return self._seconds


class AtDisk:
    """Threads that wait for a disk, each with what it does there and since when; no longer than `patience` seconds."""

    def __init__(self, patience: float | None = None) -> None:
        self._patience = PATIENCE if patience is None else patience
        self._awake = Awake(min(LATE, self._patience / 4))
        self._waiting: dict[threading.Thread, tuple[str, str, float]] = {}

    @contextmanager
    def waiting(self, lane: str, what: str) -> Iterator[None]:
        """While it is open, this thread may wait for a disk, where `lane` is one that does."""
        thread = threading.current_thread()
        if lane in ("read", "write"):
            self._waiting[thread] = (lane, what, self._awake.seconds())
        try:
            yield
        finally:
            self._waiting.pop(thread, None)

    def check(self) -> None:
        """Raises SourceError or OutputError where a disk keeps a thread waiting for too long."""
        now = self._awake.seconds()
        for lane, what, since in list(self._waiting.values()):
            if now - since > self._patience:
                problem = SourceError if lane == "read" else OutputError
                raise problem(
                    f"{what}: the disk has not answered for {self._patience:g} s. "
                    "Check it and its server, then run again: finished frames are kept."
                )

    def leave(self, threads: list[threading.Thread]) -> None:
        """Waits until the threads are over, but not for one that hangs in a disk."""
        most = min(self._patience, LEAVING)
        for thread in threads:
            while thread.is_alive():
                waits = self._waiting.get(thread)
                if waits is not None and self._awake.seconds() - waits[2] > most:
                    break
                thread.join(TICK)


def attended(work: Callable[[Callable[[str], None]], Answer]) -> Answer:
    """What `work` gives back; it is handed a function and calls it with the name of each file that it turns to.

    Raises SourceError where one file keeps it for longer than PATIENCE, and whatever `work` raises.
    """
    awake = Awake(min(LATE, PATIENCE / 4))
    latest = ("", 0.0)
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def turn_to(name: str) -> None:
        nonlocal latest
        latest = (name, awake.seconds())

    def carry_out() -> None:
        try:
            answers.append(work(turn_to))
        except BaseException as error:  # raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=carry_out, name="matte-files", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(min(TICK, PATIENCE / 4))
        name, since = latest
        if thread.is_alive() and awake.seconds() - since > PATIENCE:
            raise SourceError(
                f"{name or 'The disk'} has not answered for {PATIENCE:g} s. Check the disk, then run again."
            )
    if errors:
        raise errors[0]
    return answers[0]
