"""Pictures made as large as a network wants them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def pad(picture: Tensor, multiple: int) -> Tensor:
    """`picture` (T, C, H, W) with right and bottom repeated up to a multiple of `multiple` pixels."""
    height, width = picture.shape[-2:]
    below, right = -height % multiple, -width % multiple
    return functional.pad(picture, (0, right, 0, below), mode="replicate") if below or right else picture


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """`picture` (T, C, H, W) at another size: interpolated when larger, averaged when smaller."""
    if (picture.shape[-2], picture.shape[-1]) == size:
        return picture
    return functional.interpolate(picture, size=size, mode="bilinear", align_corners=False, antialias=True)
