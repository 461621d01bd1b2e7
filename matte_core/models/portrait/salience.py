"""What sets a subject apart before anything is learned: how little each place is like the picture's border.

Our own, off in the paper's size. The border prior and the barrier distance are those of Wei et al. 2012, Geodesic
Saliency Using Background Priors, and Zhang et al. 2015, Minimum Barrier Salient Object Detection.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PLANES = 5
_SIDE = 32  # cells along the longest side
_RIM = 2  # cells of the border
_NEAREST = 5  # border colours that a place is compared with
_APART = 3.0  # deviations of colour that a whole side of the picture counts as
_STEPS = 16


@torch.no_grad()
def border_planes(pixels: Tensor) -> Tensor:
    """(N, 5, h, w), at most 32 a side, of pictures (N, 3, H, W): how far each place's colour is from the nearest of
    the border, anywhere and nearby; the least range of colours on a path from the border; row and column -1..1.

    Colours are measured in the picture's own deviations, cut at 4. The lower edge is no border: subjects stand on it.
    """
    height, width = pixels.shape[-2:]
    size = tuple(max(2 * _RIM + 1, round(length * _SIDE / max(height, width))) for length in (height, width))
    colours = _whitened(functional.interpolate(pixels.float(), size=size, mode="area"))
    rim = torch.zeros(size, dtype=torch.bool, device=pixels.device)
    rim[:_RIM] = rim[:, :_RIM] = rim[:, -_RIM:] = True
    rows, columns = (torch.linspace(-1, 1, length, device=pixels.device) for length in size)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(pixels), 2, *size)
    planes = [
        _distance(colours, rim),
        _distance(torch.cat([colours, places * (_APART / 2)], 1), rim),
        _barrier(colours, rim),
        places,
    ]
    return torch.cat(planes, 1).to(pixels.dtype)


def _whitened(colours: Tensor) -> Tensor:
    """`colours` (N, 3, h, w) less their mean, turned and scaled so that their covariance is about 1."""
    flat = colours.flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    spread = flat @ flat.transpose(1, 2) / flat.shape[2] + 1e-3 * torch.eye(3, device=flat.device)
    turned: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(spread), flat, upper=False)
    return turned.view_as(colours)


def _distance(values: Tensor, rim: Tensor) -> Tensor:
    """(N, 1, h, w) mean distance of each place to the few of the rim that are most alike."""
    flat = values.flatten(2).transpose(1, 2)
    apart = torch.cdist(flat, flat[:, rim.flatten()], compute_mode="donot_use_mm_for_euclid_dist")
    near = apart.topk(_NEAREST, largest=False).values.mean(2)
    return near.view(len(values), 1, *rim.shape).clamp_max(4)


def _barrier(colours: Tensor, rim: Tensor) -> Tensor:
    """(N, 1, h, w) the least range of colours on a path to each place from the rim."""
    high, low = colours.clone(), colours.clone()
    cost = torch.where(rim, 0.0, torch.inf).expand(len(colours), 1, *rim.shape).clone()
    later, sooner = slice(1, None), slice(None, -1)
    for _ in range(_STEPS):
        for dimension, here, there in ((2, later, sooner), (3, later, sooner), (2, sooner, later), (3, sooner, later)):
            own, other = ((slice(None),) * dimension + (part,) for part in (here, there))
            above = torch.maximum(high[other], colours[own])
            below = torch.minimum(low[other], colours[own])
            found = (above - below).amax(1, keepdim=True)
            found = torch.where(cost[other].isinf(), torch.inf, found)
            better = found < cost[own]
            high[own] = torch.where(better, above, high[own])
            low[own] = torch.where(better, below, low[own])
            cost[own] = torch.where(better, found, cost[own])
    return cost.clamp_max(4)
