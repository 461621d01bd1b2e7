"""Training trimap propagation: frames of a clip with the trimaps of one or two others."""

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
from torch.nn import functional

from matte_core.carry import together, weighed
from matte_core.evaluate.regions import Counts, count, region_scores, sum_of
from matte_core.models.dvm.propagation import Settings, TrimapPropagation
from matte_core.train.bank import load_shards
from matte_core.train.keyed import Keyed, make_keyed
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.procedural.fields import Map, Random, as_map
from matte_core.train.tasks import Progress

_SEED = 7_400_000  # of the clips for measuring: far from any seed of a recipe
_LOST = 0.1  # share of examples for which nothing was carried, as after a cut
_ROWS = 8


@dataclass(frozen=True)
class Data:
    """The bank: `shards` of 16 clips of `size` pixels from `seed`, of which the frames `numbers` are kept;
    `validation` clips of `measured` frames. Training sees squares of `part` pixels."""

    seed: int = 1
    shards: int = 24
    size: int = 160
    numbers: tuple[int, ...] = (0, 3, 7, 12, 17, 21, 24)
    part: int = 128
    validation: int = 24
    measured: int = 25


@dataclass(frozen=True)
class PropagationLoss:
    """Cross entropy, the unknown counting `unknown` times, and `overlap`: one less the soft IoU."""

    cross_entropy: float = 1.0
    unknown: float = 2.0
    overlap: float = 0.5


@dataclass(frozen=True)
class Batch:
    """N frames: `target` (N, 3, H, W), `references` (N, 2, 3, H, W) with `trimaps` (N, 2, 1, H, W) of 0, 0.5 and 1 (a
    single one stands there twice, which attention does not see), `carried` (N, 4, H, W), `truth` (N, H, W)."""

    target: Tensor
    references: Tensor
    trimaps: Tensor
    carried: Tensor
    truth: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class PropagationTask:
    """Trimap propagation on a bank of clips, measured from one key over the whole clip, and from two."""

    network, data, losses = Settings, Data, PropagationLoss
    rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self, network: Settings, data: Data, losses: PropagationLoss) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._shards: list[Keyed] = []
        self._held_out: Keyed | None = None

    def build(self) -> TrimapPropagation:
        return TrimapPropagation(self._settings)

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        plan, photographs = self._plan, material.photographs

        def told(done: int, total: int) -> None:
            progress("bank", done, total)

        make_keyed(folder / "bank", plan.seed, plan.shards, plan.size, plan.numbers, photographs, told)
        every = range(plan.measured)
        make_keyed(folder / "validation", _SEED, 1, plan.size, every, photographs, count=plan.validation)
        self._shards = list(islice(load_shards(folder / "bank", Keyed), plan.shards))
        (self._held_out,) = load_shards(folder / "validation", Keyed)

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        random = np.random.default_rng((seed, iteration))
        examples = [self._example(random) for _ in range(count)]
        stacked = [torch.from_numpy(np.stack(values)) for values in zip(*examples, strict=True)]
        return Batch(stacked[0], stacked[1], stacked[2], stacked[3], stacked[4].long())

    def answer(self, net: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = net(batch.target, batch.references, batch.trimaps, batch.carried)
        return logits

    def loss(self, answer: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        logits, weights = answer.float(), self._weights
        each = logits.new_tensor([1.0, weights.unknown, 1.0])
        entropy = functional.cross_entropy(logits, batch.truth, each)
        shares = torch.softmax(logits, 1)
        true = functional.one_hot(batch.truth, 3).movedim(-1, 1).to(shares)
        both = (shares * true).sum((0, 2, 3))
        overlap = 1 - (both / ((shares + true).sum((0, 2, 3)) - both).clamp_min(1)).mean()
        total = weights.cross_entropy * entropy + weights.overlap * overlap
        return total, {"cross_entropy": float(entropy.detach()), "overlap": float(overlap.detach())}

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert isinstance(net, TrimapPropagation) and self._held_out is not None
        clips, table = self._held_out, [f"{'unknown IoU':24s} {'network':>9s} {'by flow':>9s}"]
        last, missed = clips.trimap.shape[1] - 1, {}
        for name, keys in {"one key": (0,), "two keys": (0, last)}.items():
            found = [
                [propagated(net, clips, place, n, keys, device) for n in range(last + 1)] for place in range(len(clips))
            ]
            for low, high in ((1, last), (1, 6), (7, 12), (13, 18), (19, last)):
                counts = _counted(clips, found, keys, [n for n in range(low, high + 1) if n <= last])
                ours, flow = (region_scores(each)["unknown"] for each in counts)
                table.append(f"{f'{name}, frames {low}-{high}':24s} {ours:9.4f} {flow:9.4f}")
                if high - low == last - 1:
                    missed[f"1 - unknown IoU, {name}"] = 1 - ours
            _draw(folder / f"trimaps_{iteration:06d}_{len(keys)}.png", clips, found, keys)
        (folder / f"scores_{iteration:06d}.txt").write_text("\n".join(table) + "\n", encoding="utf-8")
        return missed

    def _example(self, random: Random) -> tuple[Map, Map, Map, Map, NDArray[np.uint8]]:
        shard = self._shards[int(random.integers(0, len(self._shards)))]
        place, last = int(random.integers(0, len(shard))), shard.trimap.shape[1] - 1
        keys = ((0,), (last,), (0, last))[int(random.integers(0, 3))]
        frame = int(random.choice([number for number in range(last + 1) if number not in keys]))
        top, left = random.integers(0, shard.trimap.shape[2] - self._plan.part + 1, 2).tolist()
        part = np.s_[..., top : top + self._plan.part, left : left + self._plan.part]
        carried = carried_to(shard, place, frame, keys)[part]
        if random.random() < _LOST:
            carried = carried * np.float32(0)
        references = [key for key in (*keys, *keys)][:2]
        order, mirrored = random.permutation(3), random.random() < 0.5

        def turned(values: Map) -> Map:
            return np.ascontiguousarray(values[..., ::-1] if mirrored else values)

        whole = [
            as_map(shard.pixels[place, n].transpose(2, 0, 1)[order]) / np.float32(255) for n in (frame, *references)
        ]
        pixels = [turned(picture[part]) for picture in whole]
        trimaps = [turned(as_map(shard.trimap[place, n][None][part]) / np.float32(2)) for n in references]
        truth = turned(as_map(shard.trimap[place, frame][part])).astype(np.uint8)
        return pixels[0], np.stack(pixels[1:]), np.stack(trimaps), turned(carried), truth


def carried_to(clips: Keyed, place: int, frame: int, keys: Sequence[int]) -> Map:
    """(4, S, S) regions and trust carried to a frame from `keys`, the first or the last frame or both."""
    found = []
    for key in keys:
        stored = as_map(clips.carried[place, 0 if key == 0 else 1, frame]) / np.float32(255)
        away = abs(int(clips.numbers[place, frame] - clips.numbers[place, key]))
        found.append((stored[:3], stored[3], away))
    return together(found)


@torch.no_grad()
def propagated(
    net: TrimapPropagation, clips: Keyed, place: int, frame: int, keys: Sequence[int], device: torch.device
) -> Map:
    """The trimap (S, S) of 0, 0.5 and 1 of a frame of a clip; on a key the key itself."""
    if frame in keys:
        return as_map(clips.trimap[place, frame]) / np.float32(2)
    pixels = (
        torch.from_numpy(as_map(clips.pixels[place][[frame, *keys]]) / np.float32(255)).permute(0, 3, 1, 2).to(device)
    )
    trimaps = torch.from_numpy(as_map(clips.trimap[place][list(keys)]) / np.float32(2))[None, :, None].to(device)
    carried = torch.from_numpy(carried_to(clips, place, frame, keys))[None].to(device)
    shares = as_map(torch.softmax(net(pixels[:1], pixels[None, 1:], trimaps, carried)[0].float(), 0).cpu().numpy())
    if len(keys) == 2:
        shares = weighed(shares, as_map(carried[0].cpu().numpy()))
    return as_map(shares.argmax(0)) / np.float32(2)


def by_flow(clips: Keyed, place: int, frame: int, keys: Sequence[int]) -> Map:
    """The trimap (S, S) that optical flow carries to a frame from the nearest of `keys`."""
    nearest = min(keys, key=lambda key: abs(key - frame))
    return as_map(clips.carried[place, 0 if nearest == 0 else 1, frame][:3].argmax(0)) / np.float32(2)


def _counted(
    clips: Keyed, found: Sequence[Sequence[Map]], keys: Sequence[int], frames: Sequence[int]
) -> tuple[Counts, Counts]:
    """Counts of the network's regions and of those carried by flow, over `frames` that are no keys."""
    places = [(place, frame) for place in range(len(clips)) for frame in frames if frame not in keys]
    truths = [as_map(clips.trimap[place, frame]) / np.float32(2) for place, frame in places]
    ours = (count(found[place][frame], truth) for (place, frame), truth in zip(places, truths, strict=True))
    flow = (count(by_flow(clips, *at, keys), truth) for at, truth in zip(places, truths, strict=True))
    return sum_of(ours), sum_of(flow)


def _draw(path: Path, clips: Keyed, found: Sequence[Sequence[Map]], keys: Sequence[int]) -> None:
    """A PNG with rows of the first frame, its trimap, the last but some frame, its truth, ours, and by flow."""
    rows = {}
    late = clips.trimap.shape[1] * 3 // 4
    for place, answers in list(enumerate(found))[:_ROWS]:
        pictures = [torch.from_numpy(as_map(clips.pixels[place, n]) / 255).permute(2, 0, 1) for n in (0, late)]
        first, truth = (as_map(clips.trimap[place, n]) / np.float32(2) for n in (0, late))
        maps = [truth, answers[late], by_flow(clips, place, late, keys)]
        shown = [tile(torch.from_numpy(m)[None]) for m in (first, *maps)]
        rows[str(place)] = [tile(pictures[0]), shown[0], tile(pictures[1]), *shown[1:]]
    save_rows(rows, path)
