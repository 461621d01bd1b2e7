"""`--workers N`: the same command started N times on this machine, and told as one.

This is the one module of Matte that starts a program, and the program is Matte.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from matte_core.cli.job import PARENT, Stop
from matte_core.cli.screen import Screen
from matte_core.errors import Cancelled, FrameError, MatteError, UsageError

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
MOST = 256

Event = Mapping[str, Any]


def count_of(asked: str) -> int:
    """How many workers `--workers` means: a number, or "auto": one per graphics card. Raises UsageError."""
    if asked == "auto":
        return max(torch.cuda.device_count(), 1)
    if not asked.isdecimal() or not 1 <= int(asked) <= MOST:
        raise UsageError(f"--workers is a number from 1 to {MOST}, or auto, not '{asked}'.")
    return int(asked)


def devices(asked: str, count: int) -> list[str]:
    """A device for each worker: the cards in turn where there are several, else all the same."""
    cards = torch.cuda.device_count() if asked in ("auto", "cuda") else 0
    return [f"cuda:{place % cards}" if cards > 1 else asked for place in range(count)]


def environment(count: int) -> dict[str, str]:
    """The workers' environment: the processor's cores are split between them, unless fewer were asked for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, cores // count)
    said = {name: os.environ.get(name, "") for name in THREADS}
    threads = {name: str(min(share, int(value)) if value.isdecimal() else share) for name, value in said.items()}
    return {**os.environ, **threads, PARENT: str(os.getpid())}


def run_workers(arguments: Sequence[str], count: int, device: str, screen: Screen) -> int:
    """Runs the command `arguments` in `count` processes that share its frames; returns the exit code of the whole.

    A worker that dies leaves its frames to the others. Ctrl-C and SIGTERM stop all of them after the frame in hand;
    they stop by themselves where this process is killed.
    """
    told: queue.SimpleQueue[tuple[int, Event | None]] = queue.SimpleQueue()
    workers = []
    for place, chosen in enumerate(devices(device, count)):
        own = ["--share", "--workers", "1", "--device", chosen, "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "matte_core", *arguments, *own],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(count),
            start_new_session=True,  # Ctrl-C reaches this process alone, which hands it on once
        )
        workers.append(process)
        threading.Thread(target=_listen, args=(place, process, told), daemon=True).start()
    try:
        return _Foreman(workers, screen).attend(told)
    finally:
        for process in workers:
            if process.poll() is None:
                process.kill()
            process.wait()


def _listen(place: int, process: subprocess.Popen[str], told: queue.SimpleQueue[tuple[int, Event | None]]) -> None:
    """Hands on every event of a worker, and None at its end."""
    with process:  # waits for its end, and closes the stream
        for line in process.stdout or ():
            try:
                told.put((place, json.loads(line)))
            except ValueError:
                sys.stderr.write(line)
    told.put((place, None))


class _Foreman:
    """Tells the workers' events as those of one job."""

    def __init__(self, workers: Sequence[subprocess.Popen[str]], screen: Screen) -> None:
        self._workers, self._screen = workers, screen
        self._said: set[str] = set()
        self._made: set[int] = set()
        self._lost: set[int] = set()
        self._already, self._total = 0, -1

    def attend(self, told: queue.SimpleQueue[tuple[int, Event | None]]) -> int:
        working, stop, handed_on = len(self._workers), Stop(), False
        with stop.listening():
            while working:
                try:
                    place, event = told.get(timeout=0.2)
                except queue.Empty:
                    place, event = -1, {}
                if event is None:
                    working -= 1
                    self._left(place, working)
                elif event:
                    self._tell(event)
                if not handed_on and _asked(stop):
                    handed_on = True
                    for process in self._workers:
                        process.send_signal(signal.SIGINT)
        return self._end(stop.signal)

    def _tell(self, event: Event) -> None:
        name, message = event["event"], str(event.get("message", ""))
        if name == "start" and self._total < 0:
            self._total, self._already = event["total"], event["already_finished"]
            self._screen.start(self._total, self._already)
        elif name == "frame" and event["number"] not in self._made:
            self._made.add(event["number"])
            self._screen.frame(event["number"])
        elif name == "done":
            self._lost.update(event.get("missing", ()))
        elif name in ("note", "error") and message not in self._said:
            self._said.add(message)
            if name == "note":
                self._screen.note(message)
            else:
                self._screen.error(message, event["exit_code"])

    def _left(self, place: int, working: int) -> None:
        code = self._workers[place].returncode
        if code < 0 or code == MatteError.exit_code:
            how = f"was killed (signal {-code})" if code < 0 else f"failed (exit code {code})"
            others = "The others make its frames." if working else "No other is left."
            self._screen.note(f"Worker {place + 1} {how}. {others}")

    def _end(self, stopped: int) -> int:
        codes = [process.returncode for process in self._workers]
        finished = self._already + len(self._made)
        if 0 in codes:  # a worker that ends well has seen every frame finished
            self._screen.end(f"Done: {self._total} frames.", finished=self._total, total=self._total)
            return 0
        if stopped:
            self._screen.end(
                f"Stopped: {finished} of {self._total} frames are finished. Run the same command again to go on.",
                finished=finished,
                total=self._total,
                stopped=True,
            )
            return 128 + stopped
        if FrameError.exit_code in codes:
            self._screen.end(
                f"{len(self._lost)} frames are missing; {len(self._made)} were made. Mend the plate and run the same "
                "command again: only these frames are made.",
                missing=sorted(self._lost),
            )
            return FrameError.exit_code
        return max((code for code in codes if code > 0), default=MatteError.exit_code)


def _asked(stop: Stop) -> bool:
    try:
        stop.check()
    except Cancelled:
        return True
    return False
