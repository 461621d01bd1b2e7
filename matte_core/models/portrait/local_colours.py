"""What the colours around a place say of its alpha: the mean colours of subject and background nearby.

Our own, off in the paper's size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_SIDE = 9  # samples of the window
_FAR = 1e-3  # what the whole picture's mean counts where the window knows nothing
_SURE = 4  # power: only what is nearly 0 or 1 tells a colour
_NOISE = 1e-3  # squared difference of colours that says nothing


@torch.no_grad()
def local_colours(pixels: Tensor, alpha: Tensor) -> Tensor:
    """(N, 6, h, w) mean colour of the subject, and of the background, around each sample of `pixels` (N, 3, h, w)
    with `alpha` (N, 1, h, w) in 0..1."""
    told = torch.cat([pixels, torch.ones_like(alpha)], 1)
    weighted = torch.cat([told * alpha**_SURE, told * (1 - alpha) ** _SURE], 1)
    near = functional.avg_pool2d(weighted, (_SIDE, 1), 1, (_SIDE // 2, 0))
    near = functional.avg_pool2d(near, (1, _SIDE), 1, (0, _SIDE // 2))
    near = near + _FAR * weighted.mean((2, 3), keepdim=True)
    front, back = near.chunk(2, 1)
    return torch.cat([each[:, :3] / each[:, 3:].clamp_min(1e-6) for each in (front, back)], 1)


def between(pixels: Tensor, colours: Tensor) -> Tensor:
    """(R, 2, 8, 8) where the pixels of cells (R, 3, 8, 8) lie on the line from the background's colour to the
    subject's, 0..1, and how far those are apart; `colours` (R, 6) as `local_colours` has them."""
    front, back = colours.to(pixels.dtype)[..., None, None].chunk(2, 1)
    apart = front - back
    length = apart.square().sum(1, keepdim=True)
    share = ((pixels - back) * apart).sum(1, keepdim=True) / (length + _NOISE)
    return torch.cat([share.clamp(0, 1), (length + _NOISE).sqrt().expand_as(share)], 1)
