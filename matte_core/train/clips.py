"""A bank of procedural clips on disk, each frame with a trimap and the alpha that a model finds by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from matte_core.frame import FrameRange, Header, Window
from matte_core.matting import view_of
from matte_core.memory import hold
from matte_core.models.catalogue import model
from matte_core.models.weights import find
from matte_core.pull import frames as pulled
from matte_core.shot import Kind, Shot
from matte_core.smoothing import smooth_matte
from matte_core.train.bank import Progress, Stored, as_bytes, fill_folder
from matte_core.train.procedural.camera import Light
from matte_core.train.procedural.clips import Clip, make_clip
from matte_core.train.procedural.crops import Scene, pick_scene
from matte_core.train.procedural.fields import Map, as_map
from matte_core.train.procedural.photographs import Photographs
from matte_core.train.procedural.trimaps import Trimap, make_trimap, usable

CLIPS_PER_SHARD = 16
STEADY = 0.6  # share of clips whose trimap is drawn by one hand; in the others every frame's is drawn anew
_TRIES = 10
_TRIMAP, _SCENE = 2, 3  # set the random numbers of trimaps and scenes apart from those that make the clip

_SPACES = {
    True: "Linear Rec.709 (sRGB)",
    False: "sRGB Encoded Rec.709 (sRGB)",
}  # of clips in scene-linear light, or not

Alphas = Callable[[Map, Trimap, Light], Map]  # (T, S, S, 3) pixels in a light and (T, S, S) trimaps to alphas


@dataclass(frozen=True)
class Clips(Stored):
    """N clips of T frames, S pixels a side.

    `pixels` (N, T, S, S, 3) float16 in the clip's `light` (N,); `alpha`, `contrast` (mean difference of foreground
    and background) as bytes, 255 = 1; `trimap` of 0, 1, 2; `first` float16 alphas of every frame by itself, all
    (N, T, S, S); `kind` (N,) what the clip shows; `steady` (N,) whether its trimaps were drawn by one hand.
    """

    pixels: NDArray[np.float16]
    alpha: NDArray[np.uint8]
    contrast: NDArray[np.uint8]
    trimap: NDArray[np.uint8]
    first: NDArray[np.float16]
    light: NDArray[np.str_]
    kind: NDArray[np.str_]
    steady: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.alpha)


@dataclass(frozen=True)
class Told:
    """A clip of one subject, or of several as one, with its trimaps."""

    clip: Clip
    alpha: Map
    trimap: Trimap
    kind: str
    steady: bool


def make_clips(
    folder: Path,
    seed: int,
    shards: int,
    size: int,
    frames: int,
    photographs: Photographs,
    first: str = "",
    progress: Progress | None = None,
    count: int = CLIPS_PER_SHARD,
    smooth: bool = False,
) -> None:
    """Write `shards` shards of `count` clips into `folder`; those that are there already are kept.

    `first` names the model whose alpha every frame is given, smoothed over time where `smooth` says so; "" leaves the
    alphas 0. A clip depends on the seed, its shard's number and its place in it alone.
    """
    alphas = by_model(first) if first else lambda pixels, trimap, light: np.zeros(trimap.shape, np.float32)
    if smooth:
        alphas = smoothed(alphas)

    def shard(index: int) -> Clips:
        told = [told_clip((seed, index, place), size, frames, photographs) for place in range(count)]
        return _pack(told, alphas)

    fill_folder(folder, seed, shards, shard, progress)


def told_clip(seed: tuple[int, ...], size: int, frames: int, photographs: Photographs) -> Told:
    """The clip of one or two subjects, taken as one, and the trimaps that belong to `seed`.

    Its light is the one in which its alpha is linear: scene-linear or display.
    """
    for attempt in range(_TRIES):
        own = (*seed, attempt)
        chosen = np.random.default_rng((*own, _SCENE))
        scene = pick_scene(chosen)
        kept: Scene = Scene(
            scene.shape if scene.shape not in ("motion", "defocus") else "hair",
            "scene" if chosen.random() < 0.5 else "display",
            scene.behind,
            similar=scene.similar,
            bright=scene.bright,
        )
        clip = make_clip(own, size, frames, photographs, 1 if chosen.random() < 0.75 else 2, scene=kept)
        alpha = np.clip(clip.alpha.sum(1), 0, 1)
        steady = bool(chosen.random() < STEADY)
        trimap = trimaps((*own, _TRIMAP), alpha, steady)
        if all(usable(one) for one in trimap):
            break
    return Told(clip, alpha, trimap, kept.shape, steady)


def trimaps(seed: tuple[int, ...], alpha: Map, steady: bool) -> Trimap:
    """(T, S, S) trimaps of 0, 1, 2 for `alpha` (T, S, S): drawn by one hand, or each anew, as the paper's are."""
    hands = [np.random.default_rng(seed if steady else (*seed, frame)) for frame in range(len(alpha))]
    return np.stack([make_trimap(hand, one) for hand, one in zip(hands, alpha, strict=True)])


def by_model(name: str) -> Alphas:
    """The model called `name`, frame by frame, on the CPU."""
    chosen = model(name)
    net = chosen.load(find(chosen.card), torch.device("cpu"))

    def alphas(pixels: Map, trimap: Trimap, light: Light) -> Map:
        frames = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
        guides = {"trimap": torch.from_numpy(trimap)[:, None].float() / 2}
        if chosen.card.light:
            guides["light"] = torch.full((len(frames), 1, 1, 1), 1.0 if light == "scene" else -1.0)
        with torch.inference_mode():
            layers, _ = chosen.step(net, frames, guides, None)
        return np.asarray(layers["alpha"][:, 0].numpy(), np.float32)

    return alphas


def smoothed(alphas: Alphas) -> Alphas:
    """What `alphas` gives, 0 and 1 where the trimap is known, after Smooth Matte as it is by default."""

    def steady(pixels: Map, trimap: Trimap, light: Light) -> Map:
        found = merged(alphas(pixels, trimap, light), trimap)
        window, numbers = Window(0, 0, *trimap.shape[:0:-1]), FrameRange(range(len(trimap)))

        def held(values: Map, kind: Kind, channels: Sequence[str], header: Header) -> Shot:
            pictures = [np.ascontiguousarray(np.moveaxis(one, -1, 0)) for one in values]
            return hold(pictures.__getitem__, len(pictures), numbers, kind=kind, header=header, channels=channels)

        plain, linear = Header(window, window), light == "scene"
        plate = held(pixels, "plate", "RGB", replace(plain, colour_space=_SPACES[linear], linear=linear))
        matte = smooth_matte(plate, held(found[..., None], "matte", "A", plain), view_of(plate))
        return merged(np.stack([frame.pixels[0] for frame in pulled(matte)]), trimap)

    return steady


def merged(alpha: Map, trimap: Trimap) -> Map:
    """`alpha` where `trimap` is unknown, 0 and 1 where it is known."""
    return as_map(np.where(trimap == 1, alpha, trimap == 2))


def _pack(told: list[Told], alphas: Alphas) -> Clips:
    apart = [np.abs(one.clip.foreground - one.clip.background).mean(-1) for one in told]
    return Clips(
        pixels=np.stack([one.clip.pixels for one in told]).astype(np.float16),
        alpha=as_bytes(np.stack([one.alpha for one in told])),
        contrast=as_bytes(np.stack(apart)),
        trimap=np.stack([one.trimap for one in told]),
        first=np.stack([alphas(one.clip.pixels, one.trimap, one.clip.light) for one in told]).astype(np.float16),
        light=np.array([one.clip.light for one in told]),
        kind=np.array([one.kind for one in told]),
        steady=np.array([one.steady for one in told]),
    )
