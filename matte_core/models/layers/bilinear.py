"""Pictures at another size, the same to the last bit for any number of threads."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def bilinear(values: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """`values` (N, C, H, W) interpolated to `size`.

    Three channels are taken one by one: together torch rounds them otherwise in one thread than in several.
    """
    single = values.flatten(0, 1)[:, None] if values.shape[1] == 3 else values
    made = functional.interpolate(single, size=size, mode="bilinear", align_corners=align_corners)
    return made.view(*values.shape[:2], *size)
