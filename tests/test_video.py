"""Models that look at a window: what they see at ends, cuts and gaps; the same answer however a shot is cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from matte_core.engine.engine import Engine
from matte_core.frame import FrameRange, Pixels
from matte_core.guide import Guide
from matte_core.matting import matte_of, view_of
from matte_core.models import catalogue
from matte_core.models.base import Card, Guides, Layers
from matte_core.models.dvm.net import DVM, Settings
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.shot import Shot
from matte_core.smoothing import smooth_matte

CPU = torch.device("cpu")
HEIGHT, WIDTH = 40, 56
TINY = Settings(
    2, stem=4, inner=(1, 2, 2, 2), counts=(1, 1, 1, 1), aligned=4, groups=2, decoder=(4, 4, 4, 4, 4), given="alpha"
)


@dataclass
class Watching:
    """Answers with the trimap, and notes what it is shown."""

    card: Card = field(
        default_factory=lambda: Card("t-seeing", "W", before=2, after=2, first="t-half", motion=True, encoding="linear")
    )
    shown: list[Tensor] = field(default_factory=list)
    told: list[Guides] = field(default_factory=list)

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.shown.append(frames)
        self.told.append(guides)
        return {"alpha": guides["alpha"][2:3]}, state


@dataclass
class Half:
    """Alpha is a half of the red channel."""

    card: Card = field(default_factory=lambda: Card("t-half", "H", encoding="linear"))
    steps: int = 0

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.steps += len(frames)
        return {"alpha": frames[:, :1].clamp(0, 1) / 2}, state


@dataclass
class Untrained:
    """A DVM as it is before training, but with an answer of its own."""

    card: Card = field(
        default_factory=lambda: Card(
            "t-dvm", "D", before=2, after=2, first="t-half", motion=True, encoding="linear", multiple=DVM.multiple
        )
    )

    def load(self, weights: Path | None, device: torch.device) -> DVM:
        torch.manual_seed(0)
        net = DVM(TINY).eval()
        torch.nn.init.normal_(net.out.weight, 0, 0.02)
        return net

    def step(self, net: DVM, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        told = (guides[name][None] for name in ("trimap", "alpha", "motion"))
        return {"alpha": net(frames[None], *told).clamp(0, 1)}, state


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    made = {"t-seeing": Watching(), "t-half": Half(), "t-dvm": Untrained()}
    real = catalogue.model
    for module in ("matting", "video", "models.catalogue"):
        monkeypatch.setattr(f"matte_core.{module}.model", lambda name: made.get(name) or real(name))
    return made


def picture(place: float, seed: int = 3) -> Pixels:
    """A texture (3, H, W) moved by `place` pixels to the left."""
    dice = np.random.default_rng(seed).random((HEIGHT, 2 * WIDTH, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(dice, (0, 0), 2)
    soft = (soft - soft.min()) / np.ptp(soft)
    matrix = np.array([[1, 0, -place], [0, 1, 0]], np.float32)
    return np.moveaxis(cv2.warpAffine(soft, matrix, (WIDTH, HEIGHT)) * np.float32(0.6) + np.float32(0.05), -1, 0)


def trimap() -> Pixels:
    made = np.full((1, HEIGHT, WIDTH), 0.5, np.float32)
    made[:, :4], made[:, -4:] = 0, 1
    return made


def pull(shot: Shot, numbers: FrameRange | None = None) -> list[Pixels]:
    run = Run(Plan([(shot, numbers or shot.frames)]), tools=Engine(CPU, find), inside=torch.inference_mode)
    return [frame.pixels for frame in run]


def matte(plate: Shot, trimaps: Shot, name: str = "t-seeing") -> Shot:
    return matte_of(plate, Guide(trimap=trimaps), name, "auto", CPU)


def test_the_ends_of_a_shot_are_seen_again(models: dict[str, Any], shot_of: Any) -> None:
    plates = [picture(2 * n) for n in range(4)]
    pull(matte(shot_of(plates), shot_of([trimap()] * 4)))
    assert [tuple(frames.shape) for frames in models["t-seeing"].shown] == [(5, 3, HEIGHT, WIDTH)] * 4
    first = models["t-seeing"].shown[0]
    assert torch.equal(first[0], first[2]) and torch.equal(first[1], first[2])
    assert not torch.equal(first[3], first[2]) and not torch.equal(first[4], first[3])
    assert float(models["t-seeing"].told[0]["motion"][0].abs().max()) == 1  # it stands where it is, and is trusted


def test_every_frame_s_first_alpha_is_found_once_and_handed_in(models: dict[str, Any], shot_of: Any) -> None:
    plates, trimaps = shot_of([picture(2 * n) for n in range(6)]), shot_of([trimap()] * 6)
    pull(matte(plates, trimaps))
    assert models["t-half"].steps == 6
    smoothed = pull(smooth_matte(plates, matte(plates, trimaps, "t-half"), view_of(plates)))
    for own, told in zip(smoothed, models["t-seeing"].told, strict=True):
        assert np.allclose(told["alpha"][2].numpy(), own)


def test_the_motion_leads_from_the_middle_to_each_frame(models: dict[str, Any], shot_of: Any) -> None:
    pull(matte(shot_of([picture(2 * n) for n in range(5)]), shot_of([trimap()] * 5)))
    motion = models["t-seeing"].told[2]["motion"]
    inner = motion[:, :, 10:-10, 12:-12].mean((2, 3))
    assert torch.allclose(inner[:, 0], torch.tensor([4.0, 2.0, 0.0, -2.0, -4.0]), atol=0.5)
    assert float(inner[:, 1].abs().max()) < 0.5 and float(inner[:, 2].min()) > 0.5


def test_nothing_is_seen_across_a_cut(models: dict[str, Any], shot_of: Any) -> None:
    stripes = np.broadcast_to(0.3 + 0.25 * np.sin(np.arange(WIDTH, dtype=np.float32)), (3, HEIGHT, WIDTH))
    plates = [*(picture(2 * n) for n in range(3)), *(stripes * np.float32(1 + n / 50) for n in range(3))]
    pull(matte(shot_of(plates), shot_of([trimap()] * 6)))
    before, after = models["t-seeing"].shown[2], models["t-seeing"].shown[3]
    assert torch.equal(before[3], before[2]) and torch.equal(before[4], before[2])
    assert torch.equal(after[0], after[2]) and torch.equal(after[1], after[2])


def test_nothing_is_seen_across_missing_frames(models: dict[str, Any], shot_of: Any) -> None:
    numbers, plates = "1001-1003,1007-1008", [picture(2 * n) for n in range(5)]
    pull(matte(shot_of(plates, numbers), shot_of([trimap()] * 5, numbers)))
    third = models["t-seeing"].shown[2]
    assert torch.equal(third[3], third[2]) and torch.equal(third[4], third[2])


def test_a_shot_of_one_frame_has_a_matte(models: dict[str, Any], shot_of: Any) -> None:
    (alpha,) = pull(matte(shot_of([picture(0)]), shot_of([trimap()]), "t-dvm"))
    assert alpha.shape == (1, HEIGHT, WIDTH) and np.isfinite(alpha).all()


def test_the_same_mattes_however_a_shot_is_cut(models: dict[str, Any], shot_of: Any) -> None:
    count = 30
    plates = [picture(1.5 * (n % 20)) for n in range(count)]
    shot = matte(shot_of(plates), shot_of([trimap()] * count), "t-dvm")
    whole = pull(shot)
    for length in (3, 10):
        parts = [FrameRange(shot.frames[start : start + length]) for start in range(0, count, length)]
        cut = [alpha for part in parts for alpha in pull(shot, part)]
        assert all(np.array_equal(one, other) for one, other in zip(whole, cut, strict=True))
