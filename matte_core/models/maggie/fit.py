"""Pictures and masks in the size and light the network was trained in, and its alphas back in the plate's size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.layers.bilinear import bilinear
from matte_core.models.maggie.net import normalised

_LOW, _HIGH = 1 / 255, 254 / 255
_SELECTED = 0.5


@dataclass(frozen=True)
class Fit:
    """From (height, width) to a picture whose short side is `short_side` (0: as it is), padded to a multiple of 64.

    Source: MaGGIe's evaluation: no filter when a picture is made smaller, black below and to the right.
    """

    height: int
    width: int
    short_side: int = 0
    multiple: int = 64

    @property
    def size(self) -> tuple[int, int]:
        """Height and width before padding."""
        ratio = self.short_side / min(self.height, self.width) if self.short_side else 1.0
        return int(self.height * ratio), int(self.width * ratio)

    def pictures(self, frames: Tensor) -> Tensor:
        """Frames (T, 3, H, W) in display light 0..1, resized, padded, normalised as for ImageNet."""
        if self.size != (self.height, self.width):
            frames = bilinear(frames, self.size)
        return normalised(self._padded(frames))

    def masks(self, masks: Tensor) -> Tensor:
        """Masks (T, N, H, W) as 0 and 1, resized to the nearest, padded with 0."""
        whole = (masks >= _SELECTED).to(masks)
        if self.size != (self.height, self.width):
            whole = functional.interpolate(whole, size=self.size, mode="nearest")
        return self._padded(whole)

    def back(self, alphas: Tensor) -> Tensor:
        """Alphas (T, N, H, W) in the plate's size, those within a step of 8 bits of 0 and 1 made 0 and 1."""
        height, width = self.size
        alphas = alphas[..., :height, :width]
        if self.size != (self.height, self.width):
            size = (self.height, self.width)
            alphas = functional.interpolate(alphas, size=size, mode="bilinear", align_corners=True)
        alphas = torch.where(alphas <= _LOW, torch.zeros_like(alphas), alphas)
        return torch.where(alphas >= _HIGH, torch.ones_like(alphas), alphas)

    def _padded(self, picture: Tensor) -> Tensor:
        height, width = self.size
        return functional.pad(picture, (0, -width % self.multiple, 0, -height % self.multiple))
