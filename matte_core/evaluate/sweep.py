"""Trimaps from masks that fall ever further short of the subject, and the mattes that follow from them.

Source: arXiv 2103.17020, table 1 (regions) and table 5 (joint inference over the erosion of the mask).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from matte_core.engine.engine import Engine
from matte_core.evaluate import metrics
from matte_core.evaluate.methods import pull_one
from matte_core.evaluate.pictures import Picture
from matte_core.evaluate.regions import Counts, count, fixed_trimap, region_scores
from matte_core.frame import Pixels
from matte_core.guide import Guide
from matte_core.joint import FUSIONS
from matte_core.matting import matte_of, regions_of, view_of
from matte_core.memory import hold
from matte_core.pull import frames
from matte_core.shot import Shot
from matte_core.sources import matte_source, plate_source
from matte_core.train.segmentations import eroded_mask, regions
from matte_core.trimap import around_edge, describe_guide
from matte_core.windows import over_window_of

EROSIONS = (20, 30, 40, 50)
BLUR = 5.0  # pixels that the eroded masks are blurred by
MARGIN = 15  # pixels that the true regions reach beyond the fractional ones, as published
RADII = tuple(range(4, 100, 4))  # of the fixed trimaps that are tried
FIXED, PLAIN = "dilate / erode", "trimap from mask"

Progress = Callable[[int, int, int], None]  # erosion, pictures done, of how many


class Matte(NamedTuple):
    """How one matte came about: the alpha's model, where its trimap came from, how both were joined ("" = not)."""

    alpha: str
    trimap: str
    fusion: str


@dataclass
class Sweep:
    """What was found for every erosion: region counts by trimap, and SAD and MSE of the whole picture by matte."""

    regions: dict[int, dict[str, Counts]] = field(default_factory=dict)
    radius: dict[int, int] = field(default_factory=dict)
    errors: dict[int, dict[Matte, list[tuple[float, float]]]] = field(default_factory=dict)

    def scores(self, erosion: int) -> dict[str, dict[str, float]]:
        """Accuracy, IoU of each region and mIoU by trimap; of the fixed ones the best by the unknown's IoU."""
        return {name: region_scores(counts) for name, counts in self.regions[erosion].items()}

    def mean(self, erosion: int, matte: Matte) -> tuple[float, float]:
        """Mean SAD (/ 1000) and MSE (x 1000) of the whole picture."""
        sads, squares = zip(*self.errors[erosion][matte], strict=True)
        return sum(sads) / len(sads), sum(squares) / len(squares)


@dataclass(frozen=True)
class _Seen:
    """One picture as the sweep needs it."""

    name: str
    plate: Shot
    alpha: Pixels  # the true one (H, W)

    def mask(self, erosion: int) -> Pixels:
        return eroded_mask(self.alpha, erosion, BLUR)

    def regions(self) -> Pixels:
        return np.asarray(regions(self.alpha, MARGIN) / np.float32(2), np.float32)


def sweep(
    pictures: Sequence[Picture],
    trimap_models: Sequence[str],
    alpha_models: Sequence[str],
    engine: Engine,
    scratch: Path,
    erosions: Sequence[int] = EROSIONS,
    space: str = "",
    progress: Progress = lambda erosion, done, total: None,
) -> Sweep:
    """Regions and mattes from masks made of the true alphas, eroded by `erosions` pixels and blurred.

    Beside every trimap model stand the fixed dilate / erode trimap whose single radius has the best IoU of the
    unknown over these very pictures, and the trimap that a mask is given by default. Every alpha model is asked with
    the fixed trimap and with that of each trimap model, joined softly and hard. `scratch` holds answers meanwhile.
    """
    found = Sweep()
    for erosion in erosions:
        found.regions[erosion], found.radius[erosion] = _regions(
            pictures, trimap_models, engine, scratch, erosion, space
        )
        errors: dict[Matte, list[tuple[float, float]]] = {}
        for done, seen in enumerate(_each(pictures, space)):
            fixed = fixed_trimap(seen.mask(erosion), found.radius[erosion], found.radius[erosion])
            for matte, alpha in _mattes(seen, fixed, trimap_models, alpha_models, engine, scratch):
                everywhere = np.ones(alpha.shape, np.bool_)
                pair = metrics.sad(alpha, seen.alpha, everywhere), metrics.mse(alpha, seen.alpha, everywhere)
                errors.setdefault(matte, []).append(pair)
            progress(erosion, done + 1, len(pictures))
        found.errors[erosion] = errors
    return found


def _each(pictures: Sequence[Picture], space: str) -> Iterator[_Seen]:
    for picture in pictures:
        plate = plate_source(str(picture.plate), space=space)
        truth = next(frames(over_window_of(plate, matte_source(str(picture.truth)), "truth"))).pixels[0]
        yield _Seen(picture.name, plate, np.asarray(truth))


def _regions(
    pictures: Sequence[Picture], models: Sequence[str], engine: Engine, scratch: Path, erosion: int, space: str
) -> tuple[dict[str, Counts], int]:
    """Counts by trimap, and the best fixed radius; the models' probabilities are left in `scratch`."""
    fixed = {radius: np.zeros((3, 3), np.int64) for radius in RADII}
    counts = {name: np.zeros((3, 3), np.int64) for name in (PLAIN, *models)}
    for seen in _each(pictures, space):
        mask, truth = seen.mask(erosion), seen.regions()
        for radius in RADII:
            fixed[radius] += count(fixed_trimap(mask, radius, radius), truth)
        counts[PLAIN] += count(around_edge(mask, 8, 16, 1.0), truth)
        for name in models:
            probabilities = ask_regions(engine, name, seen.plate, mask)
            np.save(_file(scratch, name, seen.name), probabilities)
            counts[name] += count(probabilities.argmax(0) / np.float32(2), truth)
    best = max(RADII, key=lambda radius: region_scores(fixed[radius])["unknown"])
    return {FIXED: fixed[best], **counts}, best


def ask_regions(engine: Engine, name: str, plate: Shot, mask: Pixels) -> Pixels:
    """Probabilities (3, H, W) of background, unknown and foreground by the trimap model called `name`.

    All is background where nothing is left of the mask.
    """
    if describe_guide(next(frames(_held(plate, mask))), "mask") is not None:
        return np.stack([np.ones_like(mask), np.zeros_like(mask), np.zeros_like(mask)])
    return pull_one(regions_of(plate, _held(plate, mask), name, "auto", engine.device, view_of(plate)), engine)


def _mattes(
    seen: _Seen, fixed: Pixels, trimap_models: Sequence[str], alpha_models: Sequence[str], engine: Engine, scratch: Path
) -> Iterator[tuple[Matte, Pixels]]:
    for name in alpha_models:
        yield Matte(name, FIXED, ""), _alpha(engine, name, seen.plate, fixed)
        for source in trimap_models:
            probabilities = np.load(_file(scratch, source, seen.name), allow_pickle=False)
            alpha = _alpha(engine, name, seen.plate, probabilities.argmax(0).astype(np.float32) / 2)
            pair = torch.from_numpy(probabilities)[None], torch.from_numpy(np.array(alpha))[None, None]
            for fusion, join in FUSIONS.items():
                yield Matte(name, source, fusion), join(*pair)[0, 0].numpy()


def _alpha(engine: Engine, name: str, plate: Shot, trimap: Pixels) -> Pixels:
    """The model's alpha (H, W); where a trimap leaves it nothing to go by, the trimap itself."""
    held = _held(plate, trimap)
    if describe_guide(next(frames(held)), "trimap") is not None:
        return trimap
    return np.asarray(pull_one(matte_of(plate, Guide(trimap=held), name, "auto", engine.device), engine)[0])


def _held(plate: Shot, guide: Pixels) -> Shot:
    """A guide (H, W) as a shot over the plate's window."""
    pixels = np.ascontiguousarray(guide[None], np.float32)
    header = replace(plate.header, colour_space="", linear=True)
    return hold(lambda place: pixels, 1, plate.frames, kind="matte", header=header, channels=["guide"])


def _file(scratch: Path, model_name: str, picture: str) -> Path:
    return scratch / f"{model_name}_{picture}.npy"
