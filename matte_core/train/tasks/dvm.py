"""Training DVM on clips: windows of frames with their trimaps, and the alphas of the middle ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matte_core.evaluate.metrics import dt_ssd, sad
from matte_core.models.dvm.net import DVM, Settings
from matte_core.train.bank import load_shards
from matte_core.train.clips import Clips, make_clips, merged
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.procedural.fields import Map, Random, as_map
from matte_core.train.tasks import Progress
from matte_core.train.video_losses import VideoLossWeights, video_loss
from matte_core.train.ways import Ways

_SEED = 7_300_000  # of the clips for measuring: far from any seed of a recipe
_MEASURED = 10  # frames of a clip for measuring
_ENOUGH = 0.05  # share of a part that should be unknown
_TRIES = 6
_ROWS = 8


@dataclass(frozen=True)
class Data:
    """The bank: `shards` of 16 clips of `frames` frames of `size` pixels from `seed`; `validation` clips of `large`
    pixels. Every frame comes with the alpha of the model `first` ("" for none), smoothed over time where `smooth` says
    so. Training sees a random square of `part` pixels of a clip; `targets` consecutive frames of it are asked for."""

    seed: int = 1
    shards: int = 40
    size: int = 144
    frames: int = 6
    part: int = 96
    targets: int = 2
    first: str = "net_m-small"
    smooth: bool = False
    validation: int = 24
    large: int = 160


@dataclass(frozen=True)
class Batch:
    """N clips of F frames, of which P are targets: `pixels` (N, F, 3, H, W), `trimap`, `first` (N, F, 1, H, W),
    `motion` (N, P, W, 3, H, W) from each target to every frame of its window of W; `truth`, `contrast`, `unknown`
    (N, P, H, W) of the targets."""

    pixels: Tensor
    trimap: Tensor
    first: Tensor
    motion: Tensor
    truth: Tensor
    contrast: Tensor
    unknown: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class DVMTask:
    """DVM on a bank of clips, validated on clips that training never sees."""

    network, data, losses = Settings, Data, VideoLossWeights
    rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self, network: Settings, data: Data, losses: VideoLossWeights) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._shards: list[Clips] = []
        self._held_out: Clips | None = None

    def build(self) -> DVM:
        return DVM(self._settings)

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        plan, photographs = self._plan, material.photographs

        def told(done: int, total: int) -> None:
            progress("bank", done, total)

        told_first = photographs, plan.first
        bank, held_out = folder / "bank", folder / "validation"
        make_clips(bank, plan.seed, plan.shards, plan.size, plan.frames, *told_first, told, smooth=plan.smooth)
        count = plan.validation
        make_clips(held_out, _SEED, 1, plan.large, _MEASURED, *told_first, count=count, smooth=plan.smooth)
        self._shards = list(islice(load_shards(folder / "bank", Clips), plan.shards))
        (self._held_out,) = load_shards(held_out, Clips)

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        random = np.random.default_rng((seed, iteration))
        return _stack([self._example(random) for _ in range(count)])

    def answer(self, net: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(net, DVM)
        raw = net.prepare(batch.pixels, batch.trimap, batch.first)
        features = [level.view(*raw.shape[:2], *level.shape[1:]) for level in net.features(raw.flatten(0, 1))]
        window = self._settings.frames
        alphas = [
            net.matte(
                raw[:, place : place + window],
                [level[:, place : place + window] for level in features],
                batch.motion[:, place],
            )
            for place in range(self._plan.targets)
        ]
        return torch.cat(alphas, 1)

    def loss(self, answer: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        return video_loss(answer.float(), batch.truth, batch.unknown, batch.contrast, self._weights)

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert isinstance(net, DVM) and self._held_out is not None
        clips = self._held_out
        found = [alphas_of(net, clips, place, device) for place in range(len(clips))]
        scores = np.array([clip_scores(clips, place, alpha) for place, alpha in enumerate(found)])
        table = [f"{'clip':24s} {'SAD':>9s} {'first':>9s} {'dtSSD':>9s} {'first':>9s}   mean of frames"]
        groups = {"all": np.ones(len(clips), bool), "steady trimaps": clips.steady, "trimaps drawn anew": ~clips.steady}
        groups |= {str(kind): clips.kind == kind for kind in dict.fromkeys(clips.kind.tolist())}
        for name, chosen in groups.items():
            if chosen.any():
                table.append(f"{name:24s} " + " ".join(f"{value:9.4f}" for value in scores[chosen].mean(0)))
        (folder / f"scores_{iteration:06d}.txt").write_text("\n".join(table) + "\n", encoding="utf-8")
        _draw(folder / f"mattes_{iteration:06d}.png", clips, found)
        mean = scores.mean(0)
        return {"SAD": float(mean[0]), "dtSSD / first": float(mean[2] / max(mean[3], 1e-9))}

    def _example(self, random: Random) -> dict[str, NDArray[np.generic]]:
        shard = self._shards[int(random.integers(0, len(self._shards)))]
        place = int(random.integers(0, len(shard)))
        length = self._settings.frames + self._plan.targets - 1
        start = int(random.integers(0, shard.trimap.shape[1] - length + 1))
        rows, columns = _part(random, shard.trimap[place, start : start + length], self._plan.part)
        part = np.s_[place, start : start + length, rows, columns]
        turned = _turns(random)
        pixels = as_map(turned(shard.pixels[part]))[..., random.permutation(3)]
        maps = [turned(values[part]) for values in (shard.trimap, shard.first, shard.alpha, shard.contrast)]
        trimap, first, alpha, contrast = maps
        reach, targets = self._settings.reach, self._plan.targets
        middle = slice(reach, reach + targets)
        ways = motions(pixels, reach, targets) if self._settings.moves else np.zeros((targets, 1, 1, 1, 3), np.float32)
        return {
            "pixels": pixels,
            "trimap": as_map(trimap)[..., None] / 2,
            "first": as_map(first)[..., None],
            "motion": ways,
            "truth": as_map(alpha[middle])[..., None] / 255,
            "contrast": as_map(contrast[middle])[..., None] / 255,
            "unknown": as_map(trimap[middle] == 1)[..., None],
        }


def motions(pixels: Map, reach: int, targets: int) -> Map:
    """(P, W, H, W', 3) motion from each of P targets to the W frames of its window, and its trust, as `DVM` has it;
    `pixels` (F, H, W', 3) are the frames, F = P + 2 * reach."""
    ways = Ways([as_map(np.log1p(8 * np.clip(frame.mean(-1), 0, 16)) / np.log(9)) for frame in pixels])
    made = np.zeros((targets, 2 * reach + 1, *pixels.shape[1:3], 3), np.float32)
    for target in range(targets):
        for place in range(2 * reach + 1):
            moved, trust = ways.between(target + reach, target + place)
            made[target, place] = np.concatenate([moved, trust[..., None]], -1)
    return made


@torch.no_grad()
def alphas_of(net: DVM, clips: Clips, place: int, device: torch.device) -> Map:
    """Alphas (T, S, S) of every frame of a clip, 0 and 1 where they are known; ends see their last frame again."""
    reach, count = net.settings.reach, clips.pixels.shape[1]
    pixels = as_map(clips.pixels[place])
    made = []
    for frame in range(count):
        window = np.clip(np.arange(frame - reach, frame + reach + 1), 0, count - 1)
        ways = motions(pixels[window], reach, 1) if net.settings.moves else np.zeros((1, 1, 1, 1, 3), np.float32)
        told = [
            pixels[window],
            clips.trimap[place][window][..., None] / 2,
            clips.first[place][window][..., None],
            ways[0],
        ]
        tensors = (torch.from_numpy(as_map(values)).permute(0, 3, 1, 2)[None].to(device) for values in told)
        made.append(net(*tensors)[0, 0].clamp(0, 1).cpu().numpy())
    return merged(np.stack(made), clips.trimap[place])


def clip_scores(clips: Clips, place: int, alpha: Map) -> tuple[float, float, float, float]:
    """Mean SAD and mean dtSSD over a clip, each of `alpha` (T, S, S) and of the first alphas."""
    truth, unknown = as_map(clips.alpha[place]) / 255, clips.trimap[place] == 1
    found = []
    for matte in (alpha, merged(as_map(clips.first[place]), clips.trimap[place])):
        each = [sad(one, true, where) for one, true, where in zip(matte, truth, unknown, strict=True)]
        pairs = [dt_ssd(matte[t], matte[t + 1], truth[t], truth[t + 1], unknown[t]) for t in range(len(matte) - 1)]
        found.append((float(np.mean(each)), float(np.mean(pairs))))
    return found[0][0], found[1][0], found[0][1], found[1][1]


def _part(random: Random, trimap: NDArray[np.uint8], side: int) -> tuple[slice, slice]:
    """Rows and columns of a random square of `trimap` (T, S, S) in which enough is unknown."""
    size = trimap.shape[1]
    for _ in range(_TRIES):
        top, left = random.integers(0, size - side + 1, 2).tolist()
        rows, columns = slice(top, top + side), slice(left, left + side)
        if (trimap[:, rows, columns] == 1).mean() > _ENOUGH:
            break
    return rows, columns


class _turns:
    """One random turn by quarters, mirrored half of the time, the same for every map (T, H, W[, C]) of an example;
    half of the time the frames are in the opposite order."""

    def __init__(self, random: Random) -> None:
        self._quarters, self._mirrored = int(random.integers(0, 4)), random.random() < 0.5
        self._backwards = random.random() < 0.5

    def __call__(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        turned = np.rot90(values[::-1] if self._backwards else values, self._quarters, (1, 2))
        return np.ascontiguousarray(turned[:, :, ::-1] if self._mirrored else turned)


def _stack(examples: Sequence[dict[str, NDArray[np.generic]]]) -> Batch:
    joined = {name: torch.from_numpy(np.stack([one[name] for one in examples])) for name in examples[0]}
    tensors = {name: values.float().movedim(-1, -3).contiguous() for name, values in joined.items()}
    for name in ("truth", "contrast", "unknown"):
        tensors[name] = tensors[name][:, :, 0]
    return Batch(**tensors)


def _draw(path: Path, clips: Clips, found: Sequence[Map]) -> None:
    """A PNG with a row for each clip: a frame, trimap, truth, first alpha, ours, and the error of both's change."""
    rows = {}
    middle = clips.pixels.shape[1] // 2
    for place, alpha in list(enumerate(found))[:_ROWS]:
        picture = torch.from_numpy(as_map(clips.pixels[place, middle])).permute(2, 0, 1).clamp(0, 1)
        truth = as_map(clips.alpha[place]) / 255
        first = merged(as_map(clips.first[place]), clips.trimap[place])
        maps = [as_map(clips.trimap[place, middle]) / 2, truth[middle], first[middle], alpha[middle]]
        changes = [np.diff(matte - truth, axis=0)[middle] * 2 + 0.5 for matte in (first, alpha)]
        lifted = picture.pow(1 / 2.2 if clips.light[place] == "scene" else 1)
        rows[str(clips.kind[place])] = [tile(lifted), *(tile(torch.from_numpy(m)[None]) for m in [*maps, *changes])]
    save_rows(rows, path)
