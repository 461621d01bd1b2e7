"""From a plate to what a model is handed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from matte_core.engine.engine import Engine
from matte_core.guide import Guide
from matte_core.matting import matte_of
from matte_core.memory import hold
from matte_core.models.base import Card, Guides, Layers
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import Run

TRIMAP = np.array([[[0.0, 0.0, 0.5, 0.5, 1.0, 1.0]] * 5], np.float32)
CPU = torch.device("cpu")


@dataclass
class Told:
    """Keeps the guides that it was handed."""

    card: Card = field(default_factory=lambda: Card("t-light", "T", encoding="linear", multiple=4))
    handed: list[Guides] = field(default_factory=list)

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.handed.append(guides)
        return {"alpha": guides["trimap"]}, state


@pytest.mark.parametrize(
    ("space", "light"), [("Linear Rec.709 (sRGB)", 1.0), ("ACEScg", 1.0), ("sRGB Encoded Rec.709 (sRGB)", -1.0)]
)
def test_a_model_that_asks_for_it_is_told_the_light_of_its_pixels(
    shot_of: Any, monkeypatch: pytest.MonkeyPatch, space: str, light: float
) -> None:
    told = Told()
    monkeypatch.setattr("matte_core.matting.model", lambda name: told)
    pixels = np.full((3, 5, 6), 0.3, np.float32)
    scene = shot_of([pixels])
    plate = hold(
        lambda place: pixels,
        1,
        scene.frames,
        kind="plate",
        header=replace(scene.header, colour_space=space),
        channels=("R", "G", "B"),
    )
    for asks in (False, True):
        told.card = replace(told.card, light=asks)
        made = matte_of(plate, Guide(trimap=shot_of([TRIMAP])), "t-light", "fp32", CPU)
        list(Run(Plan([(made, made.frames)]), tools=Engine(CPU, find), inside=torch.inference_mode))
    assert "light" not in told.handed[0]
    handed = told.handed[1]["light"]
    assert handed.shape == told.handed[1]["trimap"].shape
    assert bool((handed == light).all())
