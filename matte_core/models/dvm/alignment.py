"""The four ways in which DVM fetches other frames' features to the target's, and how it fuses them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.deformable import DeformableAlignment

Alignment = Literal["deformable", "naive", "attention", "flow"]
_KEYS = 1024  # places of the other frame that attention looks at, at most: finer features are averaged to so many
_QUERIES = 4096  # pixels that look at once: bounds the memory


class Naive(nn.Module):
    """Two convolutions over both frames' features: no alignment at all. Source: DVM supplement, naive fusion."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fuse = nn.Sequential(normed(2 * channels, channels, 3), normed(channels, channels, 3))

    def forward(self, values: Tensor, reference: Tensor, motion: Tensor | None = None) -> Tensor:
        fused: Tensor = self.fuse(torch.cat([values, reference], 1))
        return fused


class Attention(nn.Module):
    """The reference's features with what similar places of the other frame hold. Source: DVM supplement,
    cross-attention. Keys and values of fine features are averaged to at most 1024 places (our choice: none is given).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels, 1) for _ in range(3))

    def forward(self, values: Tensor, reference: Tensor, motion: Tensor | None = None) -> Tensor:
        height, width = values.shape[-2:]
        step = 1
        while -(-height // step) * -(-width // step) > _KEYS:
            step *= 2
        few = functional.avg_pool2d(values, step, ceil_mode=True) if step > 1 else values
        keys, found = (layer(few).flatten(2).mT for layer in (self.key, self.value))
        queries = self.query(reference).flatten(2).mT
        parts = [functional.scaled_dot_product_attention(part, keys, found) for part in queries.split(_QUERIES, 1)]
        return reference + torch.cat(parts, 1).mT.reshape(reference.shape)


class Still(nn.Module):
    """The other frame's features where they are; the motion goes to the decoder. Source: DVM supplement, flow."""

    def forward(self, values: Tensor, reference: Tensor, motion: Tensor | None = None) -> Tensor:
        return values


def make_alignment(kind: Alignment, channels: int, groups: int) -> nn.Module:
    """The alignment of features of `channels` channels."""
    if kind == "deformable":
        return DeformableAlignment(channels, groups)
    return {"naive": Naive, "attention": Attention}[kind](channels) if kind != "flow" else Still()


class Fusion(nn.Module):
    """Temporal feature fusion: aligned features of all frames (N, frames * C, H, W) to one (N, C, H, W).

    Attention over channels (which frames) and then over places. Source: DVM supplement, after Woo et al. 2018.
    Without `attention` a 1 x 1 convolution alone.
    """

    def __init__(self, channels: int, frames: int, attention: bool) -> None:
        super().__init__()
        wide = channels * frames
        self.channel: nn.Module | None = None
        self.place: nn.Module | None = None
        if attention:
            squeeze = nn.Linear(wide, channels, bias=False), nn.ReLU(inplace=True)
            self.channel = nn.Sequential(*squeeze, nn.Linear(channels, wide, bias=False), nn.Sigmoid())
            self.place = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.join = normed(wide, channels, 1)

    def forward(self, aligned: Tensor) -> Tensor:
        if self.channel is not None and self.place is not None:
            aligned = aligned * self.channel(aligned.mean((2, 3)))[:, :, None, None]
            both = torch.cat([aligned.mean(1, keepdim=True), aligned.amax(1, keepdim=True)], 1)
            aligned = aligned * torch.sigmoid(self.place(both))
        joined: Tensor = self.join(aligned)
        return joined


def normed(before: int, after: int, side: int, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, batch normalisation and ReLU."""
    layer = nn.Conv2d(before, after, side, stride, side // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
