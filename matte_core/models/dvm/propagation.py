"""Trimap propagation: the trimap of a frame from other frames that a person has drawn trimaps for.

Source: Sun et al. 2021 say that a target's pixels look at a reference's by cross-attention and a decoder answers with
three regions; nothing more is published. Sizes and the memory's form are chosen here, after Oh et al. 2019, Video
Object Segmentation using Space-Time Memory Networks. The carried trimap as an input is our own addition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.dvm.alignment import normed
from matte_core.models.layers.resnet50 import Bottleneck

_SURE = 0.02  # a carried region is not believed further than this
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


@dataclass(frozen=True)
class Settings:
    """Size and form of the network; the defaults are those of full size.

    stem, inner, counts  of both residual encoders, from 1/2 to 1/16
    key, value           channels in which pixels are compared, and of what they then read
    decoder              widths at 1/16, 1/8, 1/4 and 1/2
    carried              whether it is also given the trimap carried along by optical flow, which its answer starts from
    """

    stem: int = 64
    inner: tuple[int, int, int] = (64, 128, 256)
    counts: tuple[int, int, int] = (3, 4, 6)
    key: int = 64
    value: int = 256
    decoder: tuple[int, int, int, int] = (256, 128, 64, 32)
    carried: bool = False


class TrimapPropagation(nn.Module):
    """Logits (N, 3, H, W) of background, unknown, foreground of a target frame; sides are multiples of 16.

    target      (N, 3, H, W) display-referred, 0..1
    references  (N, R, 3, H, W) the frames that have trimaps, any number R from 1, in any order
    trimaps     (N, R, 1, H, W) of 0, 0.5 and 1
    carried     (N, 4, H, W) probabilities of the three regions carried to the target, and their trust, 0..1
    """

    multiple = 16

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        more = 4 if settings.carried else 0
        wide = [4 * inner for inner in settings.inner]
        self.look = Encoder(3 + more, settings)
        self.remember = Encoder(6, settings)
        self.key = nn.Conv2d(wide[2], settings.key, 3, padding=1)
        self.value = nn.Conv2d(wide[2], settings.value, 3, padding=1)
        steps = settings.decoder
        self.enter = normed(wide[2] + settings.value, steps[0], 3)
        self.rises = nn.ModuleList(
            normed(before + skip, after, 3)
            for before, skip, after in zip(steps[:3], (wide[1], wide[0], settings.stem), steps[1:], strict=True)
        )
        self.out = nn.Sequential(nn.Conv2d(steps[3], 12, 3, padding=1), nn.PixelShuffle(2))
        if settings.carried:
            for parameter in self.out.parameters():
                nn.init.zeros_(parameter)

    def forward(self, target: Tensor, references: Tensor, trimaps: Tensor, carried: Tensor | None = None) -> Tensor:
        count, frames = references.shape[:2]
        regions = one_hot(trimaps.flatten(0, 1)).to(target)
        known = _normalised(references.flatten(0, 1))
        told = [known, regions, torch.ones_like(regions[:, :1])] if self.settings.carried else [known]
        keys = self.key(self.look(torch.cat(told, 1))[3])
        values = self.value(self.remember(torch.cat([known, regions], 1))[3])
        own = [_normalised(target)]
        if self.settings.carried:
            assert carried is not None
            own.append(carried.to(target))
        half, quarter, eighth, deep = self.look(torch.cat(own, 1))
        read = _read(self.key(deep), _joined(keys, count, frames), _joined(values, count, frames))
        decoded = self.enter(torch.cat([deep, read], 1))
        for rise, skip in zip(self.rises, (eighth, quarter, half), strict=True):
            larger = functional.interpolate(decoded, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            decoded = rise(torch.cat([larger, skip], 1))
        logits: Tensor = self.out(decoded).float()
        if carried is not None and self.settings.carried:
            logits = logits + carried[:, 3:].float() * carried[:, :3].float().clamp(_SURE, 1).log()
        return logits


class Encoder(nn.Module):
    """Features at 1/2, 1/4, 1/8 and 1/16 of (N, channels, H, W): a residual network up to its third stage."""

    def __init__(self, channels: int, settings: Settings) -> None:
        super().__init__()
        self.enter = normed(channels, settings.stem, 7, 2)
        befores = (settings.stem, 4 * settings.inner[0], 4 * settings.inner[1])
        sizes = zip(befores, settings.inner, settings.counts, strict=True)
        self.stages = nn.ModuleList(_stage(*size, 1 if place == 0 else 2) for place, size in enumerate(sizes))

    def forward(self, picture: Tensor) -> list[Tensor]:
        found = [self.enter(picture.contiguous(memory_format=torch.channels_last))]
        values = functional.max_pool2d(found[0], 3, 2, 1)
        for stage in self.stages:
            values = stage(values)
            found.append(values)
        return found


def one_hot(trimap: Tensor) -> Tensor:
    """(N, 3, H, W) background, unknown, foreground of a trimap (N, 1, H, W) of 0, 0.5 and 1."""
    return torch.cat([trimap < 0.25, (trimap - 0.5).abs() <= 0.25, trimap > 0.75], 1)


def _normalised(pixels: Tensor) -> Tensor:
    mean, deviation = (pixels.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
    return (pixels - mean) / deviation


def _joined(features: Tensor, count: int, frames: int) -> Tensor:
    """(N, R * h * w, C) of features (N * R, C, h, w): all places of all references, side by side."""
    return features.flatten(2).mT.reshape(count, -1, features.shape[1])


def _read(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """(N, C, h, w): what each place of `query` (N, D, h, w) reads where the keys (N, M, D) are like it."""
    found = functional.scaled_dot_product_attention(query.flatten(2).mT, keys, values)
    return found.mT.reshape(len(query), -1, *query.shape[-2:])


def _stage(before: int, inner: int, count: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(4 * inner, inner) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(before, inner, stride), *rest)
