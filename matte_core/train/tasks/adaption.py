"""Adaption to real footage: Net-T and Net-M together, drawn to a teacher and before a critic, without true alphas.

Source: arXiv 2103.17020, section on real images. The composites that the critic sees are made in linear light.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.colour import srgb_decode
from matte_core.errors import SourceError
from matte_core.models.layers.light import compress
from matte_core.models.net_m.net import NetM
from matte_core.models.net_m.net import Settings as NetMSettings
from matte_core.models.net_t.net import NetT
from matte_core.models.net_t.net import Settings as NetTSettings
from matte_core.train.checkpoint import read_tensors
from matte_core.train.critic import Critic
from matte_core.train.footage import Footage, Rough, Take
from matte_core.train.joint import JointAnswer, JointNet
from matte_core.train.losses import hard_mean
from matte_core.train.material import Material
from matte_core.train.plot import save_rows, tile
from matte_core.train.procedural.fields import Map
from matte_core.train.tasks import Progress

_SEED = 7_200_000  # of the takes that are looked at: far from any seed of a recipe


@dataclass(frozen=True)
class Students:
    """Sizes of the networks, and the weights they start from: files beside the run's folder, "" for none.

    The teacher has Net-M's size and starts as Net-M does where it has no weights of its own; it does not learn.
    """

    net_t: NetTSettings = field(default_factory=NetTSettings)
    net_m: NetMSettings = field(default_factory=NetMSettings)
    critic: int = 64
    net_t_weights: str = ""
    net_m_weights: str = ""
    teacher_weights: str = ""


@dataclass(frozen=True)
class Data:
    """Takes of `size` pixels a side, their masks as `rough` says; `shown` of them are drawn as the run goes on."""

    size: int = 512
    shown: int = 8
    rough: Rough = field(default_factory=Rough)


@dataclass(frozen=True)
class AdaptionLoss:
    """How much the critic counts for the matte (`convincing`), and the teacher (`taught`): its share is halved every
    `halved` iterations. `hard_share` of the picture is the part with the largest errors that counts twice."""

    convincing: float = 1.0
    taught: float = 0.5
    halved: int = 10_000
    hard_share: float = 0.5


@dataclass(frozen=True)
class Batch:
    """`pixels`, `other` (real pictures for the critic), `behind` (N, 3, H, W) display-referred, `mask` (N, 1, H, W),
    `regions` (N, H, W) of 0, 1, 2; `taught` is what the teacher counts at this iteration."""

    pixels: Tensor
    other: Tensor
    behind: Tensor
    mask: Tensor
    regions: Tensor
    taught: float

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        pixels, other, behind = (pictures.to(device) for pictures in (self.pixels, self.other, self.behind))
        return Batch(pixels, other, behind, self.mask.to(device), self.regions.to(device), self.taught)


class Adaption(nn.Module):
    """What learns: the two networks, and the critic."""

    def __init__(self, joint: JointNet, critic: Critic) -> None:
        super().__init__()
        self.joint, self.critic = joint, critic

    def forward(self, pixels: Tensor, mask: Tensor) -> JointAnswer:
        answer: JointAnswer = self.joint(pixels, mask)
        return answer


@dataclass(frozen=True)
class Answer:
    """What the loss needs: the students' answer, the teacher's alpha (N, 1, H, W), and the critic as it stands."""

    joint: JointAnswer
    teacher: Tensor
    critic: Critic


class AdaptionTask:
    """Net-T and Net-M end to end on footage with rough segmentations."""

    network, data, losses = Students, Data, AdaptionLoss
    rates: ClassVar[dict[str, float]] = {"joint.net_t": 1.0, "joint.net_m": 0.4, "critic": 0.1}

    def __init__(self, network: Students, data: Data, losses: AdaptionLoss) -> None:
        self._settings, self._plan, self._weights = network, data, losses
        self._footage: Footage | None = None
        self._beside = Path()
        self._teacher: NetM | None = None

    def build(self) -> Adaption:
        settings = self._settings
        net_t = _started(NetT(settings.net_t), self._beside, settings.net_t_weights)
        net_m = _started(NetM(settings.net_m), self._beside, settings.net_m_weights)
        teacher = _started(copy.deepcopy(net_m), self._beside, settings.teacher_weights).eval().requires_grad_(False)
        assert isinstance(net_t, NetT) and isinstance(net_m, NetM) and isinstance(teacher, NetM)
        self._teacher = teacher
        return Adaption(JointNet(net_t, net_m), Critic(settings.critic))

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        self._beside = folder.parent
        self._footage = Footage(material.cutouts, self._plan.rough, self._plan.size)

    def draw(self, seed: int, iteration: int, count: int) -> Batch:
        random = np.random.default_rng((seed, iteration))
        assert self._footage is not None
        takes = [self._footage.take(random) for _ in range(count)]
        others = [self._footage.take(random) for _ in range(count)]
        return _stack(takes, others, self.share(iteration))

    def share(self, iteration: int) -> float:
        """How much the teacher counts at `iteration`."""
        return self._weights.taught * 0.5 ** (iteration // self._weights.halved)

    def answer(self, net: nn.Module, batch: Batch) -> Answer:
        assert isinstance(net, Adaption)
        return Answer(net(batch.pixels, batch.mask), self._taught(batch), net.critic)

    def loss(self, answer: Answer, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        composite = compress(_composite(batch, answer.joint.alpha.clamp(0, 1)))
        photograph = compress(srgb_decode(batch.other))
        entropy = functional.cross_entropy(answer.joint.logits, batch.regions)
        coarse, refined = (self._distance(alpha, answer.teacher) for alpha in (answer.joint.coarse, answer.joint.alpha))
        convincing = answer.critic.convinced(composite)
        mistaken = answer.critic.mistaken(photograph, composite)
        total = self._weights.convincing * convincing + batch.taught * (entropy + coarse + refined) + mistaken
        parts = {"entropy": entropy, "coarse": coarse, "refined": refined, "convincing": convincing, "critic": mistaken}
        return total, {name: float(part.detach()) for name, part in parts.items()}

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        assert isinstance(net, Adaption) and self._footage is not None
        rows, apart = {}, []
        for place in range(min(self._plan.shown, len(self._footage))):
            take = self._footage.take(np.random.default_rng((_SEED, place)), place)
            batch = _stack([take], [take], 0.0).to(device)
            with torch.no_grad():
                answer = net(batch.pixels, batch.mask)
                taught = self._taught(batch)
                over = compress(_composite(batch, answer.alpha.clamp(0, 1)))
            apart.append(float((answer.alpha - taught).abs().mean()))
            maps = (batch.mask[0], torch.softmax(answer.logits, 1).argmax(1) / 2, taught[0], answer.alpha[0])
            rows[f"frame {place}"] = [tile(batch.pixels[0]), *(tile(values) for values in maps), tile(over[0])]
        save_rows(rows, folder / f"takes_{iteration:06d}.png")
        return {"distance to the teacher": sum(apart) / len(apart)}

    @torch.no_grad()
    def _taught(self, batch: Batch) -> Tensor:
        """The teacher's alpha from the regions that are taken to be true."""
        assert self._teacher is not None
        trimap = batch.regions[:, None].to(batch.pixels) / 2
        alpha = self._teacher.to(batch.pixels.device)(batch.pixels, trimap).alpha.float().clamp(0, 1)
        return torch.where(trimap == 0.5, alpha, trimap)

    def _distance(self, alpha: Tensor, teacher: Tensor) -> Tensor:
        error = (alpha - teacher).abs()
        return error.mean() + hard_mean(error, torch.ones_like(error), self._weights.hard_share)


def _composite(batch: Batch, alpha: Tensor) -> Tensor:
    """The frame itself as foreground over the new background, in linear light."""
    return srgb_decode(batch.pixels) * alpha + srgb_decode(batch.behind) * (1 - alpha)


def _stack(takes: Sequence[Take], others: Sequence[Take], taught: float) -> Batch:
    def pictures(values: Sequence[Map]) -> Tensor:
        return torch.from_numpy(np.stack(values)).permute(0, 3, 1, 2).contiguous()

    return Batch(
        pictures([take.pixels for take in takes]),
        pictures([take.pixels for take in others]),
        pictures([take.behind for take in takes]),
        torch.from_numpy(np.stack([take.mask for take in takes]))[:, None],
        torch.from_numpy(np.stack([take.regions for take in takes])).long(),
        taught,
    )


def _started(net: nn.Module, folder: Path, file: str) -> nn.Module:
    """`net` with the weights of `file` in `folder`. Raises SourceError where they are missing or do not fit."""
    if not file:
        return net
    try:
        net.load_state_dict(read_tensors(folder / file, torch.device("cpu")))
    except (SourceError, RuntimeError) as error:
        raise SourceError(f"{folder / file} holds no weights to start from ({error}). Train them first.") from error
    return net
