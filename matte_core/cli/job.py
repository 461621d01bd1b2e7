"""The frames of one command: what is left to do, made and counted; a stop that loses nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from matte_core.cli.screen import Screen
from matte_core.engine.engine import Engine
from matte_core.engine.running import run_with
from matte_core.errors import Cancelled, FrameError
from matte_core.frame import REMARK, FrameRange
from matte_core.io.claims import Wanted
from matte_core.io.writer import outputs, pending, stamped
from matte_core.plan import Plan
from matte_core.shot import Shot

PARENT = "MATTE_WORKER_OF"  # the process that started this one as a worker, and whose end is its own


class Stop:
    """Turns Ctrl-C and SIGTERM into a stop after the frame in hand; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.signal = 0
        self._parent = int(os.environ.get(PARENT, "0"))

    def check(self) -> None:
        """Raises Cancelled once a signal has come, or the process that this one works for is gone."""
        if self._parent and os.getppid() != self._parent:
            self.signal = self.signal or signal.SIGTERM
        if self.signal:
            raise Cancelled

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Listens while the block runs; in a thread other than the main one it cannot and does not."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number


class Job:
    """Receipts and the frames wanted of each; what of them is `left` once `begin` has looked."""

    def __init__(self, work: Sequence[tuple[Shot, FrameRange]], engine: Engine, screen: Screen) -> None:
        self.stop, self.screen = Stop(), screen
        self.left = list(work)
        self.total, self.finished = len(self.unfinished), 0
        self._engine = engine
        self._made: list[int] = []
        self._failures: list[FrameError] = []

    @property
    def unfinished(self) -> FrameRange:
        """Frames of which any file is left to do."""
        return FrameRange(number for _, numbers in self.left for number in numbers)

    def outputs(self, chunk: FrameRange) -> Wanted:
        """The patterns that are written, and what is left of each within `chunk`."""
        return outputs([(shot, FrameRange(n for n in numbers if n in chunk)) for shot, numbers in self.left])

    def begin(self) -> None:
        """Looks which frames are finished already, by decoding them."""
        self.left = [(shot, pending(shot, numbers)) for shot, numbers in self.left]
        self.finished = self.total - len(self.unfinished)
        self.screen.start(self.total, self.finished)

    def look_again(self, chunk: FrameRange) -> None:
        """Takes away what other processes finished meanwhile: a stamp under its name is a whole file."""
        before = len(self.unfinished)
        self.left = [
            (shot, FrameRange(n for n in numbers if n not in chunk or not stamped(shot, n)))
            for shot, numbers in self.left
        ]
        others = before - len(self.unfinished)
        if others:
            self.finished += others
            self.screen.others(others)

    def make(self, chunk: FrameRange) -> None:
        """Makes what is left of `chunk`; frames whose sources cannot be read are passed over. Raises Cancelled."""
        pulls = [(shot, [n for n in numbers if n in chunk]) for shot, numbers in self.left]
        pulls = [(shot, numbers) for shot, numbers in pulls if numbers]
        if not pulls:
            return
        files = Counter(number for _, numbers in pulls for number in numbers)
        run = run_with(self._engine, Plan(pulls), self.stop.check, keep_going=True)
        for frame in run:
            remark = frame.header.attribute(REMARK)
            if remark:
                self.screen.note(f"frame {frame.number}: {remark}.")
            files[frame.number] -= 1
            if not files[frame.number]:
                self._made.append(frame.number)
                self.finished += 1
                self.screen.frame(frame.number)
        self._failures += run.failures
        self.left = [(shot, FrameRange(n for n in numbers if n not in chunk)) for shot, numbers in self.left]

    def end(self) -> int:
        """Says how it went; the exit code: 0 when all is done, 5 when frames could not be made."""
        if not self._failures:
            self.screen.end(f"Done: {self.total} frames.", finished=self.total, total=self.total)
            return 0
        self.screen.stop()
        for error in self._failures:
            self.screen.error(str(error), FrameError.exit_code)
        lost = sorted({number for error in self._failures for number in error.costs})
        self.screen.end(
            f"{len(lost)} frames are missing ({', '.join(map(str, lost[:8]))}{', …' if len(lost) > 8 else ''}); "
            f"{len(self._made)} were made. Mend the plate and run the same command again: only these frames are made.",
            missing=lost,
        )
        return FrameError.exit_code

    def stopped(self) -> int:
        """Says that it was stopped and loses nothing; the exit code of the signal."""
        self.screen.end(
            f"Stopped: {self.finished} of {self.total} frames are finished. Run the same command again to go on.",
            finished=self.finished,
            total=self.total,
            stopped=True,
        )
        return 128 + self.stop.signal
