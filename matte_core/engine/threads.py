"""Processor threads shared out between the lanes, so that they do not fight for the same cores."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

CORES = torch.get_num_threads()  # OMP_NUM_THREADS, or every core: numba changes it when it is loaded
_NAME = "matte-"  # begins the names of the threads of a run, before their lane
_BEHIND = 5  # nicer by so much are reading and writing: a third of the weight of the step, so that they never starve
_FEW = 4  # cores up to which a file is read or written by one thread: there are three lanes for files


def file_threads() -> int:
    """Threads in which the library decodes or encodes one file in a lane; 0 is as many as there are cores."""
    return 1 if CORES <= _FEW else 0


def give_way() -> None:
    """Lets the threads of the device go first from now on, where the calling thread and they want the same core.

    What reading ahead loses while the device has work of its own on the processor, it gains while that waits.
    """
    if sys.platform == "linux":  # elsewhere it would be said of the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BEHIND)


def steps_at_once(device: torch.device) -> int:
    """How many steps are taken side by side on `device`: two on a CPU with several cores, each with half of them.

    A network's threads wait for each other at the end of every operation, and much of a solver is done by one alone:
    two frames at once leave no core without work. A graphics card is one.
    """
    return 2 if device.type == "cpu" and CORES > 1 else 1


def threads_of(lane: str, device: torch.device, steps: int = 1) -> int:
    """Threads that one lane's thread may use; "" is the caller's own, in which the network runs, "device" one beside.

    On the CPU the network has every core, shared out to the `steps` taken at once, since reading and writing are
    short beside it. A graphics card leaves the cores to the arithmetic on frames.
    """
    if lane in ("", "device"):
        return max(1, CORES // steps)
    if lane == "compute":
        return max(1, CORES // (4 if device.type == "cpu" else 2))
    return 1


def in_lane(device: torch.device, steps: int = 1) -> Callable[[], AbstractContextManager[None]]:
    """What a run puts around every verb: no gradients, and the threads of the verb's lane.

    `steps` are taken at once: by the caller, and in lanes called "device" beside it.
    """
    known = threading.local()

    @contextmanager
    def inside() -> Iterator[None]:
        name = threading.current_thread().name
        lane = name.removeprefix(_NAME) if name.startswith(_NAME) else ""
        count = threads_of(lane, device, steps)
        if lane in ("read", "write") and not getattr(known, "behind", False):
            known.behind = True
            give_way()
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
