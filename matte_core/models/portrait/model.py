"""The Portrait networks as models: the alpha of the picture's subject, told nothing but the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from matte_core.errors import ModelError
from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.portrait.convert import converted
from matte_core.models.portrait.net import PAPER, Portrait, Settings
from matte_core.models.portrait.refine import Refinement
from matte_core.models.weights import load_into

SMALL = Settings(
    patch=8,
    dims=(32, 64, 128, 128),
    depths=(2, 2, 3, 2),
    heads=(2, 4, 8, 8),
    stem=16,
    decoder=(96, 64, 48),
    refinement=Refinement(narrow=8, wide=16, token=16, heads=2),
    look=512,
)
_LOW, _HIGH = 1 / 255, 254 / 255


@dataclass(frozen=True)
class PortraitModel:
    """A Portrait of `settings` with the weights of its `card`."""

    card: Card
    settings: Settings

    def load(self, weights: Path | None, device: torch.device) -> Portrait:
        """The network on `device`, in float32. Raises ModelError where there are no weights or they do not fit."""
        if weights is None:
            raise ModelError(f"{self.card.name} needs its weights. Install Matte again.")
        net = load_into(Portrait(self.settings), weights, device)
        assert isinstance(net, Portrait)
        fold(net)
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


def fold(net: nn.Module) -> None:
    """Join every convolution of `net` with the normalisation behind it, in place; the answers stay the same."""
    for chain in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        for place in range(1, len(chain)):
            before, norm = chain[place - 1], chain[place]
            if isinstance(norm, nn.BatchNorm2d) and isinstance(before, (nn.Conv2d, nn.ConvTranspose2d)):
                chain[place - 1] = fuse_conv_bn_eval(before, norm, isinstance(before, nn.ConvTranspose2d))
                chain[place] = nn.Identity()


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
