"""Frames shared with other processes: any number of them, on any machines, work on one output folder."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from matte_core.cli.job import Job
from matte_core.farm import cut, seams
from matte_core.io.claims import Taken, claimed

LOOK = 1.0  # seconds between two looks at what others are making


@dataclass(frozen=True)
class Share:
    """How a job is shared: in chunks of `size` frames (0: as suits), among about so many `workers`."""

    size: int = 0
    workers: int = 4


def sharing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of commands that make frames: how they are shared with other processes, and told."""
    options = (
        click.option(
            "--workers",
            default="1",
            show_default=True,
            metavar="N",
            help="Processes that share the frames here. auto: one per graphics card.",
        ),
        click.option(
            "--share", is_flag=True, help="Share the frames with every process, here or elsewhere, that is started so."
        ),
        click.option(
            "--chunk", default=0, type=click.IntRange(0), metavar="FRAMES", help="Frames taken at once when sharing."
        ),
        click.option("--openjd", is_flag=True, help="Progress lines as Open Job Description reads them."),
        click.option("--json", "machine", is_flag=True, help="One JSON line per event."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def make_shared(job: Job, share: Share) -> None:
    """Makes chunk after chunk that no other process has, and waits for the rest; what a dead one left is taken over.

    Returns when every frame is finished or has failed here. Raises Cancelled.
    """
    shots = [shot for shot, _ in job.left]
    chunks = cut(shots, job.unfinished, share.size, share.workers)
    if seams(shots).whole:
        pieces = "one process makes the whole shot" if len(chunks) < 2 else f"it is shared in {len(chunks)} pieces"
        job.screen.note(f"What is computed carries a state through the shot: {pieces}.")
    while chunks:
        waiting = []
        for chunk in chunks:
            job.stop.check()
            job.look_again(chunk)
            if not job.outputs(chunk):
                continue
            try:
                with claimed(job.outputs(chunk), patience=0):
                    job.look_again(chunk)
                    job.make(chunk)
            except Taken:
                waiting.append(chunk)
                time.sleep(random.uniform(0, 0.05))
        if len(waiting) == len(chunks):
            time.sleep(LOOK)
        chunks = waiting
