"""DVM: alpha of a frame from its window of frames and trimaps, features aligned and fused at four scales.

Source: Sun et al. 2021, Deep Video Matting via Spatio-Temporal Alignment and Aggregation, and its supplement. What
they leave open is chosen here: the decoder's widths, and offsets that begin at 0. The first alphas and the motion as
inputs are our own addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.dvm.alignment import Alignment, Fusion, make_alignment, normed
from matte_core.models.layers.deformable import moved
from matte_core.models.layers.light import BRIGHTEST, compress
from matte_core.models.layers.resnet50 import Bottleneck

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as published
_RAW = 6  # channels of a frame: colours, and the trimap's three regions
_CARRIED = 8  # channels that `carried` brings for each other frame
_SHARE = 0.6  # of the mean over time in what the answer starts from, before training
_ALIKE = 10.0  # how fast trust in a carried pixel falls with the difference of colour
_MOST = 4.0  # by how many powers of e the network may change the weight of a carried pixel


@dataclass(frozen=True)
class Settings:
    """Size and form of the network; the defaults are the paper's.

    reach      frames on each side that are looked at, 1 to 6
    alignment  "deformable" as the paper's; "naive", "attention" and "flow" are its alternatives
    attention  whether fusion weighs channels and places
    stem, inner, counts  of the residual encoder from 1/2 to 1/32, each stage 4 times as wide as `inner`
    aligned    channels that features are reduced to before alignment; `groups` of them have offsets of their own
    decoder    widths at 1/16 to 1/2 and at full size; `finish` more convolutions follow at full size
    given      "trimap" alone as published, in display light; "alpha": also a first alpha of every frame, and the
               motion, from which alignment starts, in linear light. The answer is then a mean of these alphas along
               the motion, whose weights the network changes, and what it adds to that
    """

    reach: int = 2
    alignment: Alignment = "deformable"
    attention: bool = True
    stem: int = 64
    inner: tuple[int, int, int, int] = (64, 128, 256, 512)
    counts: tuple[int, int, int, int] = (3, 4, 6, 3)
    aligned: int = 64
    groups: int = 8
    decoder: tuple[int, int, int, int, int] = (512, 256, 128, 64, 64)
    finish: int = 0
    given: str = "trimap"

    @property
    def frames(self) -> int:
        """Frames in the window."""
        return 2 * self.reach + 1

    @property
    def moves(self) -> bool:
        """Whether it must be given the motion to every frame."""
        return self.given == "alpha" or self.alignment == "flow"


class DVM(nn.Module):
    """Alpha (N, 1, H, W) of the middle of windows of F = 2 * reach + 1 frames; sides are multiples of 32.

    pixels  (N, F, 3, H, W) display-referred 0..1; where it is given alphas, in the light that alpha is linear in
    trimap  (N, F, 1, H, W) of 0, 0.5 and 1
    first   (N, F, 1, H, W) an alpha of every frame by itself
    motion  (N, F, 3, H, W) from the middle frame to each: x, y in pixels, and how far it is to be trusted, 0..1

    The alpha lies in 0..1; where it starts from a first alpha it may go a little beyond while training.
    """

    multiple = 32

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        carried = _CARRIED * 2 * settings.reach if settings.given == "alpha" else 0
        channels = _RAW + (settings.given == "alpha")
        widths = [settings.stem, *(4 * inner for inner in settings.inner)]
        self.enter = normed(channels, settings.stem, 7, 2)
        self.stages = nn.ModuleList(
            _stage(before, inner, count, 1 if place == 0 else 2)
            for place, (before, inner, count) in enumerate(
                zip(widths[:4], settings.inner, settings.counts, strict=True)
            )
        )
        small = settings.aligned
        self.reduce = nn.ModuleList(nn.Conv2d(width, small, 1) for width in widths[:4])
        self.align = nn.ModuleList(make_alignment(settings.alignment, small, settings.groups) for _ in range(4))
        self.fuse = nn.ModuleList(Fusion(small, settings.frames, settings.attention) for _ in range(4))
        steps = [widths[4], *settings.decoder]
        flows = 2 * settings.frames if settings.alignment == "flow" else 0
        skips = [small + flows] * 4 + [channels + carried]
        self.rises = nn.ModuleList(
            _Rise(before, after, skip) for (before, after), skip in zip(pairwise(steps), skips, strict=True)
        )
        wide = settings.decoder[-1]
        self.finish = nn.Sequential(*(normed(wide, wide, 3) for _ in range(settings.finish)))
        self.out = nn.Conv2d(wide, settings.frames if settings.given == "alpha" else 1, 3, padding=1)
        if settings.given == "alpha":
            self.share = nn.Parameter(torch.tensor(_SHARE))
            nn.init.zeros_(self.out.weight)
            if self.out.bias is not None:
                nn.init.zeros_(self.out.bias)

    def forward(
        self, pixels: Tensor, trimap: Tensor, first: Tensor | None = None, motion: Tensor | None = None
    ) -> Tensor:
        raw = self.prepare(pixels, trimap, first)
        features = self.features(raw.flatten(0, 1))
        spread = [level.view(len(pixels), -1, *level.shape[1:]) for level in features]
        return self.matte(raw, spread, motion)

    def prepare(self, pixels: Tensor, trimap: Tensor, first: Tensor | None) -> Tensor:
        """(N, F, 6 or 7, H, W) of what the network is given for every frame: colours, regions, the first alpha."""
        regions = torch.cat([trimap < 0.25, (trimap - 0.5).abs() <= 0.25, trimap > 0.75], 2).to(pixels)
        if self.settings.given != "alpha":
            mean, deviation = (pixels.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
            return torch.cat([(pixels - mean) / deviation, regions], 2)
        assert first is not None
        return torch.cat([compress(pixels.clamp(0, BRIGHTEST)) - 0.5, regions, first.to(pixels)], 2)

    def features(self, raw: Tensor) -> list[Tensor]:
        """Features of frames (N, C, H, W), each by itself: four reduced ones from 1/2 to 1/16, and the deepest."""
        values = self.enter(raw.contiguous(memory_format=torch.channels_last))
        found = [values]
        values = functional.max_pool2d(values, 3, 2, 1)
        for stage in self.stages:
            values = stage(values)
            found.append(values)
        return [*(reduce(level) for reduce, level in zip(self.reduce, found[:4], strict=True)), found[4]]

    def matte(self, raw: Tensor, features: list[Tensor], motion: Tensor | None = None) -> Tensor:
        """The alpha of the middle frame, from what `prepare` and `features` gave for the window, (N, F, C, H, W)."""
        middle = self.settings.reach
        values = features[4][:, middle]
        for place, rise in enumerate(self.rises[:4]):
            values = rise(values, self._fused(3 - place, features[3 - place], motion))
        if self.settings.given != "alpha":
            return torch.sigmoid(self.out(self.finish(self.rises[4](values, raw[:, middle]))).float())
        assert motion is not None
        others = [carried(raw, motion, middle, number) for number in range(raw.shape[1]) if number != middle]
        last = self.finish(self.rises[4](values, torch.cat([raw[:, middle], *others], 1)))
        said = self.out(last).float()
        alpha: Tensor = raw[:, middle, -1:].float() + self.share * mean_change(others, said[:, 1:]) + said[:, :1]
        return alpha

    def _fused(self, level: int, features: Tensor, motion: Tensor | None) -> Tensor:
        """Features (N, F, C, h, w) of one scale, aligned to the middle frame's and fused (N, C', h, w)."""
        count, frames = features.shape[:2]
        middle = features[:, self.settings.reach, None].expand_as(features).flatten(0, 1)
        ways = None
        if motion is not None and self.settings.moves:
            scale = 2 ** (level + 1)
            ways = functional.avg_pool2d(motion[:, :, :2].flatten(0, 1).float(), scale) / scale
        aligned: Tensor = self.align[level](features.flatten(0, 1), middle, ways)
        fused: Tensor = self.fuse[level](aligned.reshape(count, -1, *aligned.shape[2:]))
        if self.settings.alignment == "flow":
            assert ways is not None
            fused = torch.cat([fused, ways.view(count, 2 * frames, *ways.shape[2:]).to(fused)], 1)
        return fused


def carried(raw: Tensor, motion: Tensor, middle: int, number: int) -> Tensor:
    """(N, 8, H, W) of frame `number`, fetched along the motion: by how much its first alpha is above the middle
    frame's; the same weighed by how well its colour fits; that weight; whether it is known background, and foreground;
    and by how much its colours are above."""
    fetched = moved(raw[:, number].float(), motion[:, number, :2].float())
    here = raw[:, middle].float()
    change = fetched - here
    weight = torch.exp(-_ALIKE * change[:, :3].abs().mean(1, keepdim=True)) * motion[:, number, 2:].float()
    above = change[:, -1:]
    return torch.cat([above, above * weight, weight, fetched[:, 3:4], fetched[:, 5:6], change[:, :3]], 1).to(raw)


def mean_change(others: Sequence[Tensor], favour: Tensor) -> Tensor:
    """(N, 1, H, W): by how much the mean of the middle frame's alpha and those carried to it, each by its weight, is
    above the middle frame's; `others` are as `carried` gives them, `favour` (N, len(others), H, W) changes weights."""
    weights = torch.cat([other[:, 2:3].float() for other in others], 1) * torch.exp(_MOST * torch.tanh(favour / _MOST))
    above = torch.cat([other[:, :1].float() for other in others], 1)
    return (above * weights).sum(1, keepdim=True) / (1 + weights.sum(1, keepdim=True))


class _Rise(nn.Module):
    """Twice the size by sub-pixel convolution, and a convolution of that and what stands there already."""

    def __init__(self, before: int, after: int, skip: int) -> None:
        super().__init__()
        self.enlarge = nn.Sequential(normed(before, 4 * after, 1), nn.PixelShuffle(2))
        self.join = normed(after + skip, after, 3)

    def forward(self, values: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.join(torch.cat([self.enlarge(values), skip.to(values)], 1))
        return joined


def _stage(before: int, inner: int, count: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(4 * inner, inner) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(before, inner, stride), *rest)
