"""A bank of clips with trimaps on every frame, and what optical flow carries there from the first and the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matte_core.carry import carried_regions
from matte_core.train.bank import Progress, Stored, fill_folder
from matte_core.train.clips import CLIPS_PER_SHARD
from matte_core.train.procedural.clips import make_clip
from matte_core.train.procedural.fields import Map, as_map, log_uniform
from matte_core.train.procedural.photographs import Photographs
from matte_core.train.procedural.trimaps import even_trimap, usable
from matte_core.train.subjects import as_seen
from matte_core.train.ways import Ways

_TRIES, _CHOICES = 10, 4


@dataclass(frozen=True)
class Keyed(Stored):
    """N clips of which F frames are kept, S pixels a side: `pixels` (N, F, S, S, 3) display-referred and `carried`
    (N, 2, F, 4, S, S), regions and trust as from the first and the last frame, all bytes, 255 = 1; `trimap`
    (N, F, S, S) of 0, 1, 2; `numbers` (N, F) of the frames."""

    pixels: NDArray[np.uint8]
    trimap: NDArray[np.uint8]
    carried: NDArray[np.uint8]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.trimap)


def make_keyed(
    folder: Path,
    seed: int,
    shards: int,
    size: int,
    numbers: Sequence[int],
    photographs: Photographs,
    progress: Progress | None = None,
    count: int = CLIPS_PER_SHARD,
) -> None:
    """Write `shards` shards of `count` clips into `folder`, keeping the frames `numbers` of each, from 0 on."""

    def shard(index: int) -> Keyed:
        made = [_clip((seed, index, place), size, list(numbers), photographs) for place in range(count)]
        pixels, trimap, carried = (np.stack(values) for values in zip(*made, strict=True))
        return Keyed(pixels, trimap, carried, np.tile(np.array(numbers), (count, 1)))

    fill_folder(folder, seed, shards, shard, progress)


def _clip(
    seed: tuple[int, ...], size: int, numbers: list[int], photographs: Photographs
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    for attempt in range(_TRIES):
        random = np.random.default_rng((*seed, attempt, _CHOICES))
        clip = make_clip((*seed, attempt), size, numbers[-1] + 1, photographs, 1 if random.random() < 0.75 else 2)
        reach = log_uniform(random, 1.5, 9) * size / 160
        inward, outward = reach * np.exp(random.normal(0, 0.3, 2))
        alpha = np.clip(clip.alpha.sum(1), 0, 1)
        trimap = np.stack([even_trimap(alpha[number], inward, outward) for number in numbers])
        if usable(trimap[0]) and usable(trimap[-1]):
            break
    pixels = as_seen(clip.pixels, clip.light)
    ways = Ways([as_map(frame.mean(-1)) / np.float32(255) for frame in pixels])
    carried = np.stack([[_carried(ways, number, key, trimap) for number in numbers] for key in (0, numbers[-1])])
    return pixels[numbers], trimap, carried


def _carried(ways: Ways, number: int, key: int, trimap: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(4, S, S) regions and trust as bytes of the trimap of the frame `key`, the first or the last, at `number`."""
    moved, trust = ways.between(number, key)
    drawn: Map = as_map(trimap[0 if key == 0 else -1]) / np.float32(2)
    return np.round(255 * np.concatenate([carried_regions(drawn, moved), trust[None]])).astype(np.uint8)
