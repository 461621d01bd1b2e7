"""Pairs of crops that differ in one thing: whether foreground and background were mixed as light, or after encoding.

Cameras mix light and encode it afterwards. Most matting sets were made from encoded pictures, mixed as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from matte_core.models.net_m.net import NetM
from matte_core.train.bank import CROPS_PER_SHARD, pack
from matte_core.train.batches import Crops
from matte_core.train.procedural.crops import Crop, Scene, make_crop
from matte_core.train.procedural.fields import Map, as_map, gaussian, log_uniform
from matte_core.train.procedural.light import encode
from matte_core.train.procedural.photographs import Photographs

Mixing = Literal["linear", "display"]
SOFT = ("veil", "smoke", "motion", "defocus")  # cover that is soft by itself, and not for want of resolution
STRANDS = ("fine_hair", "fur")
STOPS = (0.0, 1.0, 2.0, 3.0, 4.0, np.inf)  # edges of the classes of contrast
_PAIR = 2  # sets the random numbers of the two pictures apart from those of the scene
_DARKEST = 1e-3
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Pair:
    """The same scene twice, as display-referred pictures of 8 bits: `linear` mixed as light and then encoded, `display`
    encoded and then mixed; `stops` (S, S): contrast of foreground and background there, in stops of light."""

    linear: Crop
    display: Crop
    stops: Map


def make_pair(seed: tuple[int, ...], size: int, kind: str, photographs: Photographs) -> Pair:
    """The pair of `size` pixels that `seed` stands for: same scene, exposure, trimap, roll-off and grain.

    Where cover is soft by itself the colours of both layers are smooth: they can be told from the known ones, so that
    what is measured is how they were mixed.
    """
    random = np.random.default_rng((*seed, _PAIR))
    scene = Scene(kind, "scene", bright=bool(random.random() < 0.5))
    made = make_crop(seed, size, photographs, scene)
    if kind in SOFT:
        blurred = [gaussian(layer, random.uniform(4, 16)) for layer in (made.foreground, made.background)]
        made = replace(made, foreground=blurred[0], background=blurred[1])
    cover, shoulder = made.alpha[..., None], float(random.uniform(0.5, 0.95))
    front, back = encode(made.foreground, shoulder), encode(made.background, shoulder)
    mixed: dict[Mixing, Map] = {
        "linear": encode(as_map(made.foreground * cover + made.background * (1 - cover)), shoulder),
        "display": as_map(front * cover + back * (1 - cover)),
    }
    noise = random.standard_normal(front.shape, dtype=np.float32) * np.float32(log_uniform(random, 0.002, 0.01))
    crops = {
        name: replace(
            made,
            pixels=as_map(np.round(np.clip(picture + noise, 0, 1) * 255)) / np.float32(255),
            foreground=front,
            background=back,
            scene=replace(scene, light="encoded" if name == "linear" else "display"),
        )
        for name, picture in mixed.items()
    }
    light = [np.maximum(layer @ _WEIGHTS, _DARKEST) for layer in (made.foreground, made.background)]
    return Pair(crops["linear"], crops["display"], as_map(np.abs(np.log2(light[0] / light[1]))))


def make_banks(folder: Path, seed: int, shards: int, size: int, photographs: Photographs) -> None:
    """Write the banks of both, `folder`/linear/bank and `folder`/display/bank; shards that are there are kept."""
    kinds = (*SOFT, *STRANDS)
    for index in range(shards):
        paths = {name: folder / name / "bank" / f"{seed:04d}_{index:05d}.npz" for name in ("linear", "display")}
        if all(path.exists() for path in paths.values()):
            continue
        pairs = []
        for place in range(CROPS_PER_SHARD):
            kind = kinds[place % len(kinds)]
            pairs.append((kind, make_pair((seed, index, place), size, kind, photographs)))
        for name, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            pack([(kind, getattr(pair, name)) for kind, pair in pairs], solves=False).save(path)


@dataclass(frozen=True)
class Errors:
    """Absolute errors of both networks at some pixels (P,), of pictures mixed as light, with the pixels' kind of scene
    (P,), contrast in stops (P,), and whether they are covered in part (P,)."""

    linear: NDArray[np.float32]
    display: NDArray[np.float32]
    kind: NDArray[np.str_]
    stops: NDArray[np.float32]
    partial: NDArray[np.bool_]

    def mean(self, chosen: NDArray[np.bool_]) -> tuple[float, float]:
        """Mean errors where `chosen` (P,): of the network that learned from light, and of the other."""
        return float(self.linear[chosen].mean()), float(self.display[chosen].mean())


@torch.no_grad()
def measure(linear: NetM, display: NetM, pairs: Sequence[tuple[str, Pair]]) -> Errors:
    """What two networks, trained on `linear` and on `display` mixtures, make of pairs' linear ones, in the unknown."""
    found: list[tuple[NDArray[np.float32], ...]] = []
    kinds: list[NDArray[np.str_]] = []
    for kind, pair in pairs:
        batch = Crops([pack([(kind, pair.linear)], solves=False)]).span(0, 1)
        unknown = (batch.unknown[0, 0] > 0).numpy()
        truth = batch.truth[0, 0].numpy()[unknown]

        def errors(net: NetM, given: tuple[Tensor, ...], where: NDArray[np.bool_], true: Map) -> NDArray[np.float32]:
            return as_map(np.abs(net(*given).alpha[0, 0].numpy()[where] - true))

        given = (batch.pixels, batch.trimap)
        both = [errors(net, given, unknown, truth) for net in (linear, display)]
        found.append((*both, pair.stops[unknown], ((truth > 0.05) & (truth < 0.95)).astype(np.float32)))
        kinds.append(np.full(len(truth), kind))
    ours, theirs, stops, partial = (np.concatenate(column) for column in zip(*found, strict=True))
    return Errors(ours, theirs, np.concatenate(kinds), stops, partial > 0)
