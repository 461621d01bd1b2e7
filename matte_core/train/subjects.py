"""A bank of pictures with their alphas, as a network sees them, to learn from which part of a picture is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matte_core.colour.exposure import measure_exposure
from matte_core.colour.view import View, encode_for_network
from matte_core.train.augment import Augmentation
from matte_core.train.bank import CROPS_PER_SHARD, Progress, Stored, fill_folder
from matte_core.train.material import Material
from matte_core.train.procedural.crops import Crop, make_crop, make_subject

REC709 = View("scene-linear Rec.709", "", 1.0, False, "", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
_CLOSE = 3  # every third picture shows a part of its subject only


@dataclass(frozen=True)
class Subjects(Stored):
    """N pictures of S pixels a side: `pixels` (N, S, S, 3) display-referred and `alpha` (N, S, S) as bytes, 255 = 1;
    `kind` (N,) what they show."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.alpha)


def shown(crop: Crop) -> NDArray[np.uint8]:
    """The crop's pixels (S, S, 3) as every network is shown a plate: exposed and encoded where they are linear."""
    pixels = np.ascontiguousarray(crop.pixels.transpose(2, 0, 1))
    if crop.scene.light == "scene":
        exposure = measure_exposure([pixels], REC709)
        pixels = encode_for_network(pixels * np.float32(exposure), REC709)
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def make_subjects(
    folder: Path,
    seed: int,
    shards: int,
    size: int,
    material: Material,
    progress: Progress | None = None,
    count: int = CROPS_PER_SHARD,
    share: float = 0.0,
) -> None:
    """Write `shards` shards of `count` pictures of `size` pixels into `folder`; those that are there are kept.

    `share` of them are made of the material's foregrounds, where it has any.
    """

    def shard(index: int) -> Subjects:
        return pack_subjects([_crop((seed, index, place), size, material, share) for place in range(count)])

    fill_folder(folder, seed, shards, shard, progress)


def pack_subjects(crops: Sequence[Crop]) -> Subjects:
    """The shard of `crops`."""
    alphas = np.stack([crop.alpha for crop in crops])
    return Subjects(
        pixels=np.stack([shown(crop) for crop in crops]),
        alpha=np.round(np.clip(alphas, 0, 1) * 255).astype(np.uint8),
        kind=np.array([crop.scene.shape for crop in crops]),
    )


def _crop(seed: tuple[int, int, int], size: int, material: Material, share: float) -> Crop:
    close = seed[2] % _CLOSE == 0
    made = material.composite(seed, size, share, Augmentation(whole=0.0 if close else 1.0))
    return made or (make_crop if close else make_subject)(seed, size, material.photographs)
