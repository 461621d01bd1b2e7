"""The small Net-M: a U-Net on colour models and two classic solves, which it blends with an alpha of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.colour_models import colour_models
from matte_core.models.layers.unet import Convolution, Residual, Upward

_INPUTS = 20
_BRIGHTEST = 16.0
_SURE = 0.03  # a solve's 0 and 1 are not believed further than this


@dataclass(frozen=True)
class Settings:
    """Size of the network: `widths` of the five scales (1/2 to 1/32), `full` width at full resolution."""

    widths: tuple[int, int, int, int, int] = (16, 32, 56, 88, 128)
    full: int = 12


class Answer(NamedTuple):
    """`alpha` (N, 1, H, W) 0..1 in the unknown, meaningless elsewhere; `logit` (N, 1, H, W), its own alpha's;
    `shares` (N, 3, H, W), how much of its own, the closed form and the colour prior went in."""

    alpha: Tensor
    logit: Tensor
    shares: Tensor


class NetM(nn.Module):
    """Alpha of a picture whose sides are multiples of 32 (`multiple`).

    pixels   (N, 3, H, W), scene-linear times exposure (unclipped) or display-referred 0..1
    trimap   (N, 1, H, W) of 0, 0.5 and 1
    solved   (N, 2, H, W) closed-form and colour-prior alphas
    light    (N, 1, 1, 1): 1 scene-linear, -1 display-referred, 0 not told
    """

    multiple = 32

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        widths, full = settings.widths, settings.full
        self.enter = Convolution(_INPUTS, widths[0], 2)
        self.first = Residual(widths[0])
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Sequential(Convolution(wide, next_, 2), Residual(next_)) for wide, next_ in pairs)
        self.up = nn.ModuleList(Upward(coarse, fine, fine) for fine, coarse in reversed(pairs))
        self.coarse = nn.Conv2d(widths[0], full, 1)
        self.full = Convolution(_INPUTS + full, full)
        self.heads = nn.Conv2d(full, 3, 3, 1, 1)
        self.shortcut = nn.Parameter(torch.tensor([0.1, 0.3, 1.0]))
        self.restart()

    def restart(self) -> None:
        """Set the last layer so that its own alpha is nearly the colour prior's, and most of the answer."""
        with torch.no_grad():
            self.heads.weight.zero_()
            self.heads.bias[:] = torch.tensor([0.0, -2.0, -1.0])  # type: ignore[index]

    def forward(self, pixels: Tensor, trimap: Tensor, solved: Tensor, light: Tensor) -> Answer:
        with torch.no_grad():
            features, start = prepare(pixels, trimap, solved, light)
        return self.blend(features, start, solved)

    def blend(self, features: Tensor, start: Tensor, solved: Tensor) -> Answer:
        """The answer from what `prepare` made of the picture, or from the same part of all three."""
        features = features.contiguous(memory_format=torch.channels_last)
        scales = [self.first(self.enter(features))]
        for step in self.down:
            scales.append(step(scales[-1]))
        coarse = scales.pop()
        for rise in self.up:
            coarse = rise(coarse, scales.pop())
        coarse = functional.interpolate(
            self.coarse(coarse), size=features.shape[-2:], mode="bilinear", align_corners=False
        )
        heads = self.heads(self.full(torch.cat([features, coarse], 1))).float()
        logit = heads[:, :1] + (start * self.shortcut[:, None, None]).sum(1, keepdim=True)
        shares = torch.softmax(torch.cat([torch.zeros_like(logit), heads[:, 1:]], 1), 1)
        alpha = (shares * torch.cat([torch.sigmoid(logit), solved], 1)).sum(1, keepdim=True)
        return Answer(alpha, logit, shares)


def prepare(pixels: Tensor, trimap: Tensor, solved: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
    """Network inputs (N, 20, H, W), and the three logits (N, 3, H, W) that its own alpha starts from: two of the
    colour models, one of the colour-prior solve."""
    pixels = pixels.clamp(0, _BRIGHTEST)
    models = colour_models(pixels, trimap)
    foreground, background = (trimap > 0.75).to(pixels), (trimap < 0.25).to(pixels)
    distances = torch.cat([models.foreground_distance, models.background_distance], 1) * 0.3
    inputs = [
        compress(pixels) - 0.5,
        foreground,
        background,
        1 - foreground - background,
        compress(models.foreground) - 0.5,
        compress(models.background) - 0.5,
        models.projected - 0.5,
        models.residual,
        models.discriminant - 0.5,
        distances,
        solved - 0.5,
        light.expand(-1, 1, *pixels.shape[-2:]),
    ]
    likely = torch.logit(solved[:, 1:].clamp(_SURE, 1 - _SURE))
    start = torch.cat([distances[:, 1:] - distances[:, :1], models.discriminant - 0.5, likely], 1)
    return torch.cat(inputs, 1), start


def compress(pixels: Tensor) -> Tensor:
    """Values 0..16 on a scale of even steps per stop in the lights, 1 staying 1: what a network can take in."""
    return torch.log1p(8 * pixels) / math.log(9)
