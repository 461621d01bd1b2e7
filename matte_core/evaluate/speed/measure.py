"""One model at one size, EXR to EXR: a plain loop, the lanes, and pymatting, in turns in one process."""

from __future__ import annotations

import filecmp
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import cast

import numpy as np
import torch

from matte_core import ops
from matte_core.colour import solver_light
from matte_core.engine.engine import Engine, pick_precision
from matte_core.engine.networks import Networks
from matte_core.engine.room import Room
from matte_core.engine.running import run_with
from matte_core.engine.threads import in_lane
from matte_core.evaluate.cost import Stopwatch
from matte_core.evaluate.speed.clip import pattern
from matte_core.evaluate.speed.floor import Counting, Rates, Work, calibrate
from matte_core.guide import Guide
from matte_core.io.image import library_threads
from matte_core.joint import trimap_of
from matte_core.matting import matte_of, view_of
from matte_core.models.base import MattingModel
from matte_core.models.catalogue import model
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run, frames
from matte_core.shot import Shot
from matte_core.sources import matte_source, plate_source

STAGES = ("decode", "colour", "network", "copy", "other", "encode")
_LANES = {"read": "decode", "write": "encode", "compute": "other"}
REFERENCE = "closed-form"  # of pymatting


@dataclass(frozen=True)
class Asked:
    """What is to be measured: `count` frames of the clip in `folder`, `rounds` times each way."""

    model: str
    folder: Path
    height: int
    width: int
    count: int
    rounds: int
    device: str
    precision: str
    budget: int | None = None
    reference: bool = True


@dataclass(frozen=True)
class Measured:
    """What was found. Seconds are per frame; megabytes are peaks of the whole process and of the graphics card.

    stages       of the plain loop, mean of all its frames
    naive, lanes seconds of the plain loop and of the lanes, the median of the rounds; `ratio` the median of theirs
    reference    of the plain loop with pymatting's closed form in the model's place, None where it was not asked
    same         whether both ways wrote the same files, byte for byte
    floor        the least time, and `unknown` the share of the trimap that is unknown
    """

    model: str
    height: int
    width: int
    precision: str = ""
    unknown: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    naive: float = 0.0
    lanes: float = 0.0
    ratio: float = 0.0
    reference: float | None = None
    same: bool = False
    host: float | None = None
    device: float = 0.0
    operations: float = 0.0
    bytes: float = 0.0
    floor: float | None = None
    failure: str = ""

    @property
    def slowest(self) -> float:
        """Seconds of the slowest stage: what no overlap can be quicker than."""
        return max(self.stages.values(), default=0.0)


def measure(asked: Asked) -> Measured:
    """The model measured, in a process that has nothing else to do. Raises MatteError where it cannot run."""
    device, chosen = torch.device(asked.device), model(asked.model)
    precision = pick_precision(chosen.card, asked.precision, torch.device("cpu") if chosen.card.on_cpu_only else device)
    seconds: defaultdict[str, float] = defaultdict(float)
    networks, room = Networks(), Room(asked.budget)

    def tell(stage: str, took: float) -> None:
        seconds[stage] += took

    watched = Engine(device, find, networks=networks, watch=tell)
    plain = Engine(device, find, networks=networks, room=room)
    counting = Counting(chosen)
    _deliver(asked, "warm", plain, 1)  # loads, compiles, chooses algorithms
    stopwatch, naive, lanes = Stopwatch(device), [], []
    for turn in range(asked.rounds):
        for way in ("naive", "lanes") if turn % 2 == 0 else ("lanes", "naive"):
            if way == "naive":
                naive.append(_serial(asked, f"naive{turn}", watched, seconds))
            else:
                with stopwatch.running():
                    lanes.append(_deliver(asked, f"lanes{turn}", plain, asked.count))
    cost = stopwatch.take()
    work, unknown = _count(asked, counting, plain)
    total = asked.count * asked.rounds
    stages = {stage: seconds[stage] / total for stage in STAGES if seconds[stage]}
    found = Measured(
        asked.model,
        asked.height,
        asked.width,
        precision,
        unknown,
        stages,
        naive=median(naive),
        lanes=median(lanes),
        ratio=median(one / other for one, other in zip(naive, lanes, strict=True)),
        same=_same(asked),
        host=cost.peak,
        device=cost.device,
        operations=work.operations,
        bytes=work.bytes,
        floor=_floor(asked, work, calibrate(device, precision), device),
    )
    beside = sum(took for stage, took in stages.items() if stage not in ("network", "copy"))
    return replace(found, reference=beside + _reference(asked)) if asked.reference else found


def _receipts(asked: Asked, out: str, numbers: Sequence[int] | None = None) -> list[tuple[Shot, Sequence[int]]]:
    """The whole job, from files to files."""
    folder, card, device = asked.folder, model(asked.model).card, torch.device(asked.device)
    plate = plate_source(pattern(folder, "plate"))
    guides = {
        name: plate_source(pattern(folder, name))
        if name == "background"
        else matte_source(pattern(folder, name), "left.A,right.A" if name == "instances" else "")
        for name in card.guides
    }
    if card.answers == "trimap":
        made = trimap_of(plate, guides["mask"], asked.model, asked.precision, device)
    else:
        made = matte_of(plate, Guide(**guides), asked.model, asked.precision, device)
    target = asked.folder / out
    target.mkdir()
    receipts = ops.write_sequence(made, str(target / "out.####.exr"), plate=plate)
    return [(shot, list(shot.frames if numbers is None else numbers)) for shot in receipts]


def _deliver(asked: Asked, out: str, engine: Engine, count: int) -> float:
    """Seconds per frame in lanes, as `matte sequence` does it."""
    receipts = _receipts(asked, out)
    plan = Plan([(shot, numbers[:count]) for shot, numbers in receipts])
    started = time.perf_counter()
    for _ in run_with(engine, plan):
        pass
    return (time.perf_counter() - started) / count


def _serial(asked: Asked, out: str, engine: Engine, seconds: defaultdict[str, float]) -> float:
    """Seconds per frame one after another: read, infer, write."""
    plan = Plan(_receipts(asked, out))

    def watch(shot: Shot, numbers: Sequence[int], took: float) -> None:
        stage = _LANES.get(shot.declaration.lane)
        if stage is not None:
            seconds[stage] += took

    library_threads(0)  # all cores for one file after another
    started = time.perf_counter()
    for _ in Run(plan, lanes=SERIAL, tools=engine, inside=in_lane(engine.device), watch=watch):
        pass
    return (time.perf_counter() - started) / asked.count


def _count(asked: Asked, counting: Counting, engine: Engine) -> tuple[Work, float]:
    """What one frame's step does, and the share of its trimap that is unknown."""
    card, folder = counting.card, asked.folder
    plate = plate_source(pattern(folder, "plate"))
    view = view_of(plate)
    around = [plate.frames[0]] * (card.before + 1 + card.after)
    pixels = torch.from_numpy(solver_light(next(frames(plate)).pixels, view))[None].repeat(len(around), 1, 1, 1)
    trimap = torch.from_numpy(np.array(next(frames(matte_source(pattern(folder, "trimap")))).pixels))
    unknown = float(((trimap > 0.25) & (trimap < 0.75)).float().mean())
    told: dict[str, torch.Tensor] = {}
    for name in card.guides:
        channel = "left.A,right.A" if name == "instances" else ""
        shot = plate_source(pattern(folder, name)) if name == "background" else None
        frame = next(frames(shot or matte_source(pattern(folder, name), channel)))
        told[name] = torch.from_numpy(np.array(frame.pixels))[None].repeat(len(around), 1, 1, 1)
    if not card.on_cpu_only:
        engine.step(cast(MattingModel, counting), pixels, told)
    return counting.work(), unknown


def _floor(asked: Asked, work: Work, rates: Rates, device: torch.device) -> float | None:
    """The least seconds per frame: every stage's own floor; together on one processor, side by side with a card."""
    if not work.known:
        return None
    pixels = asked.height * asked.width
    moved = {"decode": 3 * pixels * (2 + 4), "colour": 3 * pixels * (4 + 4), "encode": pixels * (4 + 2)}
    stages = [amount / rates.bytes for amount in moved.values()] + [work.least(rates)]
    return max(stages) if device.type == "cuda" else sum(stages)


def _same(asked: Asked) -> bool:
    """Whether the plain loop and the lanes wrote the same."""
    one, other = asked.folder / "naive0", asked.folder / "lanes0"
    names = sorted(file.name for file in one.iterdir())
    return bool(names) and filecmp.cmpfiles(one, other, names, shallow=False)[0] == names


def _reference(asked: Asked) -> float:
    """Seconds of pymatting's closed form for one frame, called directly."""
    from matte_core.models.classic.reference import reference_alpha  # compiles for seconds

    plate, trimap = plate_source(pattern(asked.folder, "plate")), matte_source(pattern(asked.folder, "trimap"))
    image = solver_light(next(frames(plate)).pixels, view_of(plate))
    known = np.array(next(frames(trimap)).pixels[0])
    step = slice(None, None, max(1, asked.height // 64))
    reference_alpha(REFERENCE, np.ascontiguousarray(image[:, step, step]), np.ascontiguousarray(known[step, step]))
    started = time.perf_counter()
    reference_alpha(REFERENCE, image, known)
    return time.perf_counter() - started
