"""Measure whether a long shot costs no more memory than a short one, and whether it may be cut into chunks.

    scripts/measure_chunks.py FOLDER [--model dvm-small] [--frames 300] [--size 1920x1080] [--chunks 300,30,100]
                              [--near 0] [--every 100] [--direction both]

Makes a shot of a furry body that walks over a panning background (plate.####.png, trimap.####.png, mask.####.png; they
are kept), then its mattes in chunks of each size, a process for each. Models that go from keyframes are given the mask
on every --every-th frame, `flow` trimaps carried from these to `dvm-small`. Prints the most memory up to frame 30, 100
and the last, and by how much the alphas of two ways to cut differ, beside the cuts and elsewhere. With --near only so
many frames on each side of every cut are made again.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from matte_core import ops
from matte_core.engine.engine import Engine
from matte_core.engine.running import run_with
from matte_core.frame import FrameRange
from matte_core.models.catalogue import model
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.shot import Shot
from matte_core.train.procedural.shapes import make_shape

NOTED = (30, 100)  # frames at which memory is told, beside the last
BESIDE = 2  # frames on each side of a cut that count as beside it
BODY = 160  # pixels across, of 1920
Map = NDArray[np.float32]


def make_shot(folder: Path, width: int, height: int, count: int) -> None:
    """Write plate, trimap and mask of frames 1 to `count`; those that are there are kept."""
    random = np.random.default_rng(5)
    side = BODY * width // 1920
    alpha = np.asarray(make_shape(random, "fur", side).alpha, np.float32)
    fade = np.clip((0.5 - np.hypot(*(np.indices((side, side)) / side - 0.5))) * 12, 0, 1).astype(np.float32)
    body = np.dstack([_texture(random, side, side, (0.7, 0.5, 0.3)), alpha * fade])
    back = _texture(random, height + 64, width + 2 * count, (0.3, 0.4, 0.5))
    for number in range(1, count + 1):
        plate = folder / f"plate.{number:04d}.png"
        if plate.exists():
            continue
        middle = 0.5 * width + 0.35 * width * np.sin(number / 40), 0.5 * height + 0.2 * height * np.cos(number / 23)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), 15 * np.sin(number / 11), 1.0)
        turn[:, 2] += np.array(middle) - side / 2
        moved = cv2.warpAffine(body, turn, (width, height), flags=cv2.INTER_LINEAR)
        seen = back[32 : 32 + height, 2 * (number - 1) : 2 * (number - 1) + width]
        cover = moved[..., 3:]
        noise = np.random.default_rng((6, number)).normal(0, 0.01, (height, width, 1))
        pixels = moved[..., :3] * cover + seen * (1 - cover) + noise
        cv2.imwrite(str(folder / f"trimap.{number:04d}.png"), _trimap(cover[..., 0]))
        cv2.imwrite(str(folder / f"mask.{number:04d}.png"), np.uint8(255) * (cover[..., 0] > 0.5))
        cv2.imwrite(str(plate), np.uint8(np.clip(pixels, 0, 1) * 255), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _texture(random: np.random.Generator, height: int, width: int, colour: tuple[float, float, float]) -> Map:
    values = np.zeros((height, width, 3), np.float32)
    for size in (4, 16, 64):
        grid = random.normal(0, 0.08, (height // size + 2, width // size + 2, 3)).astype(np.float32)
        values += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(values + np.array(colour, np.float32), 0, 1), np.float32)


def _trimap(alpha: Map) -> NDArray[np.uint8]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    sure = cv2.erode(np.uint8(255) * (alpha > 0.99), kernel)
    none = cv2.erode(np.uint8(255) * (alpha < 0.01), kernel)
    return np.asarray(np.where(sure > 0, 255, np.where(none > 0, 0, 128)), np.uint8)


def matte_shot(folder: Path, name: str, every: int, direction: str) -> Shot:
    """The description of the matte by the model called `name`."""
    plate = ops.read_plate(str(folder / "plate.####.png"))
    keys = ",".join(map(str, range(1, len(plate.frames) + 1, every)))
    if name == "flow":
        trimap = ops.propagate_trimap(plate, ops.read_matte(str(folder / "trimap.####.png")), keys=keys)
        return ops.video_matte(plate, trimap, "dvm-small")
    guide = ops.read_matte(str(folder / f"{'mask' if model(name).card.keyed else 'trimap'}.####.png"))
    return ops.video_matte(plate, guide, name, keys=keys, direction=direction)


def pull(matte: Shot, size: int, near: int, out: Path) -> None:
    """Pull the matte in chunks of `size` frames into `out`, of each only the first and last `near` where that is not 0;
    print the memory on the way."""
    out.mkdir(exist_ok=True)
    engine, numbers, started = Engine(torch.device("cpu"), find), list(matte.frames), time.process_time()
    done = 0
    for first in range(0, len(numbers), size):
        chunk = numbers[first : first + size]
        wanted = [n for n in chunk if not near or n - chunk[0] < near or chunk[-1] - n < near]
        for frame in run_with(engine, Plan([(matte, FrameRange(wanted))])):
            _keep(frame.pixels[0], out / f"{frame.number:04d}.npz")
            done += 1
            if done in NOTED or frame.number == numbers[-1]:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                click.echo(f"{size:5d} a chunk, frame {done:4d}: {peak} MB, {time.process_time() - started:.0f} s")


def _keep(alpha: Map, path: Path) -> None:
    rows, columns = (np.flatnonzero(alpha.any(axis)) for axis in (1, 0))
    box = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else (0, 0, 0, 0)
    np.savez(path, box=np.array(box), alpha=alpha[box[0] : box[1], box[2] : box[3]], size=np.array(alpha.shape))


def kept(path: Path) -> Map:
    """The alpha (H, W) that was kept in `path`."""
    with np.load(path) as held:
        alpha = np.zeros(held["size"], np.float32)
        top, bottom, left, right = held["box"]
        alpha[top:bottom, left:right] = held["alpha"]
    return alpha


def compare(one: Path, other: Path, size: int) -> str:
    """By how much the alphas of two ways differ, of which `other` was cut every `size` frames."""
    worst = {"beside a cut": 0.0, "elsewhere": 0.0}
    places = sorted(one.glob("*.npz"))
    made = [(place, path) for place, path in enumerate(places) if (other / path.name).exists()]
    for place, path in made:
        beside = BESIDE <= place < len(places) - BESIDE and (place % size < BESIDE or place % size >= size - BESIDE)
        where = "beside a cut" if beside else "elsewhere"
        worst[where] = max(worst[where], float(np.abs(kept(path) - kept(other / path.name)).max()))
    told = ", ".join(f"{where} {most:.2g}" for where, most in worst.items())
    return f"{told} ({len(made)} frames)"


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="dvm-small")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--chunks", default="300,30,100")
    parser.add_argument("--near", type=int, default=0, help="frames on each side of a cut; 0: all")
    parser.add_argument("--every", type=int, default=100, help="frames from keyframe to keyframe")
    parser.add_argument("--direction", default="both")
    parser.add_argument("--one", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.one:
        shot = matte_shot(given.folder, given.model, given.every, given.direction)
        near = given.near if given.one < given.frames else 0
        pull(shot, given.one, near, given.folder / f"{given.model}_{given.one}")
        return
    width, height = map(int, given.size.split("x"))
    make_shot(given.folder, width, height, given.frames)
    sizes = [int(size) for size in given.chunks.split(",")]
    for size in sizes:
        subprocess.run([sys.executable, *sys.argv, "--one", str(size)], check=True)
    for size in sizes[1:]:
        ways = [given.folder / f"{given.model}_{each}" for each in (sizes[0], size)]
        click.echo(f"{size} against {sizes[0]} a chunk, largest difference: {compare(ways[0], ways[1], size)}")


if __name__ == "__main__":
    main()
