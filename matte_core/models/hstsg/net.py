"""An HSTSG-style network: alpha of a clip from one mask, by reading a memory of frames and their alphas.

A reconstruction: only the abstract and the supplement of the paper were at hand. Source: HSTSG, WACV 2023, with the
matching of HMMN (Seong et al. 2021) on the memory of STM (Oh et al. 2019); the start is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.hstsg.reading import Cells, Remembered, moved, read
from matte_core.models.hstsg.refinement import CrossFrame, Seen
from matte_core.models.hstsg.settings import Settings
from matte_core.models.hstsg.start import FEATURES, Start
from matte_core.models.layers.light import BRIGHTEST, compress
from matte_core.models.layers.resnet50 import Bottleneck

_SHARES = (0.0, 1.0, -1.0)  # a fresh network's answer: its own alpha, mostly the carried one, the colours'
_SURE = 0.02


class Looked(NamedTuple):
    """A frame as it is asked about: features at 1/2, 1/4, 1/8 and 1/16, its keys, and its value at 1/16."""

    half: Tensor
    quarter: Tensor
    eighth: Tensor
    sixteenth: Tensor
    keys: tuple[Tensor, ...]
    value: Tensor


class Answer(NamedTuple):
    """(N, 1, h, w) logits of the `mask` at 1/16; `alpha` (N, 1, H, W) 0..1; `foreground` (N, 3, H, W) compressed."""

    mask: Tensor
    alpha: Tensor
    foreground: Tensor


class Step(NamedTuple):
    """The answer for a frame, the memory followed into it, and what the refinement keeps of it."""

    answer: Answer
    memory: list[Remembered]
    seen: Seen


class Hstsg(nn.Module):
    """Answers for frames whose sides are multiples of 16 (`multiple`); the memory is handed in and out.

    pixels   (N, 3, H, W) in the light that alpha is linear in, scene-linear times exposure or display-referred
    """

    multiple = 16

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        told = FEATURES if settings.start else 0
        wide, values = settings.wide, settings.values
        quarter, eighth, sixteenth = (4 * width for width in settings.inner)
        self.query = Trunk(settings, 3 + told)
        self.memory = Trunk(settings, 3, guided=True)
        outs = (sixteenth, eighth, quarter)
        self.keys = _heads(outs, settings.keys)
        self.memory_keys = _heads(outs, settings.keys)
        self.memory_values = _heads(outs, values)
        self.value = nn.Conv2d(sixteenth, values[0], 3, 1, 1)
        self.deep = nn.Sequential(nn.Conv2d(2 * values[0], wide, 3, 1, 1), Residual(wide))
        self.mask = nn.Conv2d(wide, 1, 3, 1, 1)
        self.rise = nn.ModuleList([Rise(eighth, values[1], wide), Rise(quarter, values[2], wide)])
        self.refine = CrossFrame(wide, settings.refined, settings.window)
        self.tail = Tail(settings, told)

    def look(self, pixels: Tensor, start: Start | None = None) -> Looked:
        """A frame, or several, as the memory will be asked about it."""
        told = [seen(pixels)] if start is None else [seen(pixels), start.features]
        half, quarter, eighth, sixteenth = self.query(torch.cat(told, 1))
        keys = tuple(head(each) for head, each in zip(self.keys, (sixteenth, eighth, quarter), strict=True))
        return Looked(half, quarter, eighth, sixteenth, keys, self.value(sixteenth))

    def remember(self, pixels: Tensor, guide: Tensor) -> Cells:
        """What is to be remembered of a frame with its mask or alpha (N, 1, H, W)."""
        _, quarter, eighth, sixteenth = self.memory(seen(pixels), guide)
        every = (sixteenth, eighth, quarter)
        keys = tuple(head(each) for head, each in zip(self.memory_keys, every, strict=True))
        return Cells(keys, tuple(head(each) for head, each in zip(self.memory_values, every, strict=True)))

    def answer(
        self,
        pixels: Tensor,
        looked: Looked,
        memory: Sequence[Remembered],
        before: Sequence[Seen] = (),
        start: Start | None = None,
    ) -> Step:
        """The answer for the frame that was `looked` at; `before` is what the refinement kept of the last frames."""
        followed = moved(memory, looked.keys[0])
        coarse, finer, finest = read(followed, looked.keys, self.settings.candidates)
        deep = self.deep(torch.cat([coarse, looked.value], 1))
        mask = self.mask(deep)
        eighth = self.rise[0](deep, looked.eighth, finer)
        refined, kept = self.refine(eighth, before)
        quarter = self.rise[1](refined, looked.quarter, finest)
        alpha, foreground = self.tail(quarter, looked.half, seen(pixels), mask, start)
        return Step(Answer(mask.float(), alpha, foreground), followed, kept)


def seen(pixels: Tensor) -> Tensor:
    """`pixels` as the network takes them in."""
    return compress(pixels.clamp(0, BRIGHTEST)) - 0.5


class Trunk(nn.Module):
    """Features at 1/2, 1/4, 1/8 and 1/16; a guide (N, 1, H, W) is added before the first norm where it is `guided`."""

    def __init__(self, settings: Settings, channels: int, guided: bool = False) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, settings.stem, 7, 2, 3, bias=False)
        self.guide = nn.Conv2d(1, settings.stem, 7, 2, 3, bias=False) if guided else None
        self.norm = nn.BatchNorm2d(settings.stem)
        before = (settings.stem, *(4 * width for width in settings.inner))
        self.stages = nn.ModuleList(
            _stage(before[place], width, count, 1 if place == 0 else 2)
            for place, (width, count) in enumerate(zip(settings.inner, settings.counts, strict=True))
        )

    def forward(self, values: Tensor, guide: Tensor | None = None) -> list[Tensor]:
        entered = self.enter(values)
        if self.guide is not None and guide is not None:
            entered = entered + self.guide(guide)
        found = [functional.relu(self.norm(entered))]
        values = functional.max_pool2d(found[0], 3, 2, 1)
        for stage in self.stages:
            values = stage(values)
            found.append(values)
        return found


class Residual(nn.Module):
    """ReLU, 3 x 3 convolution, ReLU, 3 x 3 convolution, added to its input."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(wide, wide, 3, 1, 1)
        self.second = nn.Conv2d(wide, wide, 3, 1, 1)

    def forward(self, values: Tensor) -> Tensor:
        changed: Tensor = values + self.second(functional.relu(self.first(functional.relu(values))))
        return changed


class Rise(nn.Module):
    """Twice the size: (N, wide, h, w) with the frame's features and what was read at the finer scale."""

    def __init__(self, skip: int, told: int, wide: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(skip, wide, 3, 1, 1)
        self.told = nn.Conv2d(told, wide, 3, 1, 1, bias=False)
        self.join = Residual(wide)
        self.after = Residual(wide)

    def forward(self, values: Tensor, skip: Tensor, told: Tensor) -> Tensor:
        joined: Tensor = self.after(self.join(self.skip(skip) + self.told(told)) + _enlarged(values, 2))
        return joined


class Tail(nn.Module):
    """Alpha (N, 1, H, W) and foreground (N, 3, H, W) from features at 1/4 and 1/2, the picture and the mask's logits.

    With a start, alpha is a blend of the network's own, the carried and the colours' alpha.
    """

    def __init__(self, settings: Settings, told: int) -> None:
        super().__init__()
        half, full, last = settings.tail
        groups = max(1, half // 8)
        self.lower = nn.Sequential(
            nn.Conv2d(settings.wide + settings.stem, half, 3, 1, 1), nn.GroupNorm(groups, half), nn.LeakyReLU(0.2)
        )
        self.upper = nn.Sequential(
            nn.Conv2d(half + 4 + told, full, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(full, last, 3, 1, 1),
            nn.LeakyReLU(0.2),
        )
        self.out = nn.Conv2d(last, 4 + (len(_SHARES) if told else 0), 1)
        self.shortcut = nn.Parameter(torch.tensor([0.5, 1.0])) if told else None
        if told:
            assert self.out.bias is not None
            nn.init.zeros_(self.out.weight)
            with torch.no_grad():
                self.out.bias.copy_(torch.tensor([0.0] * 4 + list(_SHARES)))

    def forward(
        self, quarter: Tensor, half: Tensor, picture: Tensor, mask: Tensor, start: Start | None
    ) -> tuple[Tensor, Tensor]:
        values = self.lower(torch.cat([_enlarged(quarter, 2), half], 1))
        told = [_enlarged(values, 2), picture, torch.sigmoid(_enlarged(mask, 16))]
        heads = self.out(self.upper(torch.cat(told if start is None else [*told, start.features], 1))).float()
        foreground = torch.sigmoid(heads[:, 1:4])
        if start is None or self.shortcut is None:
            return heads[:, :1].clamp(0, 1), foreground
        carried, colours = start.alphas[:, :1], start.alphas[:, 1:]
        logits = torch.cat([torch.logit(carried.clamp(_SURE, 1 - _SURE)), colours - 0.5], 1)
        own = torch.sigmoid(heads[:, :1] + (logits * self.shortcut[:, None, None]).sum(1, keepdim=True))
        shares = torch.softmax(heads[:, 4:], 1)
        return (shares * torch.cat([own, carried, colours], 1)).sum(1, keepdim=True), foreground


def _heads(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(nn.Conv2d(b, a, 3, 1, 1) for b, a in zip(before, after, strict=True))


def _stage(before: int, inner: int, count: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Bottleneck(before, inner, stride), *(Bottleneck(4 * inner, inner) for _ in range(count - 1)))


def _enlarged(values: Tensor, times: int) -> Tensor:
    return functional.interpolate(values, scale_factor=times, mode="bilinear", align_corners=False)
