"""Measure models on procedural scenes of two to five subjects that no training saw: every subject's matte, told by a
rough mask of each.

    scripts/measure_instances.py FOLDER [--scenes 24] [--clips 8] [--photographs DIR] [--units usual|published]
        [--subjects 2,3,4,5] [--models A,B] [--weights MODEL=FILE] [--seed N]

Prints a table for pictures (every kind of rough mask, and by level of occlusion) and one for clips, and in how many
scenes each model is nearer than the last one. `--weights` measures other weights than those that ship, `--seed` other
scenes, which is what to do after a choice was made on the first ones. Models that are told by a trimap take each
subject by itself, a trimap around its mask, as Instance Matte does. FOLDER keeps the subjects that were made.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from matte_core.engine.engine import Engine
from matte_core.evaluate.instance_metrics import Units, clip_scores, picture_scores
from matte_core.frame import FrameRange, Header, Pixels, Window
from matte_core.matting import guide_of_masks, matte_of
from matte_core.memory import hold
from matte_core.models.base import Card
from matte_core.models.weights import find
from matte_core.ops.guides import GROW, SHRINK, SOFTNESS
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot
from matte_core.train.guide_masks import ROUGHNESSES, GuideMasks, Roughness, guide_masks, measured_masks
from matte_core.train.instance_bank import drawn_clip, drawn_group, make_members
from matte_core.train.material import load_material

SEED = 7_300_000  # far from any seed of a recipe, and from those that a training is validated with
SIDE = 320
Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Scenes:
    """Which scenes: `count` of those of `seed` from number `first` on, with so many subjects each."""

    seed: int
    first: int
    count: int
    photographs: Path | None
    subjects: Sequence[int]

    @property
    def seeds(self) -> list[tuple[int, int]]:
        """The seed of every scene."""
        return [(self.seed, number) for number in range(self.first, self.first + self.count)]


def shot(pictures: Maps, plate: bool, linear: bool = True) -> Shot:
    """A shot of pictures (T, C, H, W): a plate, scene-linear or display-referred, or masks."""
    held = np.ascontiguousarray(pictures, np.float32)
    window = Window(0, 0, held.shape[3], held.shape[2])
    space = ("Linear Rec.709 (sRGB)" if linear else "sRGB Encoded Rec.709 (sRGB)") if plate else ""
    header = Header(window, window, colour_space=space, linear=linear or not plate)
    names = ("R", "G", "B") if plate else tuple(f"subject{place}" for place in range(held.shape[1]))

    def picture(place: int) -> Pixels:
        return np.asarray(held[place])

    frames = FrameRange.parse(f"1-{len(held)}")
    return hold(picture, len(held), frames, kind="plate" if plate else "matte", header=header, channels=names)


def answer(engine: Engine, name: str, plate: Shot, masks: NDArray[np.bool_]) -> Maps:
    """The mattes (T, K, H, W) of the model called `name`."""
    guide = guide_of_masks(shot(np.asarray(masks, np.float32), False), name, SHRINK, GROW, SOFTNESS)
    matte = matte_of(plate, guide, name, "auto", torch.device("cpu"))
    run = Run(Plan([(matte, matte.frames)]), lanes=SERIAL, tools=engine, inside=torch.inference_mode)
    return np.asarray(np.stack([frame.pixels for frame in run]), np.float32)


def table(title: str, rows: dict[str, list[dict[str, float]]], seconds: dict[str, float]) -> None:
    """Print the means of each row's scores, and the seconds it took."""
    names = list(next(iter(rows.values()))[0])
    click.echo(f"\n{title}\n{'':34s}" + "".join(f"{name:>10s}" for name in names) + f"{'seconds':>10s}")
    for row, scores in rows.items():
        means = [float(np.nanmean([each[name] for each in scores])) for name in names]
        click.echo(f"{row:34s}" + "".join(f"{value:10.3f}" for value in means) + f"{seconds[row]:10.1f}")


def wins(rows: dict[str, list[dict[str, float]]], beginning: str, models: Sequence[str], score: str) -> None:
    """Print in how many scenes each model's score is lower than the last one's."""
    others = rows[beginning + models[-1]]
    for name in models[:-1]:
        pairs = zip(rows[beginning + name], others, strict=True)
        won = sum(one[score] < other[score] for one, other in pairs)
        click.echo(f"{name}: {score} lower than {models[-1]}'s in {won} of {len(others)}")


def measure_pictures(
    engine: Engine,
    models: Sequence[str],
    roughnesses: Sequence[Roughness],
    scenes: Scenes,
    folder: Path,
    units: Units,
) -> None:
    """The table of pictures."""
    members = make_members(folder, scenes.seed, 1, SIDE * 4 // 5, load_material(scenes.photographs), 0.0)
    rows: dict[str, list[dict[str, float]]] = {}
    seconds: dict[str, float] = {}
    for roughness in roughnesses:
        for seed in scenes.seeds:
            group, level = drawn_group(seed, SIDE, members, scenes.subjects, light="scene")
            truth = group.alpha[None]
            plate = shot(group.pixels.transpose(2, 0, 1)[None], True)
            masks = measured_masks(np.random.default_rng(seed), truth, roughness)
            rows.setdefault(f"{roughness}, the mask itself", []).append(
                picture_scores(np.asarray(masks, np.float32), truth, units)
            )
            seconds.setdefault(f"{roughness}, the mask itself", 0.0)
            for name in models:
                started = time.process_time()
                found = answer(engine, name, plate, masks)
                for row in (f"{roughness}, {name}", *([f"  {level}, {name}"] if roughness == "as trained" else [])):
                    rows.setdefault(row, []).append(picture_scores(found, truth, units))
                    seconds[row] = seconds.get(row, 0.0) + time.process_time() - started
    table(f"{scenes.count} pictures, {SIDE} pixels a side, units: {units}", rows, seconds)
    for roughness in roughnesses:
        wins(rows, f"{roughness}, ", models, "MAD")


def measure_clips(engine: Engine, models: Sequence[str], scenes: Scenes, frames: int, units: Units) -> None:
    """The table of clips."""
    rows: dict[str, list[dict[str, float]]] = {}
    seconds: dict[str, float] = {}
    photographs = load_material(scenes.photographs).photographs
    for seed in scenes.seeds:
        clip, level = drawn_clip(seed, 256, frames, photographs, scenes.subjects)
        linear = clip.light == "scene"
        plate = shot(clip.pixels.transpose(0, 3, 1, 2), True, linear)
        masks = guide_masks(np.random.default_rng(seed), clip.alpha, GuideMasks(unsteady=4))
        for name in models:
            started = time.process_time()
            found = answer(engine, name, plate, masks)
            seconds[name] = seconds.get(name, 0.0) + time.process_time() - started
            scores = picture_scores(found, clip.alpha, units) | clip_scores(found, clip.alpha, units)
            rows.setdefault(name, []).append(scores)
            said = ", ".join(f"{score} {value:.2f}" for score, value in scores.items())
            click.echo(f"clip {seed[1]}, {clip.alpha.shape[1]} subjects, {level}, {name}: {said}")
    table(f"{scenes.count} clips of {frames} frames, 256 pixels a side, units: {units}", rows, seconds)
    for score in ("MAD", "dtSSD"):
        wins(rows, "", models, score)


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="number of the first scene and clip")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--units", choices=("usual", "published"), default="usual")
    parser.add_argument("--models", default="maggie-small,net_m-small")
    parser.add_argument("--subjects", default="2,3,4,5")
    parser.add_argument("--weights", action="append", default=[], metavar="MODEL=FILE")
    parser.add_argument("--masks", default=",".join(ROUGHNESSES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    others = {name: Path(path) for name, _, path in (each.partition("=") for each in given.weights)}

    def found(card: Card) -> Path | None:
        return others.get(card.name) or find(card)

    engine, models = Engine(torch.device("cpu"), found), given.models.split(",")
    subjects = [int(each) for each in given.subjects.split(",")]

    def scenes(count: int) -> Scenes:
        return Scenes(given.seed, given.first, count, given.photographs, subjects)

    if given.scenes:
        rough: list[Roughness] = [each for each in ROUGHNESSES if each in given.masks.split(",")]
        measure_pictures(engine, models, rough, scenes(given.scenes), given.folder, given.units)
    if given.clips:
        measure_clips(engine, models, scenes(given.clips), given.frames, given.units)


if __name__ == "__main__":
    main()
