"""Training a Portrait network: pictures of a subject, and the alpha to be found without any guide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from matte_core.evaluate.metrics import gradient, sad
from matte_core.models.portrait import regions
from matte_core.models.portrait.net import Answer, Portrait, Settings
from matte_core.train.bank import load_shards
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.portrait_losses import (
    PortraitLosses,
    area_weights,
    charbonnier,
    coarse_losses,
    pyramid_loss,
)
from matte_core.train.portraits import Photograph, Portraits, make_photographs
from matte_core.train.procedural.fields import Random
from matte_core.train.subjects import make_pictures
from matte_core.train.tasks import Progress
from matte_core.train.warps import Bytes, Warp, graded, warped

_SEED = 7_300_000  # of the pictures for measuring: far from any seed of a recipe
_BAND = 7  # pixels across the ellipse that the true trimap's unknown is grown by on both sides, as published
_KEPT = 64  # photographs held for the next batch
_ROWS = 10
_TRIES = 12


@dataclass(frozen=True)
class Data:
    """The bank: `shards` of 32 procedural pictures of `size` pixels from `seed`, `cutouts` of them made of the
    material's foregrounds; `validation` pictures of `large` pixels.

    Training sees a `part` of each at so many pixels a side, varied by `warp`, and `photographs` of the examples are
    the material's whole photographs as they are, where it has any. The coarse network sees each batch at one of
    `copies`, pixels a side; none: as it is. `budget` cells of each picture are refined, 0: 2 (h + w) of h x w; in the
    share `helped` of pictures they are told a coarse alpha on its way to the true one. The share `empty` shows a part
    without any subject.
    """

    seed: int = 1
    shards: int = 40
    size: int = 384
    part: int = 320
    copies: tuple[int, ...] = ()
    budget: int = 0
    helped: float = 0.0
    empty: float = 0.0
    validation: int = 32
    large: int = 512
    cutouts: float = 0.5
    photographs: float = 1.0
    warp: Warp = field(default_factory=Warp)


@dataclass(frozen=True)
class Batch:
    """`pixels` (N, 3, S, S) display-referred 0..1, `alpha` and `contrast` (N, 1, S, S), `regions` (N, 3, S, S) of 0 and
    1: background, unknown, foreground; `copy` pixels a side that the coarse network sees; `help` (N, 1, 1, 1) how far
    the coarse alpha that is refined is on its way to the true one."""

    pixels: Tensor
    alpha: Tensor
    contrast: Tensor
    regions: Tensor
    copy: int
    help: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        pixels, alpha, contrast = (tensor.to(device) for tensor in (self.pixels, self.alpha, self.contrast))
        return Batch(pixels, alpha, contrast, self.regions.to(device), self.copy, self.help.to(device))


class Reply(NamedTuple):
    """What the network says, and the sum of the squares of its weights."""

    answer: Answer
    squares: Tensor


class PortraitTask:
    """Both networks at once, as published; what is refined is chosen by the truth and by the network itself."""

    network, data, losses = Settings, Data, PortraitLosses
    rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self, network: Settings, data: Data, losses: PortraitLosses) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._shards: list[Portraits] = []
        self._photographs: list[Path] = []
        self._held_out: Portraits | None = None

    def build(self) -> Portrait:
        return Portrait(self._settings)

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        plan, told = self._plan, partial(progress, "bank")
        make_pictures(Portraits, folder / "bank", plan.seed, plan.shards, plan.size, material, told, share=plan.cutouts)
        make_pictures(Portraits, folder / "validation", _SEED, 1, plan.large, material, count=plan.validation)
        self._photographs = make_photographs(folder / "photographs", material, partial(progress, "photographs"))
        self._shards = list(islice(load_shards(folder / "bank", Portraits), plan.shards)) if plan.shards else []
        (self._held_out,) = load_shards(folder / "validation", Portraits)

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        random = np.random.default_rng((seed, iteration))
        copies = self._plan.copies or (self._plan.part,)
        examples, copy = [self._example(random) for _ in range(count)], int(random.choice(copies))
        helped = (random.random(count) < self._plan.helped) * random.random(count)
        return _stack(examples, copy, helped.astype(np.float32)[:, None, None, None])

    def answer(self, net: nn.Module, batch: Batch) -> Reply:
        assert isinstance(net, Portrait)
        scales = net.look(batch.pixels, batch.copy)
        with torch.no_grad():
            found = torch.softmax(scales[-1].trimap.float(), 1)
            true = functional.adaptive_avg_pool2d(batch.regions, (found.shape[-2], found.shape[-1]))
            size = batch.pixels.shape[-1] // regions.CELL
            cells = regions.fixed(functional.adaptive_avg_pool2d((found + true) / 2, size), self._plan.budget)
        weights = [parameter for name, parameter in net.named_parameters() if "weight" in name]
        coarse = torch.sigmoid(scales[-1].alpha.float())
        true_alpha = functional.adaptive_avg_pool2d(batch.alpha, (found.shape[-2], found.shape[-1]))
        told = torch.lerp(coarse, true_alpha, batch.help)
        return Reply(
            net.compose(batch.pixels, scales, cells, told), torch.stack([w.square().sum() for w in weights]).sum()
        )

    def loss(self, reply: Reply, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        alpha, truth = reply.answer.alpha.float(), batch.alpha
        share = area_weights(batch.regions) if self._weights.balanced else torch.ones_like(truth)
        error = alpha - truth
        coarse, trimap = coarse_losses(reply.answer.scales, truth, batch.regions)
        parts = {
            "coarse": coarse,
            "trimap": trimap,
            "absolute": charbonnier(error, share),
            "pyramid": pyramid_loss(alpha, truth, share),
            "composite": charbonnier(error * batch.contrast, share),
            "decay": reply.squares.float(),
        }
        total = torch.stack([getattr(self._weights, name) * part for name, part in parts.items()]).sum()
        return total, {name: float(part.detach()) for name, part in parts.items() if name != "decay"}

    @torch.no_grad()
    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert self._held_out is not None and isinstance(net, Portrait)
        held_out, scores, rows = self._held_out, [], {}
        for number, (kind, pixels, alpha) in enumerate(
            zip(held_out.kind, held_out.pixels, held_out.alpha, strict=True)
        ):
            picture = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].float() / 255
            answer = net(picture)
            truth = alpha / np.float32(255)
            found = [values[0, 0].float().cpu().numpy() for values in (answer.alpha, answer.coarse)]
            everywhere = np.ones(truth.shape, bool)
            scores.append([measure(f, truth, everywhere) for measure in (sad, gradient) for f in found])
            if number < _ROWS:
                chosen = regions.paste(torch.zeros_like(answer.alpha), answer.cells, torch.ones(1, device=device))
                maps = [torch.from_numpy(values)[None] for values in (truth, found[1], found[0])]
                rows[f"{number} {kind}"] = [tile(picture[0]), *(tile(m) for m in maps), tile(chosen[0])]
        names = ("SAD refined", "SAD coarse", "Grad refined", "Grad coarse")
        means = dict(zip(names, np.mean(scores, 0).tolist(), strict=True))
        table = [f"{name:14s} {mean:10.4f}" for name, mean in means.items()]
        (folder / f"scores_{iteration:06d}.txt").write_text("\n".join(table) + "\n", encoding="utf-8")
        save_rows(rows, folder / f"mattes_{iteration:06d}.png")
        return means

    def _example(self, random: Random) -> list[NDArray[np.uint8]]:
        """Pixels (S, S, 3), alpha, contrast (S, S) and regions (S, S) 0, 1, 2 of a random picture."""
        picture, alpha, contrast = self._picture(random)
        if random.random() < self._plan.empty:
            part = part_without(random, alpha)
            picture, alpha, contrast = picture[part], alpha[part], contrast[part]
        trimap = true_regions(alpha)
        together = np.dstack([picture, alpha, contrast, (trimap == 0) * np.uint8(255), (trimap == 2) * np.uint8(255)])
        seen = warped(random, together, self._plan.part, self._plan.warp)
        known = np.where(seen[..., 5] > 127, 0, np.where(seen[..., 6] > 127, 2, 1)).astype(np.uint8)
        return [graded(random, seen[..., :3], self._plan.warp), seen[..., 3], seen[..., 4], known]

    def _picture(self, random: Random) -> tuple[Bytes, Bytes, Bytes]:
        if self._photographs and random.random() < (self._plan.photographs if self._shards else 1.0):
            photograph = _loaded(self._photographs[int(random.integers(0, len(self._photographs)))])
            return photograph.pixels, photograph.alpha, photograph.contrast
        shard = self._shards[int(random.integers(0, len(self._shards)))]
        place = int(random.integers(0, len(shard)))
        return shard.pixels[place], shard.alpha[place], shard.contrast[place]


def part_without(random: Random, alpha: Bytes) -> tuple[slice, slice]:
    """Rows and columns of a part of a quarter to three fifths of the picture's sides where `alpha` (H, W) is 0; of all
    of it where a few tries find none."""
    for _ in range(_TRIES):
        share = random.uniform(0.25, 0.6)
        sizes = [max(1, int(length * share)) for length in alpha.shape]
        firsts = [int(random.integers(0, length - size + 1)) for length, size in zip(alpha.shape, sizes, strict=True)]
        rows, columns = (slice(first, first + size) for first, size in zip(firsts, sizes, strict=True))
        if not alpha[rows, columns].any():
            return rows, columns
    return slice(None), slice(None)


def true_regions(alpha: Bytes) -> Bytes:
    """(H, W) of 0 background, 1 unknown, 2 foreground of a true alpha (H, W) of bytes."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_BAND, _BAND))
    some, full = cv2.dilate((alpha > 0).astype(np.uint8), ellipse), cv2.erode((alpha == 255).astype(np.uint8), ellipse)
    return np.asarray(some + full, np.uint8)


@lru_cache(_KEPT)
def _loaded(path: Path) -> Photograph:
    return Photograph.load(path)


def _stack(examples: Sequence[Sequence[NDArray[np.uint8]]], copy: int, helped: NDArray[np.float32]) -> Batch:
    pixels, alphas, contrasts, trimaps = (torch.from_numpy(np.stack(parts)) for parts in zip(*examples, strict=True))
    return Batch(
        pixels.permute(0, 3, 1, 2).float() / 255,
        alphas[:, None].float() / 255,
        contrasts[:, None].float() / 255,
        functional.one_hot(trimaps.long(), 3).movedim(-1, 1).float(),
        copy,
        torch.from_numpy(helped),
    )
