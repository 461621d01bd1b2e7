"""How much of reading and writing disappears beside a device: EXR to EXR, with a stage that sleeps in its place.

Usage: measure_overlap.py [--size 1920x1080] [--frames 24] [--rounds 3] [--lengths 0.5,1,2]. The stage makes
linear light of the plate, as for a network, then sleeps, one frame at a time as a card would: for as long as reading
and writing a frame take in the plain loop, times each of the lengths. The plain loop reads, waits and writes one frame
after another, each file with all cores; the lanes are those of `matte sequence`. In turns, in one process. Prints a
markdown table; exit code 1 where the files differ.
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
from matte_core.engine.threads import in_lane
from matte_core.engine.transfer import over
from matte_core.evaluate.speed.clip import make_clip, pattern
from matte_core.io.image import library_threads
from matte_core.matting import view_of
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot, make
from matte_core.sources import matte_source, plate_source
from matte_core.verb import Declaration, Job, Result, Verb, register

_CARD = threading.Lock()  # a card takes one step at a time


def _wait(job: Job) -> Result:
    view, made = View.from_parameters(job.parameter("view")), []
    for number in job.numbers:
        solver_light(over(job.one(0, number).pixels), view)
        with _CARD:
            time.sleep(job.parameter("seconds"))
        made.append(job.one(1, number))
    return Result(made)


register(Verb("wait as for a device", _wait, declare=lambda parameters: Declaration(lane="device")))


class Clip:
    """Frames in `folder`, carried through the stage to files."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count, self.seconds = folder, count, 0.0
        self.engine = Engine(torch.device("cpu"), find)

    def plan(self, out: str) -> Plan:
        """From files to files, into a folder of their own."""
        plate, trimap = plate_source(pattern(self.folder, "plate")), matte_source(pattern(self.folder, "trimap"))
        parameters = {"view": view_of(plate).to_parameters(), "seconds": self.seconds}
        header = replace(plate.header, colour_space="", linear=True)
        matte = make("wait as for a device", [plate, trimap], parameters, kind="matte", header=header, channels=("A",))
        (self.folder / out).mkdir()
        receipts = ops.write_sequence(matte, str(self.folder / out / "out.####.exr"), plate=plate)
        return Plan([(receipt, list(receipt.frames)) for receipt in receipts])

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
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", default="0.5,1,2")
    asked = parser.parse_args()
    width, height = (int(side) for side in asked.size.split("x"))
    same = True
    with tempfile.TemporaryDirectory(prefix="matte-overlap-") as folder:
        make_clip(Path(folder), height, width, asked.frames)
        clip = Clip(Path(folder), asked.frames)
        clip.plain("warm")
        _, stages = clip.plain("files")
        files = stages["read"] + stages["write"]
        say(f"{width}x{height}, {asked.frames} frames, {os.cpu_count()} cores; a frame's files take {files:.3f} s.\n")
        say("| stage sleeps | plain loop | lanes | to plain loop | to slowest stage |\n|--:|--:|--:|--:|--:|")
        for length in (float(each) for each in asked.lengths.split(",")):
            clip.seconds, plain, lanes, slowest = length * files, [], [], []
            for turn in range(asked.rounds):
                took, stages = clip.plain(f"plain{length}_{turn}")
                plain.append(took)
                slowest.append(max(stages.values()))
                lanes.append(clip.lanes(f"lanes{length}_{turn}"))
                same = same and clip.same(f"plain{length}_{turn}", f"lanes{length}_{turn}")
            ratio = median(one / other for one, other in zip(plain, lanes, strict=True))
            most = median(one / other for one, other in zip(lanes, slowest, strict=True))
            say(f"| {clip.seconds:.3f} | {median(plain):.3f} | {median(lanes):.3f} | {ratio:.2f}x | {most:.2f}x |")
    say("" if same else "\nPlain loop and lanes wrote different files.")
    return 0 if same else 1


def say(row: str) -> None:
    """One row, at once."""
    sys.stdout.write(row + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
