"""The losses of DVM's supplement on alphas of consecutive frames.

Source: Sun et al. 2021, supplement; constants as spelled out with its training command. All tensors are
(N, P, H, W): N clips, P consecutive frames. Choices where the sources are at odds: the composite is made of straight
colours (the published data multiplies the foreground twice); gradient is an absolute error weighed by the difference
of slopes, as it was run, not a difference of gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_KNOWN = 0.5  # what a known pixel counts beside an unknown one
_SMOOTH = 1e-12
_EVEN = 1e-10


@dataclass(frozen=True)
class VideoLossWeights:
    """How much each loss counts; the defaults are the paper's, which has no `steadiness`."""

    difference: float = 1.0
    composition: float = 0.5
    gradient: float = 1.0
    divergence: float = 1.0
    coherence: float = 1.0
    steadiness: float = 0.0


def video_loss(
    alpha: Tensor, truth: Tensor, unknown: Tensor, contrast: Tensor, weights: VideoLossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The weighted loss and its parts by name; `contrast` is |F - B| 0..1, `unknown` of 0 and 1."""
    parts = {
        "difference": difference(alpha, truth, unknown),
        "composition": composition(alpha, truth, unknown, contrast),
        "gradient": gradient(alpha, truth, unknown),
        "divergence": divergence(alpha, truth),
        "coherence": coherence(alpha, truth),
        "steadiness": steadiness(alpha, truth, unknown),
    }
    counted = [getattr(weights, name) * part for name, part in parts.items() if getattr(weights, name)]
    return torch.stack(counted).sum(), {name: float(part.detach()) for name, part in parts.items()}


def difference(alpha: Tensor, truth: Tensor, unknown: Tensor) -> Tensor:
    """Mean absolute difference in the unknown, and half of that in the known."""
    error = (alpha - truth).square().add(_SMOOTH).sqrt()
    known = 1 - unknown
    return _mean(error, unknown) + _KNOWN * _mean(error, known)


def composition(alpha: Tensor, truth: Tensor, unknown: Tensor, contrast: Tensor) -> Tensor:
    """Mean absolute difference of the composites in the unknown: that of the alphas times |F - B|."""
    return _mean(((alpha - truth) * contrast).square().add(_SMOOTH).sqrt(), unknown)


def gradient(alpha: Tensor, truth: Tensor, unknown: Tensor) -> Tensor:
    """Mean absolute difference in the unknown, weighed by how far both slopes are apart."""
    weight = 2 * unknown * (slope(truth) - slope(alpha)).abs().detach()
    return _mean((alpha - truth).abs(), weight)


def divergence(alpha: Tensor, truth: Tensor) -> Tensor:
    """Kullback-Leibler divergence of both alphas, each taken as one distribution over all pixels."""
    ours, theirs = (values.clamp_min(0) + _EVEN for values in (alpha, truth))
    ours, theirs = ours / (ours.sum() + 1e-5), theirs / (theirs.sum() + 1e-5)
    return (theirs * (theirs / ours).log()).sum()


def coherence(alpha: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference of both alphas' changes from frame to frame, over all pixels; 0 for one frame."""
    change = alpha.diff(dim=1) - truth.diff(dim=1)
    return change.square().mean() if change.numel() else alpha.sum() * 0


def steadiness(alpha: Tensor, truth: Tensor, unknown: Tensor) -> Tensor:
    """Root mean square, over the unknown of each pair of frames, of the difference of both alphas' changes: dtSSD but
    for a factor. A pair that is nearly right counts as much as one that is far off; 0 for one frame."""
    change = (alpha.diff(dim=1) - truth.diff(dim=1)).square() * unknown[:, :-1]
    if not change.numel():
        return alpha.sum() * 0
    return (change.sum((-2, -1)) / (unknown[:, :-1].sum((-2, -1)) + 1) + _SMOOTH).sqrt().mean()


def slope(alpha: Tensor) -> Tensor:
    """Length of the Sobel gradient (N, P, H, W), whose kernels sum to 1 in absolute value, the border repeated."""
    line, ramp = alpha.new_tensor((1.0, 2.0, 1.0)), alpha.new_tensor((-1.0, 0.0, 1.0))
    across = (line[:, None] * ramp) / 8
    kernels = torch.stack([across, across.T])[:, None]
    padded = functional.pad(alpha.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    both = functional.conv2d(padded, kernels)
    return (both.square().sum(1) + _SMOOTH).sqrt().view_as(alpha)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / (weight.sum() + 1)
