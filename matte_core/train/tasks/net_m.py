"""Training a Net-M: procedural crops with their trimaps and classic solves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from matte_core.errors import UsageError
from matte_core.models.layers.colour_models import ColourModels
from matte_core.models.net_m.net import Answer, NetM, Settings
from matte_core.train.augment import Augmentation
from matte_core.train.bank import Shard, load_bank, make_bank
from matte_core.train.batches import Batch, Crops
from matte_core.train.losses import LossWeights, balanced, matting_loss
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.procedural.camera import LIGHTS, Light
from matte_core.train.procedural.crops import Mix
from matte_core.train.tasks import Progress
from matte_core.train.validation import answers, make_validation, validate


@dataclass(frozen=True)
class Data:
    """The bank: `shards` of 32 crops of `size` pixels from `seed`; `validation` crops of every named scene.
    The bank's crops show scenes of `mix`. `earlier` names the folders of runs beside this one whose crops are drawn
    too.

    Training sees a random part of each crop, of `part` pixels a side (0 = all of it), and only crops in one of
    `lights`: for a network that answers with the alpha of the pixels it is given, "encoded" ones, composited in
    another light than they are kept in, teach a wrong rule. The share of `recoloured` ones has other colours than in
    the bank. Where the material has foregrounds with alphas,
    `cutouts` of the crops are made of them, varied as `augmentation` says. Without `solves` the bank is made
    sooner, for networks that are not given them."""

    seed: int = 1
    shards: int = 130
    size: int = 192
    part: int = 0
    lights: tuple[Light, ...] = LIGHTS
    validation: int = 8
    cutouts: float = 0.5
    augmentation: Augmentation = field(default_factory=Augmentation)
    solves: bool = True
    mix: Mix = field(default_factory=Mix)
    earlier: tuple[str, ...] = ()
    recoloured: float = 0.0


class NetMTask:
    """Net-M on a bank of crops, validated on named difficulties."""

    network, data, losses = Settings, Data, LossWeights
    rates: ClassVar[Mapping[str, float]] = {}

    def __init__(self, network: Settings, data: Data, losses: LossWeights) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._crops, self._held_out = Crops([]), Crops([])
        if network.inputs == "solves" and not data.solves:
            raise UsageError("the recipe's network is given solves, and its data has none. Set data.solves = true.")

    def build(self) -> NetM:
        return NetM(self._settings)

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        plan, held_out = self._plan, folder / "validation" / "named.npz"

        def told(done: int, total: int) -> None:
            progress("bank", done, total)

        varied = plan.cutouts, plan.augmentation, plan.solves, plan.mix
        make_bank(folder / "bank", plan.seed, plan.shards, plan.size, material, told, *varied)
        make_validation(held_out, plan.size, plan.validation, material.photographs)
        shards = islice(load_bank(folder / "bank"), plan.shards)
        earlier = [load_bank(folder.parent / name / "bank") for name in plan.earlier]
        self._crops = Crops(chain(shards, *earlier), plan.lights)
        self._held_out = Crops([Shard.load(held_out)])

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        return self._crops.draw(seed, iteration, count, self._plan.part, self._plan.recoloured)

    def answer(self, net: nn.Module, batch: Batch) -> Answer:
        answer: Answer = net(batch.pixels, batch.trimap, batch.solved, ColourModels.of(batch.models), batch.light)
        return answer

    def loss(self, answer: Answer, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        truth, contrast = batch.truth, batch.contrast
        unknown = balanced(batch.unknown, batch.solved, truth, self._weights.balance)
        return matting_loss(answer.alpha, answer.logit, truth, unknown, contrast, self._weights, answer.coarse)

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert isinstance(net, NetM)
        scores = validate(net, self._held_out, device)
        table = [f"{'kind':28s} {'net':>8s} {'closed':>8s} {'prior':>8s}   mean absolute, then squared e-3"]
        for name, score in scores.items():
            errors = [*score.absolute, *(1000 * value for value in score.squared)]
            table.append(f"{name:28s} " + " ".join(f"{error:8.4f}" for error in errors))
        (folder / f"scores_{iteration:06d}.txt").write_text("\n".join(table) + "\n", encoding="utf-8")
        save_mattes(net, self._held_out, folder / f"mattes_{iteration:06d}.png", device)
        return {"all": scores["all"].absolute[0]}


@torch.no_grad()
def save_mattes(net: NetM, crops: Crops, path: Path, device: torch.device) -> None:
    """Write a PNG with a row for every kind of crop: picture, trimap, truth, network, closed form, colour prior."""
    first = {kind: index for index, kind in reversed(list(enumerate(crops.kinds)))}
    rows = {}
    for kind, index in first.items():
        batch = crops.span(index, 1).to(device)
        known = torch.where(batch.unknown > 0, 0.0, batch.trimap)
        mattes = [*(answers(net, batch)[0] * batch.unknown[0] + known[0])]
        picture = batch.pixels[0].clamp(0, 1).pow(1 / 2.2 if bool(batch.light[0] > 0) else 1)
        rows[kind] = [tile(picture), *(tile(m[None]) for m in (batch.trimap[0, 0], batch.truth[0, 0], *mattes))]
    save_rows(rows, path)
