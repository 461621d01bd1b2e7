"""Classic alphas on the device, without weights: closed form, and closed form drawn to what the colours say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matte_core.models.base import Card, Guides, Layers
from matte_core.models.layers.solver import MattingSystem, prepared
from matte_core.models.layers.unknown import each_layer


@dataclass(frozen=True)
class Solver:
    """A model that solves the matting Laplacian; there is nothing to load."""

    card: Card
    with_prior: bool

    def load(self, weights: Path | None, device: torch.device) -> Any:
        """The device alone: the solver has no weights."""
        return device

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"alpha": (T, K, H, W)} in 0..1 for `frames` (T, 3, H, W), every layer of guides["trimap"] by itself."""
        estimate = _colour_prior if self.with_prior else _closed_form
        return {"alpha": each_layer(frames.to(net), guides["trimap"].to(net), estimate)}, state


def _colour_prior(pixels: Tensor, trimap: Tensor, frame: int) -> Tensor:
    return prepared(pixels, trimap)[1][1]


def _closed_form(pixels: Tensor, trimap: Tensor, frame: int) -> Tensor:
    return MattingSystem(pixels, trimap).solve([None], [0.0])[0]


COLOUR_PRIOR = Solver(
    Card(
        name="colour-prior",
        title="Colour prior (closed form drawn to the colours)",
        encoding="linear",
        memory=250,
        memory_unknown=3000,
        note="No weights. Closes the holes that closed form floods; weaker where a colour fits neither side.",
    ),
    with_prior=True,
)
CLOSED_FORM = Solver(
    Card(
        name="closed-form-device",
        title="Closed form on the device",
        encoding="linear",
        memory=250,
        memory_unknown=3000,
        note="Levin, Lischinski and Weiss 2008, on the graphics card where there is one.",
    ),
    with_prior=False,
)
