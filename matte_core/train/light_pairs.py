"""Pairs of crops that differ in one thing: whether foreground and background were mixed as light, or after encoding.

Cameras mix light and encode it afterwards. Most matting sets were made from encoded pictures, mixed as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from matte_core.models.net_m.net import NetM
from matte_core.train.bank import CROPS_PER_SHARD, pack
from matte_core.train.batches import Crops
from matte_core.train.procedural.camera import BRIGHTEST, grain
from matte_core.train.procedural.crops import SHAPES, Crop, Scene, make_crop
from matte_core.train.procedural.fields import Map, as_map, gaussian, log_uniform
from matte_core.train.procedural.light import encode
from matte_core.train.procedural.photographs import Photographs

KINDS = tuple(SHAPES)
SMEARED = ("veil", "smoke", "motion", "defocus")  # what makes these soft makes their colours soft as well
STOPS = (0.0, 1.0, 2.0, 3.0, 4.0, np.inf)  # edges of the classes of contrast
_PAIR = 2  # sets the random numbers of the pictures apart from those of the scene
_BRIGHT, _IN_FOCUS = 0.5, 0.25  # shares of scenes with a background far above 1, and with a sharp one
_BLUR = (0.01, 0.06)  # of the picture's side: how far the other backgrounds are out of focus
_DARKEST = 1e-3
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Pair:
    """The same scene as two worlds have it, all crops with the same alpha and trimap.

    linear   scene-linear, mixed as light, unclipped: a plate
    seen     that plate as a network for display-referred pictures is shown it: rolled off and encoded
    display  foreground and background encoded first and mixed then, 8 bits: what such networks learn from
    stops    (S, S) contrast of foreground and background, in stops of light
    """

    linear: Crop
    seen: Crop
    display: Crop
    stops: Map


def make_pair(seed: tuple[int, ...], size: int, kind: str, photographs: Photographs) -> Pair:
    """The pair of `size` pixels that `seed` stands for: same scene, exposure, trimap and roll-off.

    Half of the backgrounds are far above 1, three quarters out of focus; colours are drawn as for training, without
    made difficulties (similar or unseen colours, clutter, second layers), which are no matter of the light.
    """
    random = np.random.default_rng((*seed, _PAIR))
    bright, in_focus = (bool(random.random() < share) for share in (_BRIGHT, _IN_FOCUS))
    scene = Scene(kind, "scene", bright=bright, soft=0.0 if in_focus else log_uniform(random, *_BLUR))
    made = make_crop(seed, size, photographs, scene)
    if kind in SMEARED:
        made = replace(made, foreground=gaussian(made.foreground, random.uniform(4, 16)))
    cover, shoulder = made.alpha[..., None], float(random.uniform(0.5, 0.95))
    light = as_map(made.foreground * cover + made.background * (1 - cover))
    plate = as_map(np.clip(grain(random, light), 0, BRIGHTEST))
    front, back = encode(made.foreground, shoulder), encode(made.background, shoulder)
    noise = random.standard_normal(front.shape, dtype=np.float32) * np.float32(log_uniform(random, 0.002, 0.01))
    mixed = np.clip(front * cover + back * (1 - cover) + noise, 0, 1)
    encoded = replace(made, pixels=encode(plate, shoulder), foreground=front, background=back)
    levels = [np.maximum(layer @ _WEIGHTS, _DARKEST) for layer in (made.foreground, made.background)]
    return Pair(
        linear=replace(made, pixels=plate),
        seen=replace(encoded, scene=replace(scene, light="encoded")),
        display=replace(
            encoded, pixels=as_map(np.round(mixed * 255)) / np.float32(255), scene=replace(scene, light="display")
        ),
        stops=as_map(np.abs(np.log2(levels[0] / levels[1]))),
    )


def make_banks(folder: Path, seed: int, shards: int, size: int, photographs: Photographs) -> Iterator[int]:
    """Write the banks of both, `folder`/linear/bank and `folder`/display/bank, with the solves of their own pixels;
    shards that are there are kept. Yields how many are done."""
    for index in range(shards):
        paths = {name: folder / name / "bank" / f"{seed:04d}_{index:05d}.npz" for name in ("linear", "display")}
        if not all(path.exists() for path in paths.values()):
            pairs = []
            for place in range(CROPS_PER_SHARD):
                kind = KINDS[(index * CROPS_PER_SHARD + place) % len(KINDS)]
                pairs.append((kind, make_pair((seed, index, place), size, kind, photographs)))
            for name, path in paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                pack([(kind, getattr(pair, name)) for kind, pair in pairs]).save(path)
        yield index + 1


@dataclass(frozen=True)
class Errors:
    """Absolute errors of both networks at some pixels (P,), of pictures mixed as light, with the pixels' kind of scene
    (P,), contrast in stops (P,), whether they are covered in part (P,), and their scene's number (P,), whether its
    background is far above 1 (P,) and whether it is in focus (P,)."""

    linear: NDArray[np.float32]
    display: NDArray[np.float32]
    kind: NDArray[np.str_]
    stops: NDArray[np.float32]
    partial: NDArray[np.bool_]
    scene: NDArray[np.int64]
    bright: NDArray[np.bool_]
    in_focus: NDArray[np.bool_]

    def mean(self, chosen: NDArray[np.bool_], power: int = 1) -> tuple[float, float]:
        """Mean errors where `chosen` (P,), squared with a `power` of 2: of the network that learned from light, and of
        the other. Every scene counts alike, however much of it is unknown."""
        number = np.unique(self.scene[chosen], return_inverse=True)[1]
        count = np.bincount(number)
        linear, display = (
            float((np.bincount(number, errors[chosen].astype(np.float64) ** power) / count).mean())
            for errors in (self.linear, self.display)
        )
        return linear, display


@torch.no_grad()
def measure(linear: NetM, display: NetM, pairs: Sequence[tuple[str, Pair]]) -> Errors:
    """What two networks, trained on `linear` and on `display` mixtures, make of pairs mixed as light, in the unknown.

    Each is asked as in its own world: the one with the plate and the solves of its light, the other with the encoded
    plate and the solves of that.
    """
    rows: list[tuple[NDArray[np.generic], ...]] = []
    for number, (kind, pair) in enumerate(pairs):
        unknown = pair.linear.trimap == 1
        truth = pair.linear.alpha[unknown]
        worlds = ((linear, pair.linear), (display, pair.seen))
        both = [np.abs(_alpha(net, kind, crop)[unknown] - truth) for net, crop in worlds]
        partial, scene = (truth > 0.05) & (truth < 0.95), pair.linear.scene
        of_scene = [np.full(len(truth), value) for value in (number, scene.bright, scene.soft == 0)]
        rows.append((*both, np.full(len(truth), kind), pair.stops[unknown], partial, *of_scene))
    return Errors(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _alpha(net: NetM, kind: str, crop: Crop) -> Map:
    batch = Crops([pack([(kind, crop)], solves=net.settings.inputs == "solves")]).span(0, 1)
    return as_map(net(batch.pixels, batch.trimap, batch.solved, light=batch.light).alpha[0, 0].numpy())
