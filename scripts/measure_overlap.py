"""How much of reading and writing disappears beside a device: EXR to EXR, with a stage that sleeps in its place.

Usage: measure_overlap.py [--size 1920x1080] [--frames 24,96] [--rounds 3] [--lengths 1,2] [--stage thread,card]. The
stage makes linear light of the plate, as for a network, then sleeps, one frame at a time as a card would: for as long
as reading and writing a frame take in the plain loop, times each of the lengths. As "thread" it sleeps in the thread
that hands it the frame, as a network on a processor; as "card" it is given the frame and answers later, as a graphics
card. The plain loop reads, waits and writes one frame after another, each file with all cores; the lanes are those of
`matte sequence`. In turns, in one process. Prints a markdown table; exit code 1 where the files differ.
"""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does

import filecmp
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from matte_core import ops
from matte_core.colour import View, solver_light
from matte_core.engine.engine import Engine
from matte_core.engine.running import run_with
from matte_core.engine.threads import CORES, in_lane
from matte_core.engine.transfer import over
from matte_core.evaluate.speed.clip import make_clip, pattern
from matte_core.frame import Frame
from matte_core.io.image import library_threads
from matte_core.matting import view_of
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot, make
from matte_core.sources import matte_source, plate_source
from matte_core.verb import Declaration, Job, Result, Verb, register


class Card:
    """Takes one step at a time, in the order in which they are given to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = 0.0  # when it has done all that it was given

    def give(self, seconds: float) -> float:
        """When a step of `seconds` that is given now will be done."""
        with self._lock:
            self._free = max(self._free, time.perf_counter()) + seconds
            return self._free

    def take(self, seconds: float) -> None:
        """A step of `seconds`, waited for where it is asked for."""
        with self._lock:
            time.sleep(seconds)


_CARD = Card()


def _wait(job: Job) -> Result:
    view, seconds, done = View.from_parameters(job.parameter("view")), job.parameter("seconds"), 0.0
    for number in job.numbers:
        solver_light(over(job.one(0, number).pixels), view)
        if job.parameter("stage") == "card":
            done = _CARD.give(seconds)
        else:
            _CARD.take(seconds)
    made = [job.one(1, number) for number in job.numbers]
    if job.parameter("stage") != "card":
        return Result(made)

    def finish() -> list[Frame]:
        time.sleep(max(0.0, done - time.perf_counter()))
        return made

    return Result((), None, finish)


register(Verb("wait as for a device", _wait, declare=lambda parameters: Declaration(lane="device")))


class Clip:
    """Frames in `folder`, carried through the stage to files."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count, self.seconds, self.stage = folder, count, 0.0, "thread"
        self.engine = Engine(torch.device("cpu"), find)

    def plan(self, out: str) -> Plan:
        """From files to files, into a folder of their own."""
        plate, trimap = plate_source(pattern(self.folder, "plate")), matte_source(pattern(self.folder, "trimap"))
        parameters = {"view": view_of(plate).to_parameters(), "seconds": self.seconds, "stage": self.stage}
        header = replace(plate.header, colour_space="", linear=True)
        matte = make("wait as for a device", [plate, trimap], parameters, kind="matte", header=header, channels=("A",))
        (self.folder / out).mkdir()
        receipts = ops.write_sequence(matte, str(self.folder / out / "out.####.exr"), plate=plate)
        return Plan([(receipt, list(receipt.frames)[: self.count]) for receipt in receipts])

    def plain(self, out: str) -> tuple[float, dict[str, float]]:
        """Seconds of a frame one after another, and of each stage."""
        stages: defaultdict[str, float] = defaultdict(float)

        def watch(shot: Shot, numbers: Sequence[int], seconds: float) -> None:
            stages[shot.declaration.lane] += seconds / self.count

        plan = self.plan(out)
        library_threads(0)
        run = Run(plan, lanes=SERIAL, tools=self.engine, inside=in_lane(self.engine.device), watch=watch)
        return self._timed(run), stages

    def lanes(self, out: str) -> float:
        """Seconds of a frame in lanes."""
        return self._timed(run_with(self.engine, self.plan(out)))

    def _timed(self, run: Run) -> float:
        started = time.perf_counter()
        for _ in run:
            pass
        return (time.perf_counter() - started) / self.count

    def same(self, one: str, other: str) -> bool:
        """Whether two folders hold the same files, byte for byte."""
        names = sorted(file.name for file in (self.folder / one).iterdir())
        return len(names) == self.count and not any(
            not filecmp.cmp(self.folder / one / name, self.folder / other / name, shallow=False) for name in names
        )


def main() -> int:
    """0 where both ways wrote the same files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", default="24,96")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", default="1,2")
    parser.add_argument("--stage", default="thread,card")
    asked = parser.parse_args()
    width, height = (int(side) for side in asked.size.split("x"))
    counts = [int(each) for each in asked.frames.split(",")]
    with tempfile.TemporaryDirectory(prefix="matte-overlap-") as folder:
        make_clip(Path(folder), height, width, max(counts))
        clip = Clip(Path(folder), min(counts))
        clip.plain("warm")
        _, stages = clip.plain("files")
        files = stages["read"] + stages["write"]
        say(f"{width}x{height}, {os.cpu_count()} cores, {CORES} threads; a frame's files take {files:.3f} s.\n")
        say("| stage | frames | it sleeps | plain loop | lanes | to plain loop | to slowest stage |")
        say("|---|--:|--:|--:|--:|--:|--:|")
        same = True
        for stage in asked.stage.split(","):
            for length in asked.lengths.split(","):
                for count in counts:
                    clip.stage, clip.seconds, clip.count = stage, float(length) * files, count
                    same = _row(clip, asked.rounds) and same
    say("" if same else "\nPlain loop and lanes wrote different files.")
    return 0 if same else 1


def _row(clip: Clip, rounds: int) -> bool:
    """One row of the table; whether both ways wrote the same files."""
    plain, lanes, slowest, same = list[float](), list[float](), list[float](), True
    for turn in range(rounds):
        names = [f"{way}_{clip.stage}_{clip.seconds:.4f}_{clip.count}_{turn}" for way in ("plain", "lanes")]
        took, stages = clip.plain(names[0])
        plain.append(took)
        slowest.append(max(stages.values()))
        lanes.append(clip.lanes(names[1]))
        same = same and clip.same(*names)
    ratio = median(one / other for one, other in zip(plain, lanes, strict=True))
    most = median(one / other for one, other in zip(lanes, slowest, strict=True))
    times = f"{clip.seconds:.3f} | {median(plain):.3f} | {median(lanes):.3f}"
    say(f"| {clip.stage} | {clip.count} | {times} | {ratio:.2f}x | {most:.2f}x |")
    return same


def say(row: str) -> None:
    """One row, at once."""
    sys.stdout.write(row + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
