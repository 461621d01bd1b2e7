"""A bank of named difficulties: crops that training never sees, told apart by what makes them hard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from matte_core.models.net_m.net import NetM
from matte_core.train.bank import pack
from matte_core.train.batches import Batch, Crops
from matte_core.train.procedural.crops import Scene, make_crop
from matte_core.train.procedural.photographs import Photographs

SCENES: dict[str, Scene] = {
    "edge": Scene("solid"),
    "hair": Scene("hair"),
    "hair, scene-linear": Scene("hair", "scene"),
    "hair before a bright sky": Scene("fine_hair", "scene", bright=True),
    "fine hair": Scene("fine_hair"),
    "hair over twigs": Scene("fine_hair", behind="twigs"),
    "fur": Scene("fur", "encoded"),
    "plush": Scene("plush"),
    "plush, similar colours": Scene("plush", similar=0.7),
    "threads": Scene("threads"),
    "wire over clutter": Scene("basket", behind="leaves"),
    "holes": Scene("leaves"),
    "unseen part": Scene("solid", unseen=True),
    "veil": Scene("veil", "encoded"),
    "motion": Scene("motion", "scene"),
    "defocus": Scene("defocus", "encoded"),
    "layers": Scene("fur", layered=True),
    "fur, wide trimap": Scene("fur", "encoded", wide=True),
    "fine hair, wide trimap": Scene("fine_hair", "scene", wide=True),
    "holes, wide trimap": Scene("leaves", wide=True),
}
_SEED = 7_000_000  # far from any seed of a recipe


@dataclass(frozen=True)
class Score:
    """Mean absolute and mean squared error in the unknown, of the network and of the two classic solves (3,)."""

    absolute: tuple[float, float, float]
    squared: tuple[float, float, float]


def make_validation(path: Path, size: int, each: int, photographs: Photographs) -> None:
    """Write one shard with `each` crops of every named scene to `path`, unless it is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    crops = [
        (name, make_crop((_SEED, number, place), size, photographs, scene))
        for number, (name, scene) in enumerate(SCENES.items())
        for place in range(each)
    ]
    pack(crops).save(path)


@torch.no_grad()
def validate(net: NetM, crops: Crops, device: torch.device, batch: int = 8) -> dict[str, Score]:
    """Scores by name of scene, and over all crops as "all"."""
    absolute, squared = [], []
    for start in range(0, len(crops), batch):
        part = crops.span(start, batch).to(device)
        error = (answers(net, part) - part.truth).abs()
        area = part.unknown.sum((2, 3))
        absolute.append(((error * part.unknown).sum((2, 3)) / area).cpu())
        squared.append(((error.square() * part.unknown).sum((2, 3)) / area).cpu())
    first, second = torch.cat(absolute).numpy(), torch.cat(squared).numpy()
    kinds = np.array(crops.kinds)
    chosen = {"all": np.ones(len(kinds), bool), **{name: kinds == name for name in dict.fromkeys(crops.kinds)}}
    return {
        name: Score(tuple(first[m].mean(0).tolist()), tuple(second[m].mean(0).tolist())) for name, m in chosen.items()
    }


@torch.no_grad()
def answers(net: NetM, batch: Batch) -> Tensor:
    """(N, 3, H, W): the network's alpha, the closed form's and the colour prior's."""
    return torch.cat([net(batch.pixels, batch.trimap, batch.solved, light=batch.light).alpha, batch.solved], 1)
