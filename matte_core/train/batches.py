"""Batches of crops from a bank, each one decided by the seed and the iteration's number alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from matte_core.train.bank import Shard

_TOLD = 0.5  # how often the network is told which light the pixels are in


@dataclass(frozen=True)
class Batch:
    """Crops as tensors (N, C, H, W): `pixels` (3), `trimap` (1) of 0, 0.5, 1, `solved` (2), `truth` (1),
    `contrast` (1), `unknown` (1) of 0 and 1; `light` (N, 1, 1, 1) of -1, 0, 1."""

    pixels: Tensor
    trimap: Tensor
    solved: Tensor
    truth: Tensor
    contrast: Tensor
    unknown: Tensor
    light: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Crops:
    """All crops of some shards, drawn at random or in order."""

    def __init__(self, shards: Iterable[Shard]) -> None:
        self._shards = list(shards)
        self._places = [(shard, place) for shard in self._shards for place in range(len(shard))]

    def __len__(self) -> int:
        return len(self._places)

    @property
    def kinds(self) -> list[str]:
        """What each crop shows, in order."""
        return [str(shard.kind[place]) for shard, place in self._places]

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        """`count` random crops, mirrored, turned and with their channels permuted: the solves hold under these."""
        random = np.random.default_rng((seed, iteration))
        return _stack([self._turned(random, int(index)) for index in random.integers(0, len(self), count)])

    def span(self, start: int, count: int) -> Batch:
        """The crops from number `start` on, as they are, the light told."""
        return _stack([self._plain(index) for index in range(start, min(start + count, len(self)))])

    def _plain(self, index: int) -> list[Tensor]:
        shard, place = self._places[index]
        pixels = torch.from_numpy(shard.pixels[place].astype(np.float32)).permute(2, 0, 1)
        maps = [shard.alpha[place], shard.contrast[place], *np.moveaxis(shard.solved[place], 2, 0)]
        truth, contrast, *solved = (torch.from_numpy(np.ascontiguousarray(m)).float()[None] / 255 for m in maps)
        trimap = torch.from_numpy(shard.trimap[place]).float()[None] / 2
        light = torch.full((1, 1, 1), 1.0 if shard.linear[place] else -1.0)
        return [pixels, trimap, torch.cat(solved), truth, contrast, (trimap == 0.5).float(), light]

    def _turned(self, random: np.random.Generator, index: int) -> list[Tensor]:
        *maps, light = self._plain(index)
        maps[0] = maps[0][torch.from_numpy(random.permutation(3))]
        quarters, mirrored, told = int(random.integers(0, 4)), random.random() < 0.5, random.random() < _TOLD
        maps = [torch.rot90(m, quarters, (1, 2)) for m in maps]
        maps = [m.flip(2) if mirrored else m for m in maps]
        return [*maps, light * float(told)]


def _stack(crops: list[list[Tensor]]) -> Batch:
    return Batch(*(torch.stack(fields).contiguous() for fields in zip(*crops, strict=True)))
