"""Pictures of one salient subject with their alphas, to learn to find it without any guide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from matte_core.colour import srgb_encode
from matte_core.foreground import foreground_and_background
from matte_core.train.augment import Augmentation
from matte_core.train.bank import Progress, Stored, as_bytes
from matte_core.train.cutouts import Cutout, load_pair
from matte_core.train.material import Material
from matte_core.train.procedural.crops import Crop, Scene, make_subject
from matte_core.train.procedural.fields import Random, log_uniform
from matte_core.train.subjects import Pictures, shown

_SHAPES = {"figure": 0.6, "hair": 0.12, "fine_hair": 0.07, "fur": 0.09, "solid": 0.06, "plush": 0.06}


@dataclass(frozen=True)
class Portraits(Pictures):
    """N pictures of S pixels a side, as bytes, 255 = 1: `pixels` (N, S, S, 3) display-referred, `alpha` and `contrast`
    (N, S, S), the mean difference of foreground and background; `kind` (N,) what they show."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    contrast: NDArray[np.uint8]
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.alpha)

    @staticmethod
    def drawn(seed: tuple[int, int, int], size: int, material: Material, share: float) -> Crop:
        made = material.composite(seed, size, share, Augmentation(merge=0.0, whole=1.0))
        return made or make_subject(seed, size, material.photographs, pick_salient(np.random.default_rng((*seed, 1))))

    @classmethod
    def pack(cls, crops: Sequence[Crop]) -> Self:
        return cls(
            pixels=np.stack([shown(crop) for crop in crops]),
            alpha=as_bytes(np.stack([crop.alpha for crop in crops])),
            contrast=as_bytes(np.stack([np.abs(crop.foreground - crop.background).mean(2) for crop in crops])),
            kind=np.array([crop.scene.shape for crop in crops]),
        )


@dataclass(frozen=True)
class Photograph(Stored):
    """A photograph of any size with its alpha, as bytes: `pixels` (H, W, 3), `alpha` and `contrast` (H, W)."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    contrast: NDArray[np.uint8]


def pick_salient(random: Random) -> Scene:
    """A scene whose subject can be told from what is behind it, composited in linear light.

    Most of what stands behind is out of focus, as it is where a lens is turned to a subject.
    """
    return Scene(
        shape=str(random.choice(list(_SHAPES), p=list(_SHAPES.values()))),
        light="scene" if random.random() < 0.4 else "encoded",
        similar=float(random.uniform(0.2, 0.6)) if random.random() < 0.1 else 0.0,
        bright=bool(random.random() < 0.2),
        soft=log_uniform(random, 0.006, 0.06) if random.random() < 0.6 else 0.0,
    )


def make_photographs(folder: Path, material: Material, progress: Progress | None = None) -> list[Path]:
    """Files of the material's whole photographs, written into `folder` where they are not there yet.

    Foreground and background are estimated once, from the true alpha, in linear light. Raises SourceError where a
    file cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = [cutout for cutout in material.cutouts.foregrounds if cutout.whole]
    paths = [folder / f"{number:05d}_{cutout.foreground.stem}.npz" for number, cutout in enumerate(whole)]
    for number, (cutout, path) in enumerate(zip(whole, paths, strict=True)):
        if not path.exists():
            _photograph(cutout).save(path)
        if progress:
            progress(number + 1, len(paths))
    return paths


def _photograph(cutout: Cutout) -> Photograph:
    light, alpha = load_pair(cutout)
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(light, -1, 0)))
    front, back = foreground_and_background(pixels, torch.from_numpy(alpha)[None])
    contrast = (front.clamp(0, 1) - back.clamp(0, 1)).abs().mean(0).numpy()
    return Photograph(as_bytes(srgb_encode(light)), as_bytes(alpha), as_bytes(contrast))
