"""Net-T and Net-M as one network that learns end to end: the soft fusion lets the matte's error reach the trimap."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from matte_core.errors import UsageError
from matte_core.models.layers.fusion import soft_fusion
from matte_core.models.net_m.inputs import REGIONS, prepare
from matte_core.models.net_m.net import Answer, NetM
from matte_core.models.net_t.net import NetT


class JointAnswer(NamedTuple):
    """`logits` (N, 3, H, W) of background, unknown, foreground; `coarse` and `alpha` (N, 1, H, W), fused softly."""

    logits: Tensor
    coarse: Tensor
    alpha: Tensor


class JointNet(nn.Module):
    """The matte of pictures (N, 3, H, W), display-referred 0..1, with soft masks (N, 1, H, W); sides a multiple of 32.

    Source: arXiv 2103.17020, joint inference, soft. Raises UsageError for a Net-M that is given classic solves: what
    they say does not follow a trimap that is still being learned.
    """

    def __init__(self, net_t: NetT, net_m: NetM) -> None:
        super().__init__()
        if net_m.settings.inputs == "solves":
            raise UsageError("a Net-M with inputs 'solves' cannot be trained jointly. Choose 'picture' or 'colours'.")
        self.net_t, self.net_m = net_t, net_m

    def forward(self, pixels: Tensor, mask: Tensor) -> JointAnswer:
        logits = self.net_t(pixels, mask).float()
        regions = torch.softmax(logits, 1)
        answer = answered_softly(self.net_m, pixels, regions)
        return JointAnswer(logits, soft_fusion(regions, answer.coarse), soft_fusion(regions, answer.alpha))


def answered_softly(net: NetM, pixels: Tensor, regions: Tensor) -> Answer:
    """Net-M's answer where its trimap is `regions` (N, 3, H, W), probabilities that a slope can go through."""
    with torch.no_grad():
        likeliest = regions.argmax(1, keepdim=True) / 2
        features, start = prepare(net.settings.inputs, pixels, likeliest, None)
    before, after = features[:, : REGIONS.start], features[:, REGIONS.stop :]
    return net.blend(torch.cat([before, regions.to(features), after], 1), start)
