"""Processor threads shared out between the lanes, so that they do not fight for the same cores."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

CORES = torch.get_num_threads()  # OMP_NUM_THREADS, or every core: numba changes it when it is loaded
_NAME = "matte-"  # begins the names of the threads of a run, before their lane


def threads_of(lane: str, device: torch.device) -> int:
    """Threads that one lane's thread may use; "" is the caller's own, in which the network runs.

    On the CPU the network has every core, since reading and writing are short beside it. A graphics card leaves
    the cores to the arithmetic on frames.
    """
    if lane == "":
        return CORES
    if lane == "compute":
        return max(1, CORES // (4 if device.type == "cpu" else 2))
    return 1


def in_lane(device: torch.device) -> Callable[[], AbstractContextManager[None]]:
    """What a run puts around every verb: no gradients, and the threads of the verb's lane."""
    known = threading.local()

    @contextmanager
    def inside() -> Iterator[None]:
        name = threading.current_thread().name
        count = threads_of(name.removeprefix(_NAME) if name.startswith(_NAME) else "", device)
        if getattr(known, "count", 0) != count or torch.get_num_threads() != count:
            torch.set_num_threads(count)  # of this thread
            known.count = count
        numba = sys.modules.get("numba")
        if hasattr(numba, "set_num_threads"):  # another lane may be in the middle of importing it
            assert numba is not None
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
        with torch.inference_mode():
            yield

    return inside
