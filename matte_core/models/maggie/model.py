"""MaGGIe as models of the catalogue: for pictures, and for clips in windows of three frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matte_core.errors import ModelError
from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.maggie import stream
from matte_core.models.maggie.fit import Fit
from matte_core.models.maggie.net import Maggie
from matte_core.models.maggie.normed import fold
from matte_core.models.maggie.settings import SLOTS, Settings
from matte_core.models.maggie.trunk import one_by_one
from matte_core.models.weights import load_into

SHORT_SIDE = 576  # of the pictures that the published weights were made for


@dataclass(frozen=True)
class MaggieModel:
    """The network behind one card; more than ten instances go through in groups of ten.

    Pictures are shown to it with a short side of `short_side` (0: as they are), smaller ones only where it `enlarges`.
    """

    card: Card
    settings: Settings
    short_side: int = 0
    enlarges: bool = True

    def load(self, weights: Path | None, device: torch.device) -> Maggie:
        """The network on `device`. Raises ModelError where there are no weights or they are of another network."""
        if weights is None:
            raise ModelError(f"{self.card.name} has no weights here. Run: matte weights fetch {self.card.name}")
        net = load_into(Maggie(self.settings), weights, device)
        fold(net)
        return net

    def step(self, net: Maggie, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"alpha": (1, K, H, W)} of the frame at hand, and for clips what to pass on; see `stream.step`."""
        masks = guides["instances"]
        height, width = int(frames.shape[-2]), int(frames.shape[-1])
        native = not self.enlarges and min(height, width) <= self.short_side
        fit = Fit(height, width, 0 if native else self.short_side)
        pictures = fit.pictures(frames)
        groups = [fit.masks(masks[:, start : start + SLOTS]) for start in range(0, masks.shape[1], SLOTS)]
        if self.settings.temporal:
            before = state or [None] * len(groups)
            made = [stream.step(net, pictures, group, passed) for group, passed in zip(groups, before, strict=True)]
            found, state = [answer for answer, _ in made], [passed for _, passed in made]
            return {"alpha": fit.back(torch.cat(found)[None])}, state
        alphas = [torch.cat(list(_each(net, pictures, group))) for group in groups]
        return {"alpha": fit.back(torch.cat(alphas, 1))}, None


def _each(net: Maggie, pictures: Tensor, masks: Tensor) -> Iterator[Tensor]:
    """(1, N, H, W) of every picture, 0 for an instance without a mask."""
    for picture, mask in zip(one_by_one(pictures), one_by_one(masks), strict=True):
        there = mask.flatten(2).any(2)[..., None, None]
        yield net(picture, mask).alphas * there if there.any() else mask * 0


_CLIPS: Mapping[str, Any] = {"before": 1, "after": 2, "ends": "cut", "carries": True, "warm_up": None}


def _published(name: str, title: str, repository: str, megabytes: float, **more: Any) -> Card:
    return Card(
        name,
        title,
        guides=("instances",),
        alpha_domain="display",
        memory=4000,
        short_limit=SHORT_SIDE,
        weights=Weights(
            f"{name}.safetensors",
            "",
            "CC BY-NC 4.0",
            False,
            megabytes,
            repository=repository,
        ),
        note="People with a rough mask each; made for pictures whose short side is 576. "
        "The page of the weights says CC BY 4.0, their code and training data are for non-commercial use only.",
        **more,
    )


IMAGE = MaggieModel(
    _published("maggie-image", "MaGGIe: several people", "chuonghm/maggie-image-him50k-cvpr24", 120.2),
    Settings(temporal=False),
    SHORT_SIDE,
)
VIDEO = MaggieModel(
    _published(
        "maggie-video",
        "MaGGIe for clips",
        "chuonghm/maggie-video-vim2k5-cvpr24",
        123.8,
        **_CLIPS,
    ),
    Settings(temporal=True),
    SHORT_SIDE,
)


SMALL_SETTINGS = Settings(
    widths=(12, 24, 48, 80, 128),
    depths=(1, 1, 2, 1),
    rises=(1, 1),
    tokens=32,
    fine=16,
    spectral=False,
    scrambled=False,
    pulled=False,
    boxed=False,
    evidence=True,
)


def _small(name: str, title: str, sum_: str, made: str, **more: Any) -> Card:
    return Card(
        name,
        title,
        guides=("instances",),
        memory=700,
        version=2,  # where colours say nothing the mask stands
        weights=Weights.ours(name, sum_, 3.4, f"{made}; data: procedural subjects, no person's picture"),
        note="Several subjects with a rough mask each, people or not. A longer short side than 576 is reduced to it.",
        **more,
    )


SMALL_IMAGE = MaggieModel(
    _small(
        "maggie-small",
        "Instances at once, trained here",
        "3073e8c4e4bcd06f80ad855434c4962b3bcb951ce7cd8a9710babb87da1bc264",
        "recipes maggie_small, seed 51, 1800 iterations, and maggie_small_2, seeds 53 and 55, 950 iterations; "
        "about 50 minutes",
    ),
    SMALL_SETTINGS,
    SHORT_SIDE,
    enlarges=False,
)
SMALL_VIDEO = MaggieModel(
    _small(
        "maggie-small-video",
        "Instances at once, for clips, trained here",
        "ca458e6e4f70e6548ba30a1af692ee6eba7449596bda55d6a3d2b449a9bb02fc",
        "recipe maggie_small_video, seed 57, from maggie-small, iteration 240 of 300 in 21 minutes, then the bias of "
        "its change head raised by 3, so that only what surely stands still is taken over",
        **_CLIPS,
    ),
    replace(SMALL_SETTINGS, temporal=True),
    SHORT_SIDE,
    enlarges=False,
)
