"""What colours say about instances: which side of a rough mask each pixel's colour is from, and how far to trust it.

For networks trained here; the published ones know the masks alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.colour_models import colour_rule

EVIDENCE = 5  # maps for each instance
_REACHES = (9, 25)  # pixels at half size, a square's side: how far from a mask's edge its inside is trusted
_GAMMA = 2.2
_PROJECTED, _HIDDEN = 16, 24
_SURE = 3.0  # the largest logit a mask alone is good for


def weighed(pictures: Tensor, masks: Tensor) -> Tensor:
    """(T, N, 5, H, W) about -1 to 1 for display-referred `pictures` (T, 3, H, W) 0..1 and `masks` (T, N, H, W).

    The mask; the other masks; alpha by the colours near the mask's edge, and by those farther inside and outside;
    the same of whichever other instance claims the pixel most. Colours are compared in linear light.
    """
    frames, count, height, width = masks.shape
    light = pictures.clamp(0, 1).pow(_GAMMA)
    half = functional.avg_pool2d(light, 2).repeat_interleave(count, 0)
    small = functional.avg_pool2d(masks.flatten(0, 1)[:, None], 2)
    alphas = []
    for reach in _REACHES:
        rule = colour_rule(half, _inside(small, reach), _inside(1 - small, reach))
        rule = functional.interpolate(rule, size=(height, width), mode="bilinear", align_corners=False)
        rule = rule.view(frames, count, 4, height, width)
        alphas.append((torch.einsum("tkchw,tchw->tkhw", rule[:, :, :3], light) + rule[:, :, 3]).clamp(-0.2, 1.2))
    maps = [masks, _others(masks), *alphas, _others(alphas[-1])]
    return torch.stack(maps, 2) * 2 - 1


def pooled(evidence: Tensor, factor: int) -> Tensor:
    """The evidence (T, N, E, H, W) averaged down by `factor`."""
    if factor == 1:
        return evidence
    small = functional.avg_pool2d(evidence.flatten(0, 1), factor)
    return small.view(*evidence.shape[:2], *small.shape[1:])


class Weighing(nn.Module):
    """Coarse logits corrected for each instance by its evidence around each place; at first those of its mask."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(features, _PROJECTED, 1)
        layers: list[nn.Module] = []
        before = _PROJECTED + EVIDENCE + 1
        for rate in (1, 2, 4):
            layers += [nn.Conv2d(before, _HIDDEN, 3, 1, rate, rate), nn.LeakyReLU(0.2)]
            before = _HIDDEN
        last = nn.Conv2d(before, 1, 3, 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias if last.bias is not None else last.weight)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, features: Tensor, logits: Tensor, evidence: Tensor) -> Tensor:
        """(T, N, h, w) for `features` (T, C, h, w), the tokens' `logits` (T, N, h, w), `evidence` (T, N, E, h, w)."""
        count = logits.shape[1]
        shared = functional.leaky_relu(self.project(features), 0.2).repeat_interleave(count, 0)
        own = logits.flatten(0, 1)[:, None]
        changed: Tensor = self.layers(torch.cat([shared, own.tanh(), evidence.flatten(0, 1)], 1))
        start = functional.avg_pool2d(evidence[:, :, 0], 3, 1, 1, count_include_pad=False)
        return _SURE * start + changed.view(logits.shape)


def _inside(region: Tensor, reach: int) -> Tensor:
    """How deep (B, 1, h, w), 0..1, each pixel lies in a region (B, 1, h, w) of 0 to 1, its own deepest being 1."""
    depth = region
    for square in ((1, reach), (reach, 1)):
        around = (square[0] // 2, square[1] // 2)
        depth = functional.avg_pool2d(depth, square, 1, around, count_include_pad=False)
    deepest = depth.amax((2, 3), keepdim=True).clamp_min(1e-3)
    return (2 * depth / deepest - 1).clamp_min(0).square() * region


def _others(maps: Tensor) -> Tensor:
    """(T, N, H, W): the largest value of the other instances' maps (T, N, H, W), 0 where there is no other."""
    if maps.shape[1] == 1:
        return torch.zeros_like(maps)
    best, second = maps.topk(2, 1).values.unbind(1)
    return torch.where(maps == best[:, None], second[:, None], best[:, None]).clamp_min(0)
