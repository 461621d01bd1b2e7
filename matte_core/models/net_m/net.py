"""Net-M: an encoder and decoder that find the alpha of a picture and a trimap, in the paper's size or any other.

Source: arXiv 2103.17020, figures S4 to S8. Colour models, classic solves and their blend are our own addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from matte_core.errors import ModelError
from matte_core.models.layers.colour_models import ColourModels
from matte_core.models.layers.nonlocal_attention import LightNonLocal, coarse_unknown
from matte_core.models.layers.spectral import Adapter, Block, Layers, Rise, start_gently
from matte_core.models.net_m.inputs import CHANNELS, PICTURE, STARTS, UNKNOWN, Inputs, Prepared, prepare
from matte_core.models.net_m.refinement import Refinement

_OWN = (0.0, -2.0, -1.0)  # bias of the last layer: most of a fresh network's answer is its own alpha
_GUIDE = (16, 32)  # widths on the way to the attention's view of the picture


@dataclass(frozen=True)
class Settings:
    """Size and form of the network; the defaults are the paper's.

    widths       of the five scales, 1/2 to 1/32; `full`: width at full resolution
    depths       residual blocks of the encoder at 1/4 to 1/32; `rises`: of the decoder at 1/16 to 1/2
    spectral     whether convolutions are under spectral norm
    attention    whether the light non-local block stands at 1/8
    refinement   width of the refinement, 0 for none
    inputs       "picture" as published; "colours" with colour models; "solves" with the two classic solves too,
                 which the answer then blends
    light        whether it is told which light the pixels are in: photographs are encoded after light has mixed, so
                 in them the same alpha shows other colours than in a scene-linear plate
    reach        how far beyond 0 and 1 the answer goes before it is cut there: a sigmoid alone never comes to either,
                 and leaves a haze over what is surely background
    """

    widths: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)
    full: int = 32
    depths: tuple[int, int, int, int] = (3, 4, 4, 2)
    rises: tuple[int, int, int, int] = (2, 3, 3, 2)
    spectral: bool = True
    attention: bool = True
    refinement: int = 64
    inputs: Inputs = "picture"
    light: bool = False
    reach: float = 0.0

    @property
    def channels(self) -> int:
        """How many channels the network is given."""
        return CHANNELS[self.inputs] + self.light


class Answer(NamedTuple):
    """All (N, C, H, W), meaningful in the unknown: `alpha` 0..1, with refinement a little beyond while training;
    `coarse` the alpha before refinement; `logit` its own alpha's; `shares` (C = 3) how much of its own, the closed
    form and the colour prior went in, (C = 1) of ones where it was given no solves."""

    alpha: Tensor
    coarse: Tensor
    logit: Tensor
    shares: Tensor


class NetM(nn.Module):
    """Alpha of pictures whose sides are multiples of 32 (`multiple`).

    pixels   (N, 3, H, W): for inputs "picture" in display light 0..1; for the others in the light that alpha is
             linear in, scene-linear times exposure (unclipped) or display-referred 0..1
    trimap   (N, 1, H, W) of 0, 0.5 and 1
    solved   (N, 2, H, W) closed-form and colour-prior alphas, for inputs "solves" only
    models   colour models of the whole picture, where `pixels` are a part of one
    light    (N, 1, 1, 1) of -1 (display-referred) and 1 (scene-linear), where the network is told
    """

    multiple = 32

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.coarse = CoarseNet(settings)
        self.refine = Refinement(settings.refinement) if settings.refinement else None

    def forward(
        self,
        pixels: Tensor,
        trimap: Tensor,
        solved: Tensor | None = None,
        models: ColourModels | None = None,
        light: Tensor | None = None,
    ) -> Answer:
        with torch.no_grad():
            prepared = self.prepare(pixels, trimap, solved, models, light)
        return self.blend(*prepared, solved)

    def prepare(
        self,
        pixels: Tensor,
        trimap: Tensor,
        solved: Tensor | None = None,
        models: ColourModels | None = None,
        light: Tensor | None = None,
    ) -> Prepared:
        """What the network is given of a picture; `light` only where it is told of it."""
        if self.settings.light and light is None:
            raise ModelError("this Net-M must be told the light of its pixels. Give it.")
        return prepare(self.settings.inputs, pixels, trimap, solved, models, light if self.settings.light else None)

    def blend(self, features: Tensor, start: Tensor, solved: Tensor | None = None) -> Answer:
        """The answer from what `prepare` made of the picture, or from the same part of all three."""
        return self.answer(self.coarse(features.contiguous(memory_format=torch.channels_last)), start, solved)

    def answer(self, heads: Tensor, start: Tensor, solved: Tensor | None = None) -> Answer:
        """The answer from the `heads` (N, 1 or 3, H, W) of the coarse network."""
        heads = heads.float()
        logit = 2 * heads[:, :1]  # the published (tanh(x) + 1) / 2 is the sigmoid of 2 x
        logit = logit + (start * self.coarse.shortcut[:, None, None]).sum(1, keepdim=True)
        coarse, shares = torch.sigmoid(logit), torch.ones_like(logit)
        if self.settings.inputs == "solves":
            assert solved is not None
            shares = torch.softmax(torch.cat([torch.zeros_like(logit), heads[:, 1:]], 1), 1)
            coarse = (shares * torch.cat([coarse, solved], 1)).sum(1, keepdim=True)
        if self.settings.reach:
            coarse = _cut(coarse + self.settings.reach * (2 * coarse - 1))
        return Answer(self.refine(coarse) if self.refine else coarse, coarse, logit, shares)


def _cut(alpha: Tensor) -> Tensor:
    """`alpha` cut to 0..1, with the slope of one that is not: what was cut wrongly can still be learned."""
    return alpha + (alpha.clamp(0, 1) - alpha).detach() if alpha.requires_grad else alpha.clamp(0, 1)


class CoarseNet(nn.Module):
    """The U-Net, with or without the non-local block at 1/8: features (N, C, H, W) to heads (N, 1 or 3, H, W)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        layers, widths, channels = Layers(settings.spectral), settings.widths, settings.channels
        half, quarter, eighth = widths[:3]
        self.enter = layers.convolved(channels, half, 2)
        self.second = layers.convolved(half, half, 1)
        self.third = layers.convolved(half, quarter, 2)
        befores = (quarter, *widths[1:4])
        self.stages = nn.ModuleList(
            _stage(layers, before, after, depth, 1 if place == 0 else 2)
            for place, (before, after, depth) in enumerate(zip(befores, widths[1:], settings.depths, strict=True))
        )
        self.guide = layers.guide((3, *_GUIDE, eighth)) if settings.attention else None
        self.attention = LightNonLocal(eighth, eighth // 4) if settings.attention else None
        self.skips = nn.ModuleList([Adapter(layers, channels, settings.full), *_adapters(layers, widths[:4])])
        self.rises = nn.ModuleList(
            _rise(layers, before, after, count)
            for (before, after), count in zip(pairwise(reversed(widths)), settings.rises, strict=True)
        )
        self.last = nn.Sequential(
            layers.transposed(half, settings.full), nn.BatchNorm2d(settings.full), nn.LeakyReLU(0.2, inplace=True)
        )
        self.out = nn.Conv2d(settings.full, 3 if settings.inputs == "solves" else 1, 3, 1, 1)
        self.reach = 8 + 4 * settings.rises[-1]  # how far `fine` looks, in pixels, a multiple of 4
        self.shortcut = nn.Parameter(torch.tensor((0.1, 0.3, 1.0)[: STARTS[settings.inputs]]))
        start_gently(self)
        if settings.inputs != "picture":
            self.restart()

    @torch.no_grad()
    def restart(self) -> None:
        """Set the last layer so that its own alpha is what the shortcut says, and most of the answer."""
        assert self.out.bias is not None
        self.out.weight.zero_()
        self.out.bias.copy_(torch.tensor(_OWN[: len(self.out.bias)]))

    def forward(self, features: Tensor) -> Tensor:
        return self.fine(*self.deep(features), features)

    def deep(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What is known at 1/4, all context in it, and at 1/2 before it."""
        half = self.second(self.enter(features))
        quarter = self.stages[0](self.third(half))
        eighth = self.stages[1](quarter)
        if self.attention is not None and self.guide is not None:
            eighth = self.attention(self.guide(features[:, PICTURE]), eighth, coarse_unknown(features[:, UNKNOWN] / 2))
        sixteenth = self.stages[2](eighth)
        values = self.stages[3](sixteenth)
        skips = ((self.skips[4], sixteenth), (self.skips[3], eighth), (self.skips[2], quarter))
        for rise, (adapt, seen) in zip(self.rises[:-1], skips, strict=True):
            values = rise(values) + adapt(seen)
        return values, half

    def fine(self, quarter: Tensor, half: Tensor, features: Tensor) -> Tensor:
        """The heads, from the two of `deep` and the features, all of one place: nothing further than `reach` pixels
        away matters here."""
        values = self.rises[-1](quarter) + self.skips[1](half)
        heads: Tensor = self.out(self.last(values) + self.skips[0](features))
        return heads


def _adapters(layers: Layers, widths: tuple[int, ...]) -> list[Adapter]:
    return [Adapter(layers, width, width) for width in widths]


def _stage(layers: Layers, before: int, after: int, count: int, stride: int) -> nn.Sequential:
    rest = (Block(layers, after, after) for _ in range(count - 1))
    return nn.Sequential(Block(layers, before, after, stride), *rest)


def _rise(layers: Layers, before: int, after: int, count: int) -> nn.Sequential:
    rest = (Block(layers, after, after, rising=True) for _ in range(count - 1))
    return nn.Sequential(Rise(layers, before, after), *rest)
