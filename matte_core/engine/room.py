"""How much memory there is: of the machine, of a graphics card, of what a person allows."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from matte_core.errors import UsageError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_LEAST = 500_000_000  # torch and the libraries beside it take most of this
_CGROUPS = (  # limit, used, and where the used part that is only a cache of files is told
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    tuple(f"/sys/fs/cgroup/memory/memory.{name}" for name in ("limit_in_bytes", "usage_in_bytes", "stat")),
)
_CACHED = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.MULTILINE)


def parse_bytes(text: str) -> int:
    """Bytes of "6GB", "800 MB", "1.5g". Raises UsageError for anything else, and for too little to start with."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"'{text}' is no amount of memory. Write 6GB or 800MB.")
    amount = int(float(found[1]) * _UNITS[found[2].upper()])
    if amount < _LEAST:
        raise UsageError(f"{text} of memory is too little: the libraries alone take {_LEAST / 1e6:.0f} MB. Give more.")
    return amount


def resident() -> int | None:
    """Bytes of the host's memory that this process holds now; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Gives the system what was freed and is kept for later, so that `resident` tells what is in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def available() -> int | None:
    """Bytes of the host's memory that can still be had, by the machine and its container; None if nobody knows."""
    known = [amount for amount in (_of_machine(), _of_container()) if amount is not None]
    return min(known) if known else None


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _of_container() -> int | None:
    for group in _CGROUPS:
        try:
            limit, used, stat = (Path(name).read_text(encoding="ascii") for name in group)
            cached = max((int(amount) for amount in _CACHED.findall(stat)), default=0)
            return int(limit) - int(used) + cached
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return None


@dataclass(frozen=True)
class Room:
    """The memory a run may take: `budget` bytes of the host's, and as many of a card's; None = what there is.

    `beside` bytes of the host's are kept for frames and for reading and writing beside the work; `base` is what the
    process held before any of that was there, networks included.
    """

    budget: int | None = None
    beside: int = 0
    base: int = 0

    def free(self, device: torch.device, alone: bool = False) -> int | None:
        """Bytes that work on `device` may take now; None where nobody knows. `alone`: nothing goes on beside it."""
        if device.type == "cuda":
            held = torch.cuda.memory_allocated(device)
            free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - held
            return free if self.budget is None else min(free, self.budget - held)
        if device.type != "cpu":
            return None
        there, now = available(), resident()
        if self.budget is not None and now is not None:
            beside = 0 if alone else max(0, self.base + self.beside - now)  # of which some is there already
            own = self.budget - now - beside
            return own if there is None else min(own, there)
        return there

    def hold(self, device: torch.device) -> None:
        """Makes the budget a limit of the card's own memory."""
        if self.budget is not None and device.type == "cuda":
            total = torch.cuda.mem_get_info(device)[1]
            torch.cuda.set_per_process_memory_fraction(min(1.0, self.budget / total), device)
