"""What an answer costs: seconds, processor seconds, memory."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Cost:
    """What was spent. Memory in megabytes, None where the system does not tell.

    seconds      wall time; `processor` is the time of all threads on the processor
    rise         the most that the process grew by while it worked
    peak         the most that the process held, its libraries among it
    device       the most that was held on the graphics card, 0 without one
    """

    seconds: float = 0.0
    processor: float = 0.0
    rise: float | None = None
    peak: float | None = None
    device: float = 0.0


class Stopwatch:
    """Adds up what the blocks inside `running` cost, until `take`."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None
        self._running = False
        self._cost = Cost()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the block; a block inside a counted block is counted once."""
        if self._running:
            yield
            return
        self._running = True
        held = _start_memory(self._cuda)
        wall, processor = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            seconds, spent = time.perf_counter() - wall, time.process_time() - processor
            peak = _status("VmHWM") if held is not None else None
            before = self._cost
            self._cost = Cost(
                before.seconds + seconds,
                before.processor + spent,
                _most(before.rise, peak - held if peak is not None and held is not None else None),
                _most(before.peak, peak),
                max(before.device, torch.cuda.max_memory_allocated(self._cuda) / _MEGABYTE if self._cuda else 0.0),
            )
            self._running = False

    def take(self) -> Cost:
        """What was counted since the last time."""
        cost, self._cost = self._cost, Cost()
        return cost


def _start_memory(cuda: torch.device | None) -> float | None:
    """Gives freed memory back and forgets earlier peaks; what the process holds now, None where nobody knows."""
    if cuda is not None:
        torch.cuda.synchronize(cuda)
        torch.cuda.reset_peak_memory_stats(cuda)
    if not sys.platform.startswith("linux"):
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        _RESET.write_text("5", encoding="ascii")  # forgets the peak of the resident set, Linux 4.0 and later
    except OSError:
        return None
    return _status("VmRSS")


def _status(name: str) -> float | None:
    """A line of the process's status, in megabytes."""
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / _MEGABYTE
    return None


def _most(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None
