"""The small Net-T as a model: probabilities of background, unknown and foreground from a plate and a rough mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.net_t.net import NetT, Settings
from matte_core.models.weights import load_into, required

SMALL = Settings(
    stem=16, inner=(8, 16, 40, 72), counts=(2, 3, 5, 3), pyramid=48, skip=16, dropout=(0.0, 0.0), colours=True
)
_NOTHING, _SOLID = 0.05, 0.95  # a mask wholly below or above these leaves nothing to be found


@dataclass(frozen=True)
class NetTModel:
    """A Net-T of `settings` with the weights of its `card`.

    `caution` is added to the unknown's logit: what is called known wrongly is lost, while Net-M makes good of unknown
    that was known.
    """

    card: Card
    settings: Settings
    caution: float = 0.0

    def load(self, weights: Path | None, device: torch.device) -> NetT:
        """The network on `device`, in float32. Raises ModelError where the weights do not fit."""
        return load_into(NetT(self.settings), required(weights, self.card), device)

    def step(self, net: NetT, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"regions": (T, 3 * K, H, W)}: background, unknown, foreground of each of the K layers of guides["mask"].

        The three sum to 1. A layer whose mask is empty is background, one whose mask is full is foreground.
        """
        device = next(net.parameters()).device
        pictures, masks = torch.nan_to_num(frames).to(device), guides["mask"].to(device)
        found = [
            torch.cat([_regions(net, picture, mask, self.caution) for mask in layers])
            for picture, layers in zip(pictures, masks, strict=True)
        ]
        return {"regions": torch.stack(found)}, state


def _regions(net: NetT, picture: Tensor, mask: Tensor, caution: float) -> Tensor:
    """(3, H, W) of `picture` (3, H, W) and one `mask` (H, W)."""
    certain = None
    if bool(mask.max() <= _NOTHING):
        certain = 0
    elif bool(mask.min() >= _SOLID):
        certain = 2
    if certain is not None:
        regions = mask.new_zeros(3, *mask.shape)
        regions[certain] = 1
        return regions
    logits = net(picture[None].contiguous(memory_format=torch.channels_last), mask.clamp(0, 1)[None, None])[0].float()
    return torch.softmax(logits + logits.new_tensor((0, caution, 0))[:, None, None], 0)


NET_T_SMALL = NetTModel(
    Card(
        name="net_t-small",
        title="Net-T small",
        answers="trimap",
        guides=("mask",),
        encoding="display",
        multiple=NetT.multiple,
        side_limit=512,
        precisions=("fp32", "bf16"),
        memory=300,
        weights=Weights.ours(
            "net_t-small",
            "156b5cad7185c93e8ef29fdeb854cfa6750f74bf36db1d60968f68db6fe7378e",
            1.9,
            "recipe train/recipes/net_t_small.toml (seed 31, 2000 iterations); data: 1216 procedural pictures of bank "
            "seed 1",
        ),
        version=2,  # more cautious
        note="Trained here on procedural pictures. Works on a copy of at most 512 pixels a side.",
    ),
    SMALL,
    caution=1.0,
)
