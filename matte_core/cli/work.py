"""Receipts delivered by a command: claimed, made, resumed; alone or shared with other processes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import click

from matte_core.cli.job import Job
from matte_core.cli.planned import Planned
from matte_core.cli.screen import Screen
from matte_core.cli.share import Share, make_shared
from matte_core.cli.workers import count_of, run_workers
from matte_core.engine.engine import Engine
from matte_core.engine.graphs import compiled, compiling
from matte_core.engine.room import Room, parse_bytes
from matte_core.errors import Cancelled
from matte_core.frame import FrameRange
from matte_core.io.claims import claimed
from matte_core.io.writer import check_output, sweep
from matte_core.models.weights import find
from matte_core.shot import Shot

M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1  # glibc's numbers for the settings
LARGE_BLOCK = 16 << 20  # bytes from which a block is large: a plate of 1080p is, most of a network's scratch is not
KEPT = 32 << 20  # bytes at the end of a heap that are kept for the next blocks


def return_freed_memory() -> None:
    """Lets the C library give large blocks back at once, so that a long shot takes no more memory than a short one.

    glibc otherwise raises its own threshold to 32 MB and keeps freed frames in its heap, where they fragment. Smaller
    blocks stay in the heap: to have every page of a network's scratch from the system anew takes as long as its work.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def carry_out(context: click.Context, plan: Callable[[click.Context], Planned]) -> int:
    """Runs a command that makes frames, here or in the workers that its options ask for; returns the exit code."""
    given = context.params
    screen = Screen(given["machine"], given["openjd"])
    if (count := count_of(given["workers"])) > 1:
        return run_workers([*context.obj, "--chunk", str(given["chunk"])], count, given["device"], screen)
    room = Room(parse_bytes(given["memory"]) if given["memory"] else None)
    with compiling() if given["compile"] else nullcontext():
        planned = plan(context)
    for note in planned.notes:
        screen.note(note)
    share = Share(given["chunk"]) if given["share"] else None
    if given["compile"]:
        screen.note(
            "Networks are compiled first: the first frame of each size takes about a minute longer, some seconds where "
            "this machine has compiled it before."
        )
    engine = Engine(planned.device, find, room=room, quicken=compiled if given["compile"] else None)
    return deliver(planned.receipts, planned.wanted, engine, planned.overwrite, screen, share)


def deliver(
    receipts: Sequence[Shot],
    wanted: FrameRange | None,
    engine: Engine,
    overwrite: bool,
    screen: Screen,
    share: Share | None = None,
) -> int:
    """Makes what is not finished yet of `receipts`, for the frames `wanted` (None: all); returns the exit code.

    0 when all is done; 5 when frames could not be made, after all others were; 130 or 143 when stopped. With `share`
    other processes may work on the same frames. Raises OutputError or UsageError, before anything is computed, where
    a receipt cannot be written, or another process makes some of its frames and nothing was said of sharing.
    """
    work = []
    for receipt in receipts:
        numbers = FrameRange(n for n in receipt.frames if wanted is None or n in wanted)
        check_output(receipt, overwrite=overwrite, numbers=numbers)
        sweep(receipt)
        work.append((receipt, numbers))
    return_freed_memory()
    job = Job(work, engine, screen)
    with job.stop.listening():
        try:
            if share is not None:
                job.begin()
                make_shared(job, share)
            else:
                with claimed(job.outputs(job.unfinished)):
                    job.begin()
                    job.make(job.unfinished)
        except Cancelled:
            return job.stopped()
        finally:
            screen.stop()
            for sentence in engine.said:
                screen.note(sentence)
    return job.end()
