"""Working on the unknown alone: boxes around it, layer by layer, known pixels exact."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from matte_core.models.layers.solver import unknown_box

MARGIN = 64  # pixels around the unknown whose colours are still looked at

Estimate = Callable[[Tensor, Tensor, int], Tensor]


def each_layer(frames: Tensor, trimaps: Tensor, estimate: Estimate) -> Tensor:
    """Alphas (T, K, H, W) float32 of `frames` (T, 3, H, W) with `trimaps` (T, K, H, W) of 0, 0.5 and 1.

    `estimate` gets the pixels (3, h, w) and trimap (h, w) of a box about one layer's unknown, and the place of the
    frame in T; it returns the alpha (h, w). Known pixels are exactly 0 and 1. Layers without unknown cost nothing.
    """
    alphas = (trimaps >= 0.75).float()
    for frame in range(len(frames)):
        for layer in range(trimaps.shape[1]):
            trimap = trimaps[frame, layer]
            rows, columns = unknown_box(trimap, MARGIN)
            if rows.stop == rows.start:
                continue
            part = trimap[rows, columns]
            alpha = estimate(frames[frame, :, rows, columns], part, frame).clamp(0, 1).float()
            unknown = (part > 0.25) & (part < 0.75)
            alphas[frame, layer, rows, columns] = torch.where(unknown, alpha, alphas[frame, layer, rows, columns])
    return alphas
