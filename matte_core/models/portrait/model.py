"""The Portrait networks as models: the alpha of the picture's subject, told nothing but the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.layers.spectral import fold
from matte_core.models.portrait.convert import converted
from matte_core.models.portrait.net import PAPER, Portrait, Settings
from matte_core.models.portrait.refine import Refinement
from matte_core.models.portrait.regions import CELL
from matte_core.models.weights import load_into, required

SMALL = Settings(
    trunk="convolutions",
    patch=8,
    dims=(64, 96, 128, 160),
    depths=(2, 2, 3, 2),
    stem=32,
    border=True,
    decoder=(96, 64, 48),
    refinement=Refinement(narrow=12, wide=24, token=24, heads=2, layers=1, colours=True),
    look=320,
    mirrored=True,
    margin=0.06,
)
_LOW, _HIGH = 1 / 255, 254 / 255


@dataclass(frozen=True)
class PortraitModel:
    """A Portrait of `settings` with the weights of its `card`."""

    card: Card
    settings: Settings

    def load(self, weights: Path | None, device: torch.device) -> Portrait:
        """The network on `device`, in float32. Raises ModelError where there are no weights or they do not fit."""
        net = load_into(Portrait(self.settings), required(weights, self.card), device)
        fold(net)
        for weight in net.refine.parameters():
            if weight.ndim == 4:  # cells are many and small: the quicker way to convolve them
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        return net

    def step(self, net: Portrait, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"alpha": (T, 1, H, W)}: 0 all over where there is no subject. What is within a step of 8 bits of 0 and 1
        is made 0 and 1."""
        pictures = torch.nan_to_num(frames).clamp(0, 1).to(next(net.parameters()).device)
        alpha = torch.cat([net(picture[None]).alpha for picture in pictures]).float()
        alpha = torch.where(alpha <= _LOW, torch.zeros_like(alpha), alpha)
        return {"alpha": torch.where(alpha >= _HIGH, torch.ones_like(alpha), alpha)}, state

    def converted(self, checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
        """The tensors of a checkpoint of others, or of a training run, under our names. Raises ModelError."""
        return converted(checkpoint, Portrait(self.settings).state_dict())


PORTRAIT = PortraitModel(
    Card(
        name="portrait",
        title="Portrait Matting, the paper's size, for a checkpoint of your own",
        guides=(),
        encoding="display",
        alpha_domain="display",
        multiple=8 * PAPER.patch,
        smallest=16,
        precisions=("fp32", "bf16", "fp16"),
        memory=600,
        weights=Weights(
            file="portrait.safetensors",
            sha256="",
            licence="your file's own",
            commercial=False,
            megabytes=125.2,
            convert="the authors' checkpoint, or a net.pt of: matte train portrait_published",
        ),
        note="Nothing ships for it. The authors' checkpoint has no licence: ask them before you use it for paid work.",
    ),
    PAPER,
)

PORTRAIT_SMALL = PortraitModel(
    Card(
        name="portrait-small",
        title="Portrait small: finds the subject by itself; learned on made-up figures, never on people",
        guides=(),
        encoding="display",
        multiple=CELL,
        smallest=16,
        precisions=("fp32", "bf16"),
        memory=150,
        weights=Weights.ours(
            "portrait-small",
            "9657dc0fe3949223b06fa101126f738b8f42d081898ddd93d96c0941e4e977b1",
            6.3,
            "recipe train/recipes/portrait_small.toml (seed 71, 2800 iterations); data: 1152 procedural pictures "
            "of bank seed 2, no people",
        ),
        note="Learned here on procedural figures and furry bodies: it has never seen a person. It looks for the "
        "subject on a copy of at most 320 pixels a side and refines every unknown cell of 8 x 8 pixels at full size.",
    ),
    SMALL,
)

PORTRAIT_SMALL_BUDGET = PortraitModel(
    replace(
        PORTRAIT_SMALL.card,
        name="portrait-small-budget",
        title="Portrait small with a fixed budget of cells; learned on made-up figures, never on people",
        note="The same weights. It refines the likeliest 2 (h + w) of h x w cells alone, so that its time is bounded "
        "however much of the picture is hair.",
    ),
    replace(SMALL, selection="fixed"),
)
