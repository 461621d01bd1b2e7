"""What a person's folder holds to train with: photographs for textures, foregrounds with alphas, backgrounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from matte_core.errors import SourceError
from matte_core.train.augment import Augmentation
from matte_core.train.composites import make_composite
from matte_core.train.cutouts import Cutouts, find_cutouts
from matte_core.train.procedural.crops import Crop
from matte_core.train.procedural.photographs import Photographs, load_photographs

_CHOICE = 1  # sets the random numbers of this choice apart from those that make the crop


@dataclass(frozen=True)
class Material:
    """Scene-linear photographs to cut textures from, and foregrounds with alphas; either may be missing."""

    photographs: Photographs = ()
    cutouts: Cutouts = field(default_factory=Cutouts)

    def composite(self, seed: tuple[int, ...], size: int, share: float, settings: Augmentation) -> Crop | None:
        """The crop of a foreground from the folders, for the `share` of seeds that has one; None for all others.

        The seed alone decides, so that the crops of the other seeds are the same with and without folders.
        """
        chosen = np.random.default_rng((*seed, _CHOICE)).random() < share
        if not chosen or not self.cutouts.foregrounds:
            return None
        return make_composite(seed, size, self.cutouts, self.photographs, settings)


def load_material(folder: Path | None) -> Material:
    """What `folder` holds; nothing without a folder. Photographs are the .exr and .hdr that belong to no cutout.

    Raises SourceError where the folder is not there, a file cannot be read, or the layout is not understood.
    """
    if folder is None:
        return Material()
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder. Give one with photographs, or with foregrounds and alphas.")
    cutouts = find_cutouts(folder)
    used = {path for cutout in cutouts.foregrounds for path in (cutout.foreground, cutout.alpha)}
    return Material(load_photographs(folder, used | set(cutouts.backgrounds)), cutouts)
