"""Foregrounds with their true alphas in folders, as public matting sets lay them out.

Two layouts, in a folder itself or in folders inside it (train, Adobe-licensed images …):

    fg/ alpha/ [bg/]     Composition-1k, Distinctions-646: a foreground's colours are its own everywhere
    image/ mask/ [bg/]   P3M-10k: whole photographs; the foreground's colours are estimated from the alpha
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from matte_core.colour import linear_light, load_config, make_view
from matte_core.errors import SourceError
from matte_core.foreground import foreground_and_background
from matte_core.frame import Pixels
from matte_core.io.image import FORMATS
from matte_core.pull import frames
from matte_core.shot import Shot
from matte_core.sources import matte_source, plate_source
from matte_core.train.procedural.fields import Map

FOREGROUNDS = ("fg", "foreground")
PHOTOGRAPHS = ("image", "original", "blurred", "merged", "input")
ALPHAS = ("alpha", "gt", "mask", "matte")
BACKGROUNDS = ("bg", "background")
_KEPT = 4  # decoded pictures that are held for the next crop
_MOST_LIGHT = 1000.0


@dataclass(frozen=True)
class Cutout:
    """Files of a foreground and of its true alpha; `whole`: the foreground's file is a photograph, mixed with what
    was behind it."""

    foreground: Path
    alpha: Path
    whole: bool = False


@dataclass(frozen=True)
class Cutouts:
    """What folders hold: foregrounds with alphas, and backgrounds to put them before (there may be none)."""

    foregrounds: tuple[Cutout, ...] = ()
    backgrounds: tuple[Path, ...] = ()


class Layer(NamedTuple):
    """A decoded foreground: `colour` (H, W, 3) scene-linear and straight, `alpha` (H, W) in 0..1."""

    colour: Map
    alpha: Map


def find_cutouts(data: Path) -> Cutouts:
    """The foregrounds and backgrounds in `data` and in the folders inside it, in name order; none where there are none.

    Raises SourceError where a foreground has no alpha of the same name, or a folder of alphas has no foregrounds.
    """
    foregrounds: list[Cutout] = []
    backgrounds: list[Path] = []
    for folder in [data, *sorted(path for path in data.rglob("*") if path.is_dir())]:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        alphas = _first(inside, ALPHAS)
        if alphas is None:
            continue
        own, whole = _first(inside, FOREGROUNDS), _first(inside, PHOTOGRAPHS)
        colours = own or whole
        if colours is None:
            raise SourceError(
                f"{alphas} holds alphas, and {folder} no foregrounds to them. "
                "Lay them beside it in a folder fg (foregrounds) or image (whole photographs)."
            )
        foregrounds += _paired(colours, alphas, own is None)
        behind = _first(inside, BACKGROUNDS)
        backgrounds += _files(behind) if behind is not None else []
    return Cutouts(tuple(foregrounds), tuple(backgrounds))


@lru_cache(_KEPT)
def load_cutout(cutout: Cutout) -> Layer:
    """The cutout decoded to scene-linear Rec.709, without what was behind it; raises as `load_pair`."""
    colour, alpha = load_pair(cutout)
    if not cutout.whole:
        return Layer(colour, alpha)
    pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(colour, -1, 0)))
    return Layer(_upright(foreground_and_background(pixels, torch.from_numpy(alpha)[None])[0].numpy()), alpha)


@lru_cache(_KEPT)
def load_pair(cutout: Cutout) -> Layer:
    """The cutout's files as they are, decoded to scene-linear Rec.709.

    Raises SourceError where a file cannot be read or their sizes differ.
    """
    light, alpha = _light(cutout.foreground), _pixels(matte_source(str(cutout.alpha)))[0]
    if light.shape[1:] != alpha.shape:
        sizes = [f"{shape[-1]}x{shape[-2]}" for shape in (light.shape, alpha.shape)]
        raise SourceError(
            f"{cutout.foreground} is {sizes[0]} and its alpha {cutout.alpha} is {sizes[1]}. Give both one size."
        )
    return Layer(_upright(light), np.array(alpha))


@lru_cache(_KEPT)
def load_background(path: Path) -> Map:
    """The background (H, W, 3) decoded to scene-linear Rec.709. Raises SourceError where it cannot be read."""
    return _upright(_light(path))


def _first(folders: Sequence[Path], beginnings: tuple[str, ...]) -> Path | None:
    return next((folder for folder in folders if folder.name.lower().startswith(beginnings)), None)


def _paired(colours: Path, alphas: Path, whole: bool) -> list[Cutout]:
    known = {path.stem: path for path in _files(alphas)}
    pairs = []
    for path in _files(colours):
        if path.stem not in known:
            raise SourceError(f"{path} has no alpha called {path.stem} in {alphas}. Add it, or take the picture out.")
        pairs.append(Cutout(path, known[path.stem], whole))
    return pairs


def _files(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in FORMATS]
    if not found:
        raise SourceError(f"{folder} holds no pictures ({', '.join(FORMATS)}). Fill it, or take it away.")
    return found


def _light(path: Path) -> Pixels:
    """The picture (3, H, W) in linear Rec.709, finite and not negative."""
    plate = plate_source(str(path), nan="repair")
    view = make_view(load_config(plate.header.colour_config), plate.header.colour_space)
    light = linear_light(_pixels(plate), view)
    return np.clip(np.nan_to_num(light), 0, _MOST_LIGHT)


def _pixels(shot: Shot) -> Pixels:
    return np.asarray(next(frames(shot)).pixels)


def _upright(light: Pixels) -> Map:
    return np.ascontiguousarray(np.moveaxis(light, 0, -1), np.float32)
