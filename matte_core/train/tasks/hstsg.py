"""Training an HSTSG-style network: short clips from one mask, unrolled frame by frame.

Source: HSTSG, WACV 2023, supplement; what it leaves open is chosen in the recipes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matte_core.models.hstsg.net import Answer, Hstsg
from matte_core.models.hstsg.settings import Settings
from matte_core.models.hstsg.stream import begin, go_on
from matte_core.models.layers.carry import Motion, carry
from matte_core.models.layers.light import BRIGHTEST, compress
from matte_core.train.bank import fill_folder, load_shards
from matte_core.train.carried_clips import CLIPS_PER_SHARD, CarriedClips, pack_clips
from matte_core.train.hstsg_losses import LossWeights, clip_loss
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.procedural.camera import Light
from matte_core.train.procedural.clips import Clip, make_clip
from matte_core.train.procedural.crops import pick_scene
from matte_core.train.procedural.fields import Random, as_map
from matte_core.train.segmentations import Masks, rough_mask
from matte_core.train.tasks import Progress

_SEED = 7_300_000  # of the clips for measuring: far from any seed of a recipe
_SHOWN = 6
_SCENE = 3  # sets the random numbers of scenes apart from those that make the clip
_NEAR = Masks(known=3, change=4, shift=2, margin=2, published=0.2)  # how far an alpha that was passed on may be off


@dataclass(frozen=True)
class Data:
    """The bank: `shards` of 16 clips of `frames` frames of `size` pixels from `seed`; `validation` clips of `held_out`
    frames for measuring.

    A clip is in one of `lights`. Training sees `length` frames of each, either way round. The first is given with a
    rough mask made as `masks` says, or, in the share `continued`, with nearly its alpha, as in the middle of a shot.
    """

    seed: int = 1
    shards: int = 32
    size: int = 112
    frames: int = 5
    length: int = 3
    lights: tuple[Light, ...] = ("scene", "display")
    continued: float = 0.4
    masks: Masks = field(default_factory=lambda: Masks(known=8, change=10, shift=4, margin=4, published=0.3))
    validation: int = 12
    held_out: int = 10


@dataclass(frozen=True)
class Batch:
    """T frames of N clips: `pixels`, `foreground` (T, N, 3, S, S), `alpha` (T, N, 1, S, S); the way back and trust of
    each next frame (T - 1, N, 2 and 1, S, S); the first frame's `guide` (N, 1, S, S), `rough` (N,) or nearly alpha."""

    pixels: Tensor
    foreground: Tensor
    alpha: Tensor
    way: Tensor
    trust: Tensor
    guide: Tensor
    rough: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Errors(NamedTuple):
    """Of one clip: mean absolute error, and root of the mean squared difference of the changes over time."""

    absolute: float
    steadiness: float


class HstsgTask:
    """The network on a bank of procedural clips; measured on longer ones, against the mask carried by optical flow."""

    network, data, losses = Settings, Data, LossWeights
    rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self, network: Settings, data: Data, losses: LossWeights) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._clips: list[tuple[CarriedClips, int]] = []
        self._held_out: CarriedClips | None = None

    def build(self) -> Hstsg:
        return Hstsg(self._settings)

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        plan = self._plan

        def shard(seed: int, index: int, count: int, frames: int) -> CarriedClips:
            seeds = ((seed, index, place) for place in range(count))
            return pack_clips([_clip(seed, plan, frames, material) for seed in seeds])

        def told(done: int, total: int) -> None:
            progress("bank", done, total)

        bank, held_out = folder / "bank", folder / "validation"
        fill_folder(bank, plan.seed, plan.shards, lambda i: shard(plan.seed, i, CLIPS_PER_SHARD, plan.frames), told)
        fill_folder(held_out, _SEED, 1, lambda i: shard(_SEED, i, plan.validation, plan.held_out))
        shards = islice(load_shards(bank, CarriedClips), plan.shards)
        self._clips = [(each, n) for each in shards for n in range(len(each))]
        (self._held_out,) = load_shards(held_out, CarriedClips)

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        random = np.random.default_rng((seed, iteration))
        return stack([self._example(random) for _ in range(count)])

    def answer(self, net: nn.Module, batch: Batch) -> list[Answer]:
        assert isinstance(net, Hstsg)
        return unrolled(net, batch)

    def loss(self, answer: list[Answer], batch: Batch) -> tuple[Tensor, dict[str, float]]:
        return clip_loss(answer, batch.alpha, batch.foreground, self._weights)

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert self._held_out is not None and isinstance(net, Hstsg)
        clips, rows = self._held_out, dict[str, list[NDArray[np.uint8]]]()
        found: list[Errors] = []
        carried: list[Errors] = []
        lines = [f"{'clip':>6s} {'light':8s} {'network':>17s} {'carried by flow':>17s}   mean absolute, dtSSD; e-3"]
        for place in range(len(clips)):
            batch = stack([example(np.random.default_rng((_SEED, place)), clips, place, self._plan.masks)]).to(device)
            with torch.no_grad():
                alphas = torch.stack([each.alpha for each in unrolled(net, batch)])
            flown = flown_mask(batch)
            found.append(errors_of(alphas, batch.alpha))
            carried.append(errors_of(flown, batch.alpha))
            both = [f"{1000 * value:8.2f}" for value in (*found[-1], *carried[-1])]
            lines.append(f"{place:6d} {clips.light[place]:8s} " + " ".join(both))
            if place < _SHOWN:
                rows |= _rows(place, batch, alphas, flown)
        means = [
            f"{1000 * np.mean([getattr(e, n) for e in every]):8.2f}"
            for every in (found, carried)
            for n in Errors._fields
        ]
        lines.append(f"{'mean':>6s} {'':8s} " + " ".join(means))
        (folder / f"scores_{iteration:06d}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        save_rows(rows, folder / f"mattes_{iteration:06d}.png")
        return {"absolute": float(np.mean([each.absolute for each in found]))}

    def _example(self, random: Random) -> Batch:
        shard, place = self._clips[int(random.integers(0, len(self._clips)))]
        length = self._plan.length
        first = int(random.integers(0, shard.alpha.shape[1] - length + 1))
        part = slice(first, first + length)
        return example(random, shard, place, self._plan.masks, part, self._plan.continued, varied=True)


def _clip(seed: tuple[int, ...], plan: Data, frames: int, material: Material) -> Clip:
    """The clip of `seed`, in one of the lights that the plan names."""
    random = np.random.default_rng((*seed, _SCENE))
    scene = pick_scene(random)
    shape = scene.shape if scene.shape not in ("motion", "defocus") else "hair"
    light = plan.lights[int(random.integers(0, len(plan.lights)))]
    chosen = replace(scene, shape=shape, light=light, unseen=False, layered=False)
    return make_clip(seed, plan.size, frames, material.photographs, scene=chosen)


def example(
    random: Random,
    clips: CarriedClips,
    place: int,
    masks: Masks,
    part: slice = slice(None),
    continued: float = 0.0,
    varied: bool = False,
) -> Batch:
    """The frames `part` of the clip at `place` as a batch of one; `varied`: mirrored, reversed, colours swapped."""
    clip = clips.cut(place, part)
    if varied:
        clip = clip.varied(random)
    alpha = clip.alpha
    rough = random.random() >= continued
    guide = rough_mask(random, alpha[0], masks if rough else _NEAR)
    if not rough:
        guide = alpha[0] + (guide - alpha[0]) * np.float32(random.uniform(0, 1))
    first, between = (clip.pixels, clip.foreground, alpha[:, None]), (clip.way, clip.trust[:, None])
    pixels, foreground, truth, way, trust = (
        torch.from_numpy(np.ascontiguousarray(each)) for each in (*first, *between)
    )
    told = torch.from_numpy(as_map(guide))[None], torch.tensor(float(rough))
    return Batch(pixels, foreground, truth, way, trust, *told)


def stack(examples: list[Batch]) -> Batch:
    """One batch of several examples."""
    parts = {name: [getattr(each, name) for each in examples] for name in Batch.__dataclass_fields__}
    alone = ("guide", "rough")
    return Batch(**{name: torch.stack(values, 0 if name in alone else 1) for name, values in parts.items()})


def unrolled(net: Hstsg, batch: Batch) -> list[Answer]:
    """The answers for all frames of a batch; what is passed on is the network's own."""
    answer, passed = begin(net, batch.pixels[0], batch.guide, batch.rough)
    answers = [answer]
    for pixels, way, trust in zip(batch.pixels[1:], batch.way, batch.trust, strict=True):
        answer, passed = go_on(net, pixels, passed, Motion(way, trust))
        answers.append(answer)
    return answers


def flown_mask(batch: Batch) -> Tensor:
    """(T, N, 1, S, S) the first frame's mask carried along the motion alone."""
    every = [batch.guide]
    for way in batch.way:
        every.append(carry(every[-1], way))
    return torch.stack(every)


def errors_of(alphas: Tensor, truth: Tensor) -> Errors:
    """Errors of alphas (T, 1, 1, S, S) of one clip."""
    changes = (alphas.diff(dim=0) - truth.diff(dim=0)).square().mean((1, 2, 3, 4)).sqrt().mean()
    return Errors(float((alphas - truth).abs().mean()), float(changes))


def _rows(place: int, batch: Batch, alphas: Tensor, flown: Tensor) -> dict[str, list[NDArray[np.uint8]]]:
    """Three frames of a clip: picture, mask or its carried self, truth, answer."""
    tiles = []
    for time in (0, len(alphas) // 2, len(alphas) - 1):
        picture = compress(batch.pixels[time, 0].clamp(0, BRIGHTEST))
        tiles += [tile(picture), *(tile(each[time, 0]) for each in (flown, batch.alpha, alphas))]
    return {f"{place}": tiles}
