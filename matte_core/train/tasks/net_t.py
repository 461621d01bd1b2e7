"""Training a Net-T: pictures, rough masks made as the recipe says, and the regions to be found from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from matte_core.evaluate.regions import REGIONS, best_fixed, count, region_scores, sum_of
from matte_core.models.net_t.net import NetT, Settings
from matte_core.train.bank import load_shards
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.procedural.fields import Map, Random, as_map
from matte_core.train.segmentations import Masks, eroded_mask, regions, rough_mask
from matte_core.train.subjects import Subjects, make_pictures
from matte_core.train.tasks import Progress

EROSIONS = (20, 30, 40, 50)  # pixels that the masks for measuring are eroded by
BLUR = 5.0  # and how much they are blurred
_RADII = [(float(radius), float(radius)) for radius in range(4, 100, 4)]
_SEED = 7_100_000  # of the pictures for measuring: far from any seed of a recipe
_NEAREST = 0.5  # the smallest part of a picture that is learned from, of its side
_ROWS = 12
Example = tuple[Map, Map, NDArray[np.uint8]]  # pixels (S, S, 3), mask (S, S), true regions (S, S)


@dataclass(frozen=True)
class Data:
    """The bank: `shards` of 32 pictures of `size` pixels from `seed`; `validation` pictures of `large` pixels.

    Training sees a random square of each, at `part` pixels a side, with a mask made as `masks` says. Where the
    material has foregrounds with alphas, `cutouts` of the pictures are made of them.
    """

    seed: int = 1
    shards: int = 48
    size: int = 320
    part: int = 224
    validation: int = 32
    large: int = 448
    masks: Masks = field(default_factory=Masks)
    cutouts: float = 0.5


@dataclass(frozen=True)
class RegionLoss:
    """How much each loss counts: `cross_entropy`, as published, and `overlap`, one less the soft IoU."""

    cross_entropy: float = 1.0
    overlap: float = 0.0


@dataclass(frozen=True)
class Batch:
    """`pixels` (N, 3, H, W) display-referred 0..1, `mask` (N, 1, H, W) 0..1, `truth` (N, H, W) of 0, 1, 2."""

    pixels: Tensor
    mask: Tensor
    truth: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(self.pixels.to(device), self.mask.to(device), self.truth.to(device))


class NetTTask:
    """Net-T on a bank of subjects, validated on masks eroded ever further."""

    network, data, losses = Settings, Data, RegionLoss
    rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self, network: Settings, data: Data, losses: RegionLoss) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._shards: list[Subjects] = []
        self._held_out: Subjects | None = None
        self._fixed: dict[int, str] = {}

    def build(self) -> NetT:
        return NetT(self._settings)

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        plan = self._plan

        def told(done: int, total: int) -> None:
            progress("bank", done, total)

        make_pictures(Subjects, folder / "bank", plan.seed, plan.shards, plan.size, material, told, share=plan.cutouts)
        make_pictures(Subjects, folder / "validation", _SEED, 1, plan.large, material, count=plan.validation)
        self._shards = list(islice(load_shards(folder / "bank", Subjects), plan.shards))
        (self._held_out,) = load_shards(folder / "validation", Subjects)

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        random = np.random.default_rng((seed, iteration))
        return _stack([self._example(random) for _ in range(count)])

    def answer(self, net: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = net(batch.pixels.contiguous(memory_format=torch.channels_last), batch.mask)
        return logits

    def loss(self, answer: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        logits = answer.float()
        entropy = functional.cross_entropy(logits, batch.truth)
        shares = torch.softmax(logits, 1)
        true = functional.one_hot(batch.truth, 3).movedim(-1, 1).to(shares)
        both = (shares * true).sum((0, 2, 3))
        overlap = 1 - (both / ((shares + true).sum((0, 2, 3)) - both).clamp_min(1)).mean()
        total = self._weights.cross_entropy * entropy + self._weights.overlap * overlap
        return total, {"cross_entropy": float(entropy.detach()), "overlap": float(overlap.detach())}

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert self._held_out is not None
        held_out, margin = self._held_out, self._plan.masks.margin
        alphas = [as_map(alpha) / np.float32(255) for alpha in held_out.alpha]
        truths = [as_map(regions(alpha, margin)) / np.float32(2) for alpha in alphas]
        table, missed = [f"{'mask eroded by':24s} {'accuracy':>10s} " + " ".join(f"{n:>10s}" for n in REGIONS)], {}
        for pixels in EROSIONS:
            masks = [eroded_mask(alpha, pixels, BLUR) for alpha in alphas]
            found = [answered(net, *pair, device) for pair in zip(held_out.pixels, masks, strict=True)]
            counts = sum_of(count(hardened(f), t) for f, t in zip(found, truths, strict=True))
            table.append(_line(f"{pixels} px, network", counts))
            if pixels not in self._fixed:
                (radius, _), fixed = best_fixed(zip(masks, truths, strict=True), _RADII)
                self._fixed[pixels] = _line(f"{pixels} px, fixed {radius:g} px", fixed)
            table.append(self._fixed[pixels])
            missed[f"1 - unknown IoU at {pixels} px"] = 1 - region_scores(counts)["unknown"]
            if pixels == EROSIONS[0]:
                parts = zip(held_out.kind, held_out.pixels, alphas, masks, truths, found, strict=True)
                _draw(folder / f"regions_{iteration:06d}.png", islice(parts, _ROWS))
        (folder / f"scores_{iteration:06d}.txt").write_text("\n".join(table) + "\n", encoding="utf-8")
        return missed

    def _example(self, random: Random) -> Example:
        shard = self._shards[int(random.integers(0, len(self._shards)))]
        place = int(random.integers(0, len(shard)))
        both = np.concatenate([shard.pixels[place], shard.alpha[place][..., None]], 2)
        both = _turned(random, _zoomed(random, both, self._plan.part))
        pixels, alpha = both[..., random.permutation(3)], np.ascontiguousarray(both[..., 3])
        graded = np.clip(pixels ** np.exp(random.normal(0, 0.2)) * np.exp(random.normal(0, 0.15)), 0, 1)
        mask = rough_mask(random, alpha, self._plan.masks)
        return as_map(graded), mask, regions(alpha, self._plan.masks.margin)


def _zoomed(random: Random, picture: NDArray[np.uint8], side: int) -> Map:
    """A random square of a picture (S, S, C) of bytes, at `side` pixels a side, 0..1."""
    seen = int(len(picture) * random.uniform(_NEAREST, 1))
    top, left = random.integers(0, len(picture) - seen + 1, 2)
    part = as_map(picture[top : top + seen, left : left + seen]) / np.float32(255)
    return as_map(cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA if seen > side else cv2.INTER_LINEAR))


def _turned(random: Random, picture: Map) -> Map:
    turned = np.rot90(picture, int(random.integers(0, 4)))
    return turned[:, ::-1] if random.random() < 0.5 else turned


@torch.no_grad()
def answered(net: nn.Module, pixels: NDArray[np.uint8], mask: Map, device: torch.device) -> Map:
    """Probabilities (3, H, W) of a picture (H, W, 3) of bytes and its mask (H, W), sides a multiple of 16."""
    picture = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].float() / 255
    logits = net(picture, torch.from_numpy(mask).to(device)[None, None])
    return as_map(torch.softmax(logits.float(), 1)[0].cpu().numpy())


def hardened(probabilities: Map) -> Map:
    """The trimap (H, W) of 0, 0.5 and 1 of probabilities (3, H, W)."""
    return as_map(probabilities.argmax(0)) / np.float32(2)


def _stack(examples: Sequence[Example]) -> Batch:
    pixels, masks, truths = (np.stack(parts) for parts in zip(*examples, strict=True))
    return Batch(
        torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(masks)[:, None], torch.from_numpy(truths).long()
    )


def _line(name: str, counts: NDArray[np.int64]) -> str:
    return f"{name:24s} " + " ".join(f"{value:10.4f}" for value in region_scores(counts).values())


def _draw(path: Path, parts: Iterable[tuple[str, NDArray[np.uint8], Map, Map, Map, Map]]) -> None:
    """A PNG with rows of picture, alpha, mask, true regions and found ones."""
    rows = {}
    for number, (kind, pixels, *maps, found) in enumerate(parts):
        picture = tile(torch.from_numpy(pixels).permute(2, 0, 1) / 255)
        rows[f"{number} {kind}"] = [picture, *(tile(torch.from_numpy(m)[None]) for m in (*maps, hardened(found)))]
    save_rows(rows, path)
