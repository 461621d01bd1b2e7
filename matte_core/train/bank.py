"""A bank of procedural crops on disk, each with the two classic solves that the network is given."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass
from os import SEEK_CUR
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from matte_core.errors import SourceError
from matte_core.models.layers.colour_models import colour_models
from matte_core.models.layers.light import BRIGHTEST
from matte_core.models.layers.solver import PRIOR_WEIGHT, MattingSystem
from matte_core.train.augment import Augmentation
from matte_core.train.material import Material
from matte_core.train.procedural.crops import Crop, Mix, make_crop

CROPS_PER_SHARD = 32
_TOLERANCE = 3e-4
_NAME_LENGTHS = 26  # where an entry of a ZIP archive says how long its name and its extra field are

Progress = Callable[[int, int], None]
S = TypeVar("S", bound="Stored")


class Stored:
    """A dataclass of arrays, one entry per crop, that lies on disk as one file."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def save(self, path: Path) -> None:
        """Write the shard to `path`, whole or not at all."""
        beside = path.with_suffix(".part")
        with beside.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in self.__dataclass_fields__})
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The shard in the file `path`, which stays on disk: a bank may be larger than memory.

        Raises SourceError where it is no shard.
        """
        try:
            return cls(**mapped(path, list(cls.__dataclass_fields__)))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise SourceError(f"{path} is no shard of crops ({error}). Delete it and make the bank again.") from error


@dataclass(frozen=True)
class Shard(Stored):
    """Crops as they lie on disk, N of them, S pixels a side.

    `pixels` (N, S, S, 3) float16 in the crop's own light; `alpha`, `contrast` (mean difference of foreground and
    background) and `solved` (N, S, S[, 2]: closed form, colour prior) as bytes, 255 = 1; `trimap` (N, S, S) 0, 1, 2;
    `models` (N, S, S, 11) float16, what the known colours say;
    `light` (N,) which light the picture was composited and is kept in; `kind` (N,) what the crop shows.
    """

    pixels: NDArray[np.float16]
    alpha: NDArray[np.uint8]
    contrast: NDArray[np.uint8]
    solved: NDArray[np.uint8]
    trimap: NDArray[np.uint8]
    models: NDArray[np.float16]
    light: NDArray[np.str_]
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.alpha)


def mapped(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays called `names` in the uncompressed .npz file `path`, read from disk only where they are looked at.

    Writing into them changes nothing on disk. Raises what numpy and zipfile raise where the file is damaged.
    """
    whole, arrays = np.memmap(path, np.uint8, "c"), {}
    with path.open("rb") as file, ZipFile(file) as archive:
        for name in names:
            entry = archive.getinfo(f"{name}.npy")
            if entry.compress_type != ZIP_STORED:
                raise ValueError(f"{name} is compressed")
            file.seek(entry.header_offset + _NAME_LENGTHS)
            file.seek(sum(struct.unpack("<HH", file.read(4))), SEEK_CUR)
            np.lib.format.read_magic(file)
            shape, columns_first, kind = np.lib.format.read_array_header_1_0(file)
            arrays[name] = np.ndarray(shape, kind, whole, file.tell(), order="F" if columns_first else "C")
    return arrays


def classic_solves(pixels: NDArray[np.float32], trimap: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(S, S, 2) closed-form and colour-prior alphas 0..1 of `pixels` (S, S, 3) with `trimap` (S, S) 0, 1, 2."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).float().permute(2, 0, 1)
    regions = torch.from_numpy(trimap).float() / 2
    prior = colour_models(picture[None], regions[None, None]).discriminant[0, 0].clamp(0, 1)
    solved = MattingSystem(picture, regions).solve([None, prior], [0.0, PRIOR_WEIGHT], _TOLERANCE, 60)
    return np.ascontiguousarray(solved.permute(1, 2, 0).numpy())


def known_colours(pixels: NDArray[np.float32], trimap: NDArray[np.uint8]) -> NDArray[np.float16]:
    """(S, S, 11) the colour models of `pixels` (S, S, 3) with `trimap` (S, S) 0, 1, 2, as the network is given them."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).float().permute(2, 0, 1).clamp(0, BRIGHTEST)
    models = colour_models(picture[None], torch.from_numpy(trimap).float()[None, None] / 2)
    return np.ascontiguousarray(models.stacked()[0].permute(1, 2, 0).half().numpy())


def pack(crops: Sequence[tuple[str, Crop]], solves: bool = True) -> Shard:
    """The shard of named crops, with their classic solves, or with zeros in their place."""
    solve = classic_solves if solves else lambda pixels, trimap: np.zeros((*trimap.shape, 2), np.float32)
    apart = [np.abs(crop.foreground - crop.background).mean(2) for _, crop in crops]
    return Shard(
        pixels=np.stack([crop.pixels for _, crop in crops]).astype(np.float16),
        alpha=as_bytes(np.stack([crop.alpha for _, crop in crops])),
        contrast=as_bytes(np.stack(apart)),
        solved=as_bytes(np.stack([solve(crop.pixels, crop.trimap) for _, crop in crops])),
        trimap=np.stack([crop.trimap for _, crop in crops]),
        models=np.stack([known_colours(crop.pixels, crop.trimap) for _, crop in crops]),
        light=np.array([crop.scene.light for _, crop in crops]),
        kind=np.array([name for name, _ in crops]),
    )


def make_bank(
    folder: Path,
    seed: int,
    shards: int,
    size: int,
    material: Material,
    progress: Progress | None = None,
    share: float = 0.0,
    settings: Augmentation | None = None,
    solves: bool = True,
    mix: Mix | None = None,
) -> None:
    """Write `shards` shards of crops of `size` pixels into `folder`; those that are there already are kept.

    A crop depends on the seed, its shard's number and its place in it alone. `share` of them are made of the
    material's foregrounds, where it has any, varied as `settings` says; the others show scenes of `mix`. Without
    `solves` there are zeros for them.
    """

    def crop(seed: tuple[int, ...]) -> Crop:
        made = material.composite(seed, size, share, settings or Augmentation())
        return made or make_crop(seed, size, material.photographs, mix=mix)

    def shard(index: int) -> Shard:
        crops = [crop((seed, index, place)) for place in range(CROPS_PER_SHARD)]
        return pack([(crop.scene.shape, crop) for crop in crops], solves)

    fill_folder(folder, seed, shards, shard, progress)


def fill_folder(
    folder: Path, seed: int, shards: int, make: Callable[[int], Stored], progress: Progress | None = None
) -> None:
    """Write the shards that `make` gives for the numbers from 0 to `shards`, where they are not in `folder` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(shards):
        path = folder / f"{seed:04d}_{index:05d}.npz"
        if not path.exists():
            make(index).save(path)
        if progress:
            progress(index + 1, shards)


def load_bank(folder: Path) -> Iterator[Shard]:
    """The shards in `folder`, in name order. Raises SourceError where there is none."""
    return load_shards(folder, Shard)


def load_shards(folder: Path, kind: type[S]) -> Iterator[S]:
    """The shards of `kind` in `folder`, in name order. Raises SourceError where there is none."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise SourceError(f"{folder} holds no crops (*.npz). Make a bank first.")
    return map(kind.load, paths)


def as_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`values` of 0..1 as bytes, 255 = 1."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
