"""Pulls receipts to the end for the command: progress, a stop that loses nothing, resume, exit codes."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import torch

from matte_core.cli.screen import Screen
from matte_core.engine.engine import Engine
from matte_core.errors import Cancelled, FrameError
from matte_core.frame import FrameRange
from matte_core.io.writer import check_output, pending, sweep
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.shot import Shot

M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 1 << 20  # glibc's number for the setting; bytes from which a block is large


def return_freed_memory() -> None:
    """Lets the C library give large blocks back at once, so that a long shot takes no more memory than a short one.

    glibc otherwise raises its own threshold to 32 MB and keeps freed frames in its heap, where they fragment.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


class Stop:
    """Turns Ctrl-C and SIGTERM into a stop after the frame in hand; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.signal = 0

    def check(self) -> None:
        """Raises Cancelled once a signal has come."""
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


def deliver(
    receipts: Sequence[Shot], wanted: FrameRange | None, device: torch.device, overwrite: bool, screen: Screen
) -> int:
    """Makes what is not finished yet of `receipts`, for the frames `wanted` (None: all); returns the exit code.

    Raises OutputError or UsageError, before anything is computed, where a receipt cannot be written.
    """
    work, every = [], set[int]()
    for receipt in receipts:
        numbers = FrameRange(n for n in receipt.frames if wanted is None or n in wanted)
        check_output(receipt, overwrite=overwrite, numbers=numbers)
        sweep(receipt)
        work.append((receipt, pending(receipt, numbers)))
        every.update(numbers)
    return finish([(shot, numbers) for shot, numbers in work if numbers], len(every), Engine(device, find), screen)


def finish(receipts: Sequence[tuple[Shot, Sequence[int]]], total: int, engine: Engine, screen: Screen) -> int:
    """Pulls every receipt of `receipts` (shot, pending numbers); returns the exit code.

    `total` counts the frames of the whole job, finished ones included. 0 when all is done; 5 when frames
    could not be made, after all others were; 130 or 143 when stopped.
    """
    return_freed_memory()
    unfinished = sorted({number for _, numbers in receipts for number in numbers})
    screen.start(total, total - len(unfinished))
    done: list[int] = []
    stop = Stop()
    with stop.listening():
        run = Run(
            Plan(receipts),
            tools=engine,
            check=stop.check,
            inside=torch.inference_mode,
            keep_going=True,
        )
        left = {number: sum(number in numbers for _, numbers in receipts) for number in unfinished}
        try:
            for frame in run:
                left[frame.number] -= 1
                if not left[frame.number]:
                    done.append(frame.number)
                    screen.frame(frame.number)
        except Cancelled:
            finished = total - len(unfinished) + len(done)
            screen.end(
                f"Stopped: {finished} of {total} frames are finished. Run the same command again to go on.",
                finished=finished,
                total=total,
                stopped=True,
            )
            return 128 + stop.signal
    if run.failures:
        return _report(run.failures, len(done), screen)
    screen.end(f"Done: {total} frames.", finished=total, total=total)
    return 0


def _report(failures: Sequence[FrameError], done: int, screen: Screen) -> int:
    screen.stop()
    lost = sorted({number for error in failures for number in error.costs})
    for error in failures:
        screen.error(str(error), FrameError.exit_code)
    screen.end(
        f"{len(lost)} frames are missing ({', '.join(map(str, lost[:8]))}{', …' if len(lost) > 8 else ''}); "
        f"{done} were made. Mend the plate and run the same command again: only these frames are made.",
        missing=lost,
    )
    return FrameError.exit_code
