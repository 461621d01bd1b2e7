"""What a person's folder holds to train with: photographs for textures, foregrounds with alphas, backgrounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from matte_core.errors import SourceError
from matte_core.train.cutouts import Cutouts, find_cutouts
from matte_core.train.procedural.photographs import Photographs, load_photographs


@dataclass(frozen=True)
class Material:
    """Scene-linear photographs to cut textures from, and foregrounds with alphas; either may be missing."""

    photographs: Photographs = ()
    cutouts: Cutouts = field(default_factory=Cutouts)


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
