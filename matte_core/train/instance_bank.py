"""A bank of pictures with several subjects each: subjects are made once, and placed together in many pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from matte_core.train.bank import CROPS_PER_SHARD, Progress, Stored, fill_folder, load_shards
from matte_core.train.cutouts import load_cutout
from matte_core.train.material import Material
from matte_core.train.procedural.camera import Light
from matte_core.train.procedural.clips import OVERLAPS, Clip, make_clip
from matte_core.train.procedural.crops import pick_scene
from matte_core.train.procedural.fields import as_map
from matte_core.train.procedural.groups import OCCLUSIONS, Group, Subject, make_group, make_member
from matte_core.train.procedural.photographs import Photographs
from matte_core.train.procedural.textures import make_texture
from matte_core.train.subjects import as_seen

CLIPS_PER_SHARD = 8
COUNTS = (2, 3, 4, 5)  # subjects of a picture, equally often
_SCENE = 0.4  # share of the clips that are kept scene-linear
_ALIKE = 0.2  # share of the pictures in which two subjects have the same colours
_ZOOM = (1.0, 1.8)  # how much larger than what is shown the picture is that subjects are placed in


@dataclass(frozen=True)
class Members(Stored):
    """N subjects, L pixels a side: `colour`, `behind` (N, L, L, 3) scene-linear, `alpha` (N, L, L) bytes, 255 = 1;
    `cut` (N,) whether the subject goes on below."""

    colour: NDArray[np.float16]
    behind: NDArray[np.float16]
    alpha: NDArray[np.uint8]
    cut: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.alpha)

    def subject(self, place: int) -> Subject:
        """The subject at `place`."""
        alpha = as_map(self.alpha[place]) / np.float32(255)
        return Subject(as_map(self.colour[place]), alpha, as_map(self.behind[place]), bool(self.cut[place]))


@dataclass(frozen=True)
class Groups(Stored):
    """N clips of T frames (a picture is one of a single frame), S pixels a side: `pixels` (N, T, S, S, 3) as networks
    see them, `alpha` (N, T, M, S, S) of up to M subjects, both bytes, 255 = 1; `count` (N,) how many there are,
    `level` (N,) how hidden they are."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    count: NDArray[np.int64]
    level: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.alpha)


def make_members(
    folder: Path, seed: int, shards: int, size: int, material: Material, share: float, progress: Progress | None = None
) -> list[Members]:
    """Shards of subjects of `size` pixels in `folder`, those that are missing made; `share` of them from the
    material's foregrounds, where it has any."""

    def shard(index: int) -> Members:
        made = [_member((seed, index, place), size, material, share) for place in range(CROPS_PER_SHARD)]
        return Members(
            np.stack([each.colour for each in made]).astype(np.float16),
            np.stack([each.behind for each in made]).astype(np.float16),
            np.round(np.stack([each.alpha for each in made]) * 255).astype(np.uint8),
            np.array([each.cut for each in made]),
        )

    fill_folder(folder, seed, shards, shard, progress)
    return list(load_shards(folder, Members))[:shards]


def make_groups(
    folder: Path,
    seed: int,
    shards: int,
    size: int,
    members: Sequence[Members],
    counts: Sequence[int] = COUNTS,
    progress: Progress | None = None,
    zoom: tuple[float, float] = _ZOOM,
) -> list[Groups]:
    """Shards of pictures of `size` pixels in `folder`, those that are missing made of `members`; all levels of
    occlusion and all `counts` equally often."""

    def shard(index: int) -> Groups:
        made = [drawn_group((seed, index, place), size, members, counts, zoom) for place in range(CROPS_PER_SHARD)]
        return _packed([(g.pixels[None], g.alpha[None], g.light, level) for g, level in made], max(counts))

    fill_folder(folder, seed, shards, shard, progress)
    return list(load_shards(folder, Groups))[:shards]


def make_clips(
    folder: Path,
    seed: int,
    shards: int,
    size: int,
    frames: int,
    photographs: Photographs,
    counts: Sequence[int] = COUNTS,
    progress: Progress | None = None,
) -> list[Groups]:
    """Shards of procedural clips of `frames` frames of `size` pixels in `folder`, those that are missing made; all
    levels of occlusion and all `counts` equally often."""

    def shard(index: int) -> Groups:
        made = [drawn_clip((seed, index, place), size, frames, photographs, counts) for place in range(CLIPS_PER_SHARD)]
        return _packed([(c.pixels, c.alpha, c.light, level) for c, level in made], max(counts))

    fill_folder(folder, seed, shards, shard, progress)
    return list(load_shards(folder, Groups))[:shards]


def drawn_clip(
    seed: tuple[int, ...], size: int, frames: int, photographs: Photographs, counts: Sequence[int] = COUNTS
) -> tuple[Clip, str]:
    """The clip that `seed` stands for, composited in linear light, and its level of occlusion."""
    random = np.random.default_rng((*seed, 1))
    count = int(random.choice(list(counts)))
    level = OCCLUSIONS[int(random.integers(0, len(OCCLUSIONS)))]
    light: Light = "scene" if random.random() < _SCENE else "encoded"
    scene = replace(pick_scene(random), light=light, unseen=False, layered=False)
    return make_clip(seed, size, frames, photographs, count, OVERLAPS[level], scene), level


def _packed(made: Sequence[tuple[NDArray[np.float32], NDArray[np.float32], Light, str]], most: int) -> Groups:
    """The shard of clips: pixels (T, S, S, 3), alphas (T, K, S, S), light and level of each."""
    alpha = np.zeros((len(made), *made[0][1].shape[:1], most, *made[0][1].shape[2:]), np.uint8)
    for place, (_, alphas, _, _) in enumerate(made):
        alpha[place, :, : alphas.shape[1]] = np.round(alphas * 255)
    return Groups(
        np.stack([as_seen(pixels, light) for pixels, _, light, _ in made]),
        alpha,
        np.array([alphas.shape[1] for _, alphas, _, _ in made]),
        np.array([level for *_, level in made]),
    )


def drawn_group(
    seed: tuple[int, ...],
    size: int,
    members: Sequence[Members],
    counts: Sequence[int] = COUNTS,
    zoom: tuple[float, float] = (1.0, 1.0),
    light: Light | None = None,
) -> tuple[Group, str]:
    """The group that `seed` stands for of some of `members`, and its level of occlusion."""
    random = np.random.default_rng(seed)
    every = [(shard, place) for shard in members for place in range(len(shard))]
    count = int(random.choice(list(counts)))
    level = OCCLUSIONS[int(random.integers(0, len(OCCLUSIONS)))]
    chosen = [every[int(place)] for place in random.choice(len(every), count + 1, replace=False)]
    *subjects, behind = (shard.subject(place) for shard, place in chosen)
    if random.random() < _ALIKE and count > 1:  # two dressed alike
        subjects[1] = replace(subjects[1], colour=subjects[0].colour)
    return make_group(random, size, subjects, behind.behind, level, random.uniform(*zoom), light), level


def _member(seed: tuple[int, ...], size: int, material: Material, share: float) -> Subject:
    random = np.random.default_rng((*seed, 1))
    if not material.cutouts.foregrounds or random.random() >= share:
        return make_member(seed, size, material.photographs)
    layer = load_cutout(material.cutouts.foregrounds[int(random.integers(0, len(material.cutouts.foregrounds)))])
    height, width = layer.alpha.shape
    scale = size / max(height, width)
    small = [
        cv2.resize(each, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
        for each in layer
    ]
    colour, alpha = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)
    left = (size - small[1].shape[1]) // 2
    place = np.s_[size - small[1].shape[0] :, left : left + small[1].shape[1]]
    colour[place], alpha[place] = small[0], np.clip(small[1], 0, 1)
    cut = bool((alpha[-1] > 0.3).any())
    return Subject(colour, alpha, make_texture(random, size, material.photographs), cut)
