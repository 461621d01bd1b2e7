"""Batches of crops from a bank, each one decided by the seed and the iteration's number alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from matte_core.models.layers.colour_models import colour_models
from matte_core.models.layers.light import BRIGHTEST
from matte_core.train.bank import Shard
from matte_core.train.procedural.camera import LIGHTS, Light

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_TRIES, _ENOUGH = 6, 0.03  # parts looked at, and the share of each region that a part should have


@dataclass(frozen=True)
class Batch:
    """Crops as tensors (N, C, H, W): `pixels` (3), `trimap` (1) of 0, 0.5, 1, `solved` (2), `truth` (1),
    `contrast` (1), `unknown` (1) of 0 and 1, `models` (11) of the crop that the part was cut from; `light`
    (N, 1, 1, 1) of -1 (display) and 1 (scene-linear)."""

    pixels: Tensor
    trimap: Tensor
    solved: Tensor
    truth: Tensor
    contrast: Tensor
    unknown: Tensor
    models: Tensor
    light: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Crops:
    """All crops of some shards that are in one of `lights`, drawn at random or in order."""

    def __init__(self, shards: Iterable[Shard], lights: Sequence[Light] = LIGHTS) -> None:
        self._places = [
            (shard, place) for shard in shards for place in range(len(shard)) if shard.light[place] in lights
        ]

    def __len__(self) -> int:
        return len(self._places)

    @property
    def kinds(self) -> list[str]:
        """What each crop shows, in order."""
        return [str(shard.kind[place]) for shard, place in self._places]

    def draw(self, seed: int, iteration: int, count: int, side: int = 0, recoloured: float = 0.0) -> Batch:
        """`count` random crops, mirrored, turned and with their channels permuted: the solves hold under these.

        With `side` only a random part of each, of so many pixels a side, that has some of all three regions. The share
        of `recoloured` crops has other colours: the solves hold under any mixing of channels.
        """
        random = np.random.default_rng((seed, iteration))
        chosen = random.integers(0, len(self), count)
        return _stack([self._turned(random, int(index), side, recoloured) for index in chosen])

    def span(self, start: int, count: int) -> Batch:
        """The crops from number `start` on, as they are."""
        return _stack([self._plain(index) for index in range(start, min(start + count, len(self)))])

    def _plain(self, index: int) -> list[Tensor]:
        shard, place = self._places[index]
        pixels = torch.from_numpy(shard.pixels[place].astype(np.float32)).permute(2, 0, 1)
        maps = [shard.alpha[place], shard.contrast[place], *np.moveaxis(shard.solved[place], 2, 0)]
        truth, contrast, *solved = (torch.from_numpy(np.ascontiguousarray(m)).float()[None] / 255 for m in maps)
        trimap = torch.from_numpy(shard.trimap[place]).float()[None] / 2
        light = torch.full((1, 1, 1), 1.0 if shard.light[place] == "scene" else -1.0)
        models = torch.from_numpy(shard.models[place].astype(np.float32)).permute(2, 0, 1)
        return [pixels, trimap, torch.cat(solved), truth, contrast, (trimap == 0.5).float(), models, light]

    def _turned(self, random: np.random.Generator, index: int, side: int, recoloured: float) -> list[Tensor]:
        *maps, light = self._plain(index)
        rows, columns = _part(random, maps[1][0], side)
        order = torch.from_numpy(random.permutation(3))
        maps[0] = maps[0][order]
        maps[6] = torch.cat([maps[6][order], maps[6][3 + order], maps[6][6:]])
        if recoloured and random.random() < recoloured:
            maps[0] = _recoloured(random, maps[0], bool(light > 0))
            maps[6] = colour_models(maps[0][None], maps[1][None]).stacked()[0]
        maps = [m[:, rows, columns] for m in maps]
        quarters, mirrored = int(random.integers(0, 4)), random.random() < 0.5
        maps = [torch.rot90(m, quarters, (1, 2)) for m in maps]
        maps = [m.flip(2) if mirrored else m for m in maps]
        return [*maps, light]


def _recoloured(random: np.random.Generator, pixels: Tensor, linear: bool) -> Tensor:
    """Pixels (3, H, W) in other colours: channels scaled and mixed, less or more coloured.

    Alpha is nearly a sum of the channels and a constant everywhere, so the solves hold. Display-referred pixels stay
    within 0..1, scene-linear ones within 0..16 at another exposure.
    """
    gains = np.exp(random.normal(0, 0.25, 3) + (random.uniform(-0.7, 0.7) if linear else 0.0))
    colour = random.uniform(0.3, 1.2)
    mixing = np.diag(gains) @ (colour * np.eye(3) + (1 - colour) * np.array(_LUMINANCE))
    mixed = torch.einsum("ij,jhw->ihw", torch.from_numpy(mixing.astype(np.float32)), pixels)
    brightest = (BRIGHTEST if linear else 1.0) / max(float(mixed.max()), 1e-6)
    return (mixed * min(1.0, brightest)).clamp_min(0)


def _part(random: np.random.Generator, trimap: Tensor, side: int) -> tuple[slice, slice]:
    """Rows and columns of a random part of `trimap` (H, W): the best of some, by the least of its three regions."""
    size = len(trimap)
    if not 0 < side < size:
        return slice(0, size), slice(0, size)
    best, found = -1.0, (slice(0, side), slice(0, side))
    for top, left in random.integers(0, size - side + 1, (_TRIES, 2)).tolist():
        part = trimap[top : top + side, left : left + side]
        least = min(float((part == value).float().mean()) for value in (0.0, 0.5, 1.0))
        if least > best:
            best, found = least, (slice(top, top + side), slice(left, left + side))
        if best > _ENOUGH:
            break
    return found


def _stack(crops: list[list[Tensor]]) -> Batch:
    return Batch(*(torch.stack(fields).contiguous() for fields in zip(*crops, strict=True)))
