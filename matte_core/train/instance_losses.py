"""Losses of several instances' alphas at three sizes, of a clip's steadiness, and of where tokens look.

Source: MaGGIe, CVPR 2024, section 3.5 and supplement; weights and forms as in its published training. Tensors are
(T, N, H, W) over the frames of a clip and its instances; `valid` says which instances are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SIZES = (1, 4, 8)  # the alpha at full size counts double
SIZE_WEIGHTS: Mapping[int, float] = {1: 2.0, 4: 1.0, 8: 1.0}
_LOW, _HIGH = 1 / 255, 254 / 255
_CHANGE = 5 / 255
_LEVELS = 3
_SMALL = 1e-6


@dataclass(frozen=True)
class InstanceWeights:
    """How much each loss counts; as published."""

    alpha: float = 1.0
    gradient: float = 0.05
    pyramid: float = 0.05
    attention: float = 5.0
    steadiness: float = 1.0
    sparsity: float = 0.25


def coarse_weight(truth: Tensor, coarse: Tensor, valid: Tensor) -> Tensor:
    """1 for every pixel of the instances that are there, 2 where the truth or the coarse alpha is neither 0 nor 1."""
    unsure = _unsure(truth) | _unsure(coarse)
    return valid.to(truth) * (1 + unsure.to(truth))


def absolute_loss(alpha: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the absolute error."""
    return ((alpha - truth).abs() * weight).sum() / (weight.sum() + 1e-8)


def gradient_loss(alpha: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of how far the lengths of the Sobel gradients differ, of maps that are 0 where the weight is."""
    apart = (_slope(alpha * weight) - _slope(truth * weight)).abs()
    return apart.sum() / (weight.sum() + _SMALL)


def laplacian_loss(alpha: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Sum over three bands of the Laplacian pyramid of the weighted mean of their absolute difference."""
    total = alpha.sum() * 0
    for level, apart in enumerate(laplacian_bands(alpha - truth)):  # the pyramid is linear
        share = weight[..., :: 2**level, :: 2**level]
        total = total + (apart.abs() * share).sum() / (share.sum() + _SMALL)
    return total


def steadiness_loss(alpha: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """dtSSD: weighted mean of the squared difference between the changes from frame to frame."""
    apart = (alpha.diff(dim=0) - truth.diff(dim=0)).square()
    share = weight[1:]
    return (apart * share).sum() / (share.sum() + _SMALL)


def attention_loss(attention: Sequence[Tensor], truth: Tensor) -> Tensor:
    """How much of what the tokens of instances look at lies outside those instances, mean over the attentions.

    Each attention is (N slots, h w T), summing to 1 over places; `truth` (T, N, H, W). Source: equation 6.
    """
    frames, count = truth.shape[:2]
    inside = (functional.max_pool2d(truth, 8) > 0).to(truth)
    places = inside.permute(1, 2, 3, 0).flatten(1)  # (N, h w T), the order of the features
    there = places.any(1).to(truth)
    missed = [(there - (each[:count] * places).sum(1)).sum() / frames for each in attention]
    return torch.stack(missed).mean()


def changes(truth: Tensor, reach: int = 2) -> Tensor:
    """(T - 1, 1, H, W) of 0 and 1: where any instance's alpha changes from one frame to the next, grown by `reach`."""
    moved = (truth.diff(dim=0).abs() > _CHANGE).any(1, keepdim=True).to(truth)
    return functional.max_pool2d(moved, 2 * reach + 1, 1, reach)


def sparsity_loss(forward: Tensor, backward: Tensor, truth: Tensor, reach: int = 2) -> Tensor:
    """Cross entropy of the probabilities of change (T, 1, H, W), both ways, and the dtSSD of them.

    The first frame has no change from before, the last none from after.
    """
    moved = changes(truth, reach)
    crossed = [functional.binary_cross_entropy(each, moved) for each in (forward[1:], backward[:-1])]
    ones = torch.ones_like(moved)
    steady = [steadiness_loss(each, moved, ones) for each in (forward[1:], backward[:-1]) if len(moved) > 1]
    return torch.stack([*crossed, *steady]).sum()


def instance_loss(
    alphas: Mapping[int, Tensor],
    truth: Tensor,
    region: Tensor,
    attention: Sequence[Tensor],
    changed: tuple[Tensor, Tensor] | None = None,
    shares: InstanceWeights | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The whole loss and its parts by name.

    alphas     by size, 1, 4 and 8, each (T, N, H, W)
    region     (T, N, H, W) where the finer sizes were refined; the coarse one counts everywhere
    changed    for clips: the probabilities of change forward and backward
    """
    shares = shares or InstanceWeights()
    valid = truth.flatten(2).any(2).any(0)[None, :, None, None].expand_as(truth)
    weights = {size: region.to(truth) * valid for size in (1, 4)} | {8: coarse_weight(truth, alphas[8], valid)}
    measures = {
        "alpha": (shares.alpha, absolute_loss),
        "gradient": (shares.gradient, gradient_loss),
        "pyramid": (shares.pyramid, laplacian_loss),
    }
    if changed is not None:
        measures["steadiness"] = (shares.steadiness, steadiness_loss)
    parts: dict[str, Tensor] = {}
    for name, (share, measure) in measures.items():
        each = [SIZE_WEIGHTS[size] * measure(alphas[size], truth, weights[size]) for size in SIZES]
        parts[name] = share * torch.stack(each).sum()
    parts["attention"] = shares.attention * attention_loss(attention, truth)
    if changed is not None:
        parts["sparsity"] = shares.sparsity * sparsity_loss(*changed, truth)
    return torch.stack(list(parts.values())).sum(), {name: float(part.detach()) for name, part in parts.items()}


def _unsure(alpha: Tensor) -> Tensor:
    return (alpha >= _LOW) & (alpha <= _HIGH)


def _slope(alpha: Tensor) -> Tensor:
    maps = functional.pad(alpha, (1,) * 4, mode="replicate")
    across = _weighted(_weighted(maps, -2, (1.0, 2.0, 1.0)), -1, (-1.0, 0.0, 1.0)) / 8
    down = _weighted(_weighted(maps, -1, (1.0, 2.0, 1.0)), -2, (-1.0, 0.0, 1.0)) / 8
    return (across.square() + down.square() + _SMALL).sqrt()


def laplacian_bands(alpha: Tensor, levels: int = _LEVELS) -> list[Tensor]:
    """Bands of the Laplacian pyramid of `alpha` (T, N, H, W), the finest first, without the rest: x - up(down(x))."""
    level, bands = alpha, []
    for _ in range(levels):
        small = _smoothed(level)[..., ::2, ::2]
        spread = torch.zeros_like(level)
        spread[..., ::2, ::2] = small
        bands.append(level - 4 * _smoothed(spread))
        level = small
    return bands


def _smoothed(maps: Tensor) -> Tensor:
    padded, line = functional.pad(maps, (2,) * 4, mode="reflect"), (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
    return _weighted(_weighted(padded, -1, line), -2, line)


def _weighted(maps: Tensor, axis: int, line: Sequence[float]) -> Tensor:
    """`maps` filtered along `axis`, shorter by what the line overlaps: sums of shifted maps, since convolutions of one
    channel are slow on a processor."""
    length = maps.shape[axis] - len(line) + 1
    return torch.stack([maps.narrow(axis, place, length) * share for place, share in enumerate(line) if share]).sum(0)
