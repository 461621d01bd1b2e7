"""A bank of clips with the motion of their pictures, both ways, for networks that carry alpha from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from matte_core.models.layers.carry import find_motion
from matte_core.models.layers.light import BRIGHTEST, compress
from matte_core.train.bank import Stored, as_bytes
from matte_core.train.procedural.clips import Clip
from matte_core.train.procedural.fields import Map, Random, as_map

CLIPS_PER_SHARD = 16


@dataclass(frozen=True)
class Cut:
    """T frames of one clip: `pixels`, `foreground` (T, 3, S, S), the foreground compressed, 0..1; `alpha` (T, S, S);
    `way` (T - 1, 2, S, S), x and y in pixels, from each next frame to the one before, and `trust` (T - 1, S, S) in it;
    `ahead`, `ahead_trust` the same from each frame to the next."""

    pixels: Map
    foreground: Map
    alpha: Map
    way: Map
    trust: Map
    ahead: Map
    ahead_trust: Map

    def varied(self, random: Random) -> Cut:
        """The clip mirrored, or backwards, or brighter and with its colours swapped, by chance."""
        clip = self
        if random.random() < 0.5:
            clip = clip._mirrored()
        if random.random() < 0.5:
            clip = clip._backwards()
        order, gain = random.permutation(3), np.float32(np.exp(random.normal(0, 0.1)))
        pixels = clip.pixels[:, order]
        if pixels.max() > 1:  # scene-linear: more light is the same scene
            pixels = np.minimum(pixels * gain, BRIGHTEST)
        return replace(clip, pixels=pixels, foreground=clip.foreground[:, order])

    def _mirrored(self) -> Cut:
        turned = {name: getattr(self, name)[..., ::-1] for name in self.__dataclass_fields__}
        across = np.array([-1, 1], np.float32)[:, None, None]
        return Cut(**turned | {name: turned[name] * across for name in ("way", "ahead")})

    def _backwards(self) -> Cut:
        turned = {name: getattr(self, name)[::-1] for name in self.__dataclass_fields__}
        names = ("ahead", "ahead_trust", "way", "trust")
        return Cut(**turned | dict(zip(("way", "trust", "ahead", "ahead_trust"), map(turned.get, names), strict=True)))


@dataclass(frozen=True)
class CarriedClips(Stored):
    """N clips of T frames of S pixels a side. `pixels` (N, T, 3, S, S) float16 in the clip's `light` (N,); `foreground`
    (N, T, 3, S, S), compressed, and `alpha` (N, T, S, S) as bytes, 255 = 1; `ways` (N, 2, T - 1, 2, S, S) float16 and
    `trusts` (N, 2, T - 1, S, S) bytes: motion back, then ahead."""

    pixels: NDArray[np.float16]
    foreground: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    ways: NDArray[np.float16]
    trusts: NDArray[np.uint8]
    light: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.alpha)

    def cut(self, place: int, part: slice = slice(None)) -> Cut:
        """The frames `part` of the clip at `place`."""
        between = slice(part.start, None if part.stop is None else part.stop - 1)
        ways, trusts = as_map(self.ways[place, :, between]), _share(self.trusts[place, :, between])
        return Cut(
            as_map(self.pixels[place, part]),
            _share(self.foreground[place, part]),
            _share(self.alpha[place, part]),
            ways[0],
            trusts[0],
            ways[1],
            trusts[1],
        )


def pack_clips(clips: Sequence[Clip]) -> CarriedClips:
    """The shard of clips of one subject each, their motion found."""
    pixels = np.stack([clip.pixels for clip in clips]).transpose(0, 1, 4, 2, 3)
    fronts = np.stack([clip.foreground for clip in clips]).transpose(0, 1, 4, 2, 3)
    pairs = [_motions(torch.from_numpy(np.ascontiguousarray(each))) for each in pixels]
    compressed = compress(torch.from_numpy(np.ascontiguousarray(fronts)).clamp(0, BRIGHTEST)).numpy()
    return CarriedClips(
        pixels.astype(np.float16),
        as_bytes(compressed),
        as_bytes(np.stack([clip.alpha[:, 0] for clip in clips])),
        np.stack([ways for ways, _ in pairs]).astype(np.float16),
        as_bytes(np.stack([trusts for _, trusts in pairs])),
        np.array([clip.light for clip in clips]),
    )


def _motions(pixels: torch.Tensor) -> tuple[Map, Map]:
    """Ways (2, T - 1, 2, S, S) and trusts (2, T - 1, S, S) of the frames (T, 3, S, S) of one clip, back and ahead."""
    back, ahead = find_motion(pixels[:-1], pixels[1:]), find_motion(pixels[1:], pixels[:-1])
    return torch.stack([back.way, ahead.way]).numpy(), torch.stack([back.trust, ahead.trust])[:, :, 0].numpy()


def _share(values: NDArray[np.uint8]) -> Map:
    return as_map(values) / np.float32(255)
