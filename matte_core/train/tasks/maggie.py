"""Training a MaGGIe: pictures or clips with several subjects, rough masks made as the recipe says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matte_core.models.maggie.net import Answer, Maggie, normalised
from matte_core.models.maggie.regions import grown, uncertain
from matte_core.models.maggie.settings import SLOTS, Settings
from matte_core.train.bank import Progress as BankProgress
from matte_core.train.guide_masks import ROUGHNESSES, GuideMasks, Roughness, guide_masks, measured_masks
from matte_core.train.instance_bank import Groups, make_clips, make_groups, make_members
from matte_core.train.instance_losses import InstanceWeights, instance_loss
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.procedural.fields import Random, as_map
from matte_core.train.procedural.groups import SMALLEST
from matte_core.train.tasks import Progress

_SEED = 7_200_000  # of the pictures for measuring: far from any seed of a recipe
_FARTHEST = 1.6  # how many of a picture's pixels one that is learned from stands for, at most, in each direction
_REGION_REACH = 15
_SOLID = 0.95  # alpha that a subject must reach to be one
_BETWEEN_FRAMES = (
    "decoder.os8_temp_module",
    "decoder.diff_module",
    "decoder.refine_OS8.remembered",
)
_LOOKED, _ROWS = 16, 9  # pictures that are measured while training, and drawn


@dataclass(frozen=True)
class Data:
    """The bank: `members` shards of 32 subjects, placed together in `shards` shards of 32 pictures of `size` pixels
    from `seed`. Training sees a random square of each, at `part` pixels a side, with masks as `masks` says;
    `cutouts` of the subjects are the material's foregrounds. `validation` shards of pictures measure it.
    With `frames` above 1 the bank has as many shards of 8 procedural clips of so many frames instead.

    guided   iterations in which the refined region is that of the true alpha; then for as many half of the time
    settled  all but the parts for clips stays as it was learned from pictures
    """

    seed: int = 1
    frames: int = 1
    members: int = 14
    shards: int = 75
    size: int = 256
    part: int = 192
    validation: int = 2
    cutouts: float = 0.3
    guided: int = 3000
    settled: bool = False
    masks: GuideMasks = field(default_factory=GuideMasks)


@dataclass(frozen=True)
class Batch:
    """`pixels` (B T, 3, H, W) display-referred 0..1, `masks` and `truth` (B T, N, H, W); the frames belong to `clips`
    clips; `order` (10,) which slot each instance takes; `guided`: the region to refine is that of the truth."""

    pixels: Tensor
    masks: Tensor
    truth: Tensor
    order: Tensor
    clips: int
    guided: bool

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        pixels, masks, truth, order = (each.to(device) for each in (self.pixels, self.masks, self.truth, self.order))
        return Batch(pixels, masks, truth, order, self.clips, self.guided)


class MaggieTask:
    """MaGGIe on a bank of groups, validated on rough masks of every kind."""

    network, data, losses = Settings, Data, InstanceWeights
    rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self, network: Settings, data: Data, losses: InstanceWeights) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._shards: Sequence[Groups] = []
        self._held_out: Sequence[Groups] = []

    def build(self) -> Maggie:
        net = Maggie(self._settings)
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(not self._plan.settled or name.startswith(_BETWEEN_FRAMES))
        return net

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        plan = self._plan

        def told(stage: str) -> BankProgress:
            return lambda done, total: progress(stage, done, total)

        if plan.frames > 1:
            clips = (plan.size, plan.frames, material.photographs)
            self._shards = make_clips(folder / "bank", plan.seed, plan.shards, *clips, progress=told("bank"))
            self._held_out = make_clips(folder / "validation", _SEED, plan.validation, *clips)
            return
        members = make_members(
            folder / "members", plan.seed, plan.members, plan.size, material, plan.cutouts, told("members")
        )
        self._shards = make_groups(folder / "bank", plan.seed, plan.shards, plan.size, members, progress=told("bank"))
        strangers = make_members(folder / "strangers", _SEED, plan.validation, plan.size, material, 0.0)
        self._held_out = make_groups(folder / "validation", _SEED, plan.validation, plan.size, strangers, zoom=(1, 1))

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        random = np.random.default_rng((seed, iteration))
        examples = [self._example(random) for _ in range(count)]
        most = max(masks.shape[1] for _, masks, _ in examples)
        order = torch.from_numpy(random.permutation(SLOTS))
        late = iteration >= 2 * self._plan.guided
        guided = iteration < self._plan.guided or (not late and bool(random.random() < 0.5))
        pixels = torch.from_numpy(np.concatenate([picture for picture, _, _ in examples])).permute(0, 3, 1, 2)
        masks, truth = (torch.from_numpy(_stacked([e[k] for e in examples], most)) for k in (1, 2))
        return Batch(pixels.contiguous(), masks, truth, order, count, guided)

    def answer(self, net: nn.Module, batch: Batch) -> Answer:
        assert isinstance(net, Maggie)
        if self._plan.settled:
            for layer in net.modules():
                if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    layer.eval()  # statistics too
        region = grown(uncertain(batch.truth), _REGION_REACH) if batch.guided else None
        trunk = net.trunk(normalised(batch.pixels), batch.masks, batch.order)
        return net.head(trunk, batch.masks, clips=batch.clips, order=batch.order, region=region)

    def loss(self, answer: Answer, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        totals, every = [], []
        maps = (answer.full, answer.quarter, answer.coarse, batch.truth, answer.region)
        for clip in range(batch.clips):
            full, quarter, coarse, truth, region = (each.chunk(batch.clips)[clip].float() for each in maps)
            changed = None
            if answer.forward is not None and answer.backward is not None:
                ways = (answer.forward.chunk(batch.clips), answer.backward.chunk(batch.clips))
                changed = (ways[0][clip].float(), ways[1][clip].float())
            seen = [each[clip].float() for each in answer.attention]
            alphas = {1: full, 4: quarter, 8: coarse}
            total, parts = instance_loss(alphas, truth, region, seen, changed, self._weights)
            totals.append(total)
            every.append(parts)
        return torch.stack(totals).mean(), {name: float(np.mean([p[name] for p in every])) for name in every[0]}

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert isinstance(net, Maggie)
        errors: dict[Roughness, list[float]] = {}
        rows, table = {}, [f"{'mask':12s} {'of mask':>9s} {'of net':>9s} {'dtSSD':>9s}   x 1000, per instance"]
        for roughness in ROUGHNESSES:
            before, changes = [], []
            for number, (pixels, alpha, level) in enumerate(pictures(self._held_out)[:_LOOKED]):
                masks = measured_masks(np.random.default_rng(number), alpha, roughness)
                found = answered(net, pixels, masks, device)
                errors.setdefault(roughness, []).extend(np.abs(found - alpha).mean((0, 2, 3)).tolist())
                before += np.abs(masks - alpha).mean((0, 2, 3)).tolist()
                changes.append(float(np.square(np.diff(found - alpha, axis=0)).mean()) if len(alpha) > 1 else 0.0)
                if roughness == "as trained" and number < _ROWS:
                    shown = [tile(torch.from_numpy(pixels[-1]).permute(2, 0, 1) / 255)]
                    shown += [tile(coloured(each[-1])) for each in (as_map(masks), alpha, found)]
                    rows[f"{number} {level}"] = shown
            pair = (1000 * float(np.mean(each)) for each in (before, errors[roughness]))
            steady = 1000 * float(np.mean(changes)) ** 0.5
            table.append(f"{roughness:12s} " + " ".join(f"{value:9.3f}" for value in (*pair, steady)))
        (folder / f"scores_{iteration:06d}.txt").write_text("\n".join(table) + "\n", encoding="utf-8")
        save_rows(rows, folder / f"mattes_{iteration:06d}.png")
        return {f"{name} masks": float(np.mean(errors[name])) for name in ("as trained", "exact", "32x")}

    def _example(self, random: Random) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Pixels (T, S, S, 3), masks and alphas (T, N, S, S) of a random part of a random clip."""
        shard = self._shards[int(random.integers(0, len(self._shards)))]
        place = int(random.integers(0, len(shard)))
        frames = list(range(shard.pixels.shape[1]))[:: -1 if random.random() < 0.5 else 1]
        alpha = shard.alpha[place, frames, : shard.count[place]].transpose(0, 2, 3, 1)
        whole = np.concatenate([shard.pixels[place, frames], alpha], 3)
        both, whole_side = _part(random, whole, self._plan.part)
        alphas = np.ascontiguousarray(both[..., 3:].transpose(0, 3, 1, 2))
        alphas = alphas[:, (alphas[0].mean((1, 2)) >= SMALLEST) & (alphas[0].max((1, 2)) > _SOLID)]
        if not alphas.shape[1]:
            return self._example(random)
        alphas = alphas[:, random.permutation(alphas.shape[1])]
        masks = guide_masks(random, alphas, self._plan.masks, whole_side)
        return _graded(random, both[..., :3]), as_map(masks), alphas


def _part(random: Random, clip: NDArray[np.uint8], side: int) -> tuple[NDArray[np.float32], float]:
    """A random square of a clip (T, S, S, C) of bytes at `side` pixels, mirrored half of the time, 0..1; and how many
    pixels a side the whole picture would have there."""
    whole = clip.shape[1]
    seen = min(whole, int(side * random.uniform(1, _FARTHEST)))
    top, left = random.integers(0, whole - seen + 1, 2)
    part = clip[:, top : top + seen, left : left + seen]
    part = part[:, :, ::-1] if random.random() < 0.5 else part
    method = cv2.INTER_AREA if seen > side else cv2.INTER_LINEAR
    maps = np.ascontiguousarray(np.moveaxis(part, 3, 1), np.float32).reshape(-1, seen, seen) / np.float32(255)
    small = np.stack([cv2.resize(each, (side, side), interpolation=method) for each in maps])
    return as_map(small.reshape(len(clip), -1, side, side).transpose(0, 2, 3, 1)), whole * side / seen


def _graded(random: Random, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels (T, S, S, 3) with channels in another order and another gamma, now and then. Source: the paper's gamma."""
    if random.random() < 0.3:
        pixels = pixels[..., random.permutation(3)]
    if random.random() < 0.5:
        pixels = pixels ** np.float32(np.clip(random.normal(1, 0.2), 0.5, 1.5))
    return np.ascontiguousarray(pixels)


def _stacked(each: Sequence[NDArray[np.float32]], most: int) -> NDArray[np.float32]:
    """(B T, most, H, W) of B times maps (T, N, H, W), 0 for instances that are not there."""
    return np.concatenate([np.pad(maps, ((0, 0), (0, most - maps.shape[1]), (0, 0), (0, 0))) for maps in each])


def pictures(shards: Sequence[Groups]) -> list[tuple[NDArray[np.uint8], NDArray[np.float32], str]]:
    """Pixels (T, S, S, 3) of bytes, alphas (T, K, S, S) and level of every clip; only subjects that can be seen."""
    found = []
    for shard in shards:
        for place, (count, level) in enumerate(zip(shard.count, shard.level, strict=True)):
            alpha = as_map(shard.alpha[place, :, :count]) / np.float32(255)
            alpha = alpha[:, (alpha[0].mean((1, 2)) >= SMALLEST) & (alpha[0].max((1, 2)) > _SOLID)]
            if alpha.shape[1]:
                found.append((shard.pixels[place], alpha, str(level)))
    return found


@torch.no_grad()
def answered(
    net: Maggie, pixels: NDArray[np.uint8], masks: NDArray[np.bool_], device: torch.device
) -> NDArray[np.float32]:
    """Alphas (T, K, H, W) of a clip (T, H, W, 3) of bytes and its masks (T, K, H, W), sides a multiple of 64."""
    shown = normalised(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255)
    answer = net(shown, torch.from_numpy(masks).to(device).float())
    return as_map(answer.alphas.cpu().numpy())


def coloured(alphas: NDArray[np.float32]) -> Tensor:
    """(3, H, W): alphas (K, H, W), each in a colour of its own."""
    inks = torch.tensor([[1, 0.2, 0.2], [0.2, 1, 0.2], [0.3, 0.4, 1], [1, 1, 0.2], [1, 0.2, 1]]).repeat(2, 1)
    return torch.einsum("khw,kc->chw", torch.from_numpy(np.asarray(alphas, np.float32)), inks[: len(alphas)])
