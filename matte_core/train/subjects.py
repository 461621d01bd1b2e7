"""A bank of pictures with their alphas, as a network sees them, to learn from which part of a picture is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matte_core.colour.exposure import measure_exposure
from matte_core.colour.view import View, encode_for_network
from matte_core.train.augment import Augmentation
from matte_core.train.bank import CROPS_PER_SHARD, Progress, Stored, as_bytes, fill_folder
from matte_core.train.material import Material
from matte_core.train.procedural.camera import Light
from matte_core.train.procedural.crops import Crop, make_crop, make_subject

REC709 = View("scene-linear Rec.709", "", 1.0, False, "", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
_CLOSE = 3  # every third picture shows a part of its subject only


class Pictures(Stored):
    """Pictures as networks see them, drawn one by one and kept many to a shard."""

    @staticmethod
    def drawn(seed: tuple[int, int, int], size: int, material: Material, share: float) -> Crop:
        """The picture of `seed`, `size` pixels a side; `share` of all are made of the material's foregrounds."""
        raise NotImplementedError

    @classmethod
    def pack(cls, crops: Sequence[Crop]) -> Self:
        """The shard of `crops`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Subjects(Pictures):
    """N pictures of S pixels a side: `pixels` (N, S, S, 3) display-referred and `alpha` (N, S, S) as bytes, 255 = 1;
    `kind` (N,) what they show."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.alpha)

    @staticmethod
    def drawn(seed: tuple[int, int, int], size: int, material: Material, share: float) -> Crop:
        close = seed[2] % _CLOSE == 0
        made = material.composite(seed, size, share, Augmentation(whole=0.0 if close else 1.0))
        return made or (make_crop if close else make_subject)(seed, size, material.photographs)

    @classmethod
    def pack(cls, crops: Sequence[Crop]) -> Self:
        return cls(
            pixels=np.stack([shown(crop) for crop in crops]),
            alpha=as_bytes(np.stack([crop.alpha for crop in crops])),
            kind=np.array([crop.scene.shape for crop in crops]),
        )


def as_seen(pixels: NDArray[np.float32], light: Light) -> NDArray[np.uint8]:
    """Frames (T, S, S, 3) as every network is shown a plate: exposed, all alike, and encoded where they are linear."""
    frames = [np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in pixels]
    if light == "scene":
        exposure = np.float32(measure_exposure(frames, REC709))
        frames = [encode_for_network(frame * exposure, REC709) for frame in frames]
    return as_bytes(np.stack(frames)).transpose(0, 2, 3, 1)


def shown(crop: Crop) -> NDArray[np.uint8]:
    """The crop's pixels (S, S, 3) as every network is shown a plate."""
    return np.squeeze(as_seen(crop.pixels[None], crop.scene.light), 0)


def make_pictures(
    kind: type[Pictures],
    folder: Path,
    seed: int,
    shards: int,
    size: int,
    material: Material,
    progress: Progress | None = None,
    count: int = CROPS_PER_SHARD,
    share: float = 0.0,
) -> None:
    """Write `shards` shards of `count` pictures of `kind`, `size` pixels a side, into `folder`; those there are kept.

    `share` of them are made of the material's foregrounds, where it has any.
    """

    def shard(index: int) -> Pictures:
        return kind.pack([kind.drawn((seed, index, place), size, material, share) for place in range(count)])

    fill_folder(folder, seed, shards, shard, progress)
