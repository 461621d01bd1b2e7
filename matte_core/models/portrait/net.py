"""Lightweight Portrait Matting: a picture alone in; a coarse alpha from large patches, a fine one in cells.

Source: Zhong and Zharkov, WACV 2024, arXiv 2311.03770. The trunk of convolutions, the chain of them before a
transformer's first stage, the planes about the border and the smaller copy for the coarse network are our own and off
in the paper's size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.bilinear import bilinear
from matte_core.models.portrait import regions
from matte_core.models.portrait.convolutions import Convolutions
from matte_core.models.portrait.local_colours import between, local_colours
from matte_core.models.portrait.refine import Refine, Refinement
from matte_core.models.portrait.salience import PLANES, border_planes
from matte_core.models.portrait.swin import Swin

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures
_REGIONS = 3


@dataclass(frozen=True)
class Settings:
    """Sizes of the networks; as they stand here, those of the paper.

    trunk        a windowed transformer as published, or convolutions, which learn sooner
    patch, dims, depths, heads  of the trunk; `stem` channels of a chain of convolutions before it, 0 = none
    border       whether the coarse network is also told how little each place is like the picture's border
    decoder      channels after each of its three steps
    look         longest side, in pixels, of the copy that the coarse network sees; 0 = the picture itself
    mirrored     whether it sees the mirrored picture as well; both answers' mean is steadier and costs a second look
    margin       how near to 0 and 1 the coarse alpha is taken for them, outside of refined cells; 0 = as published
    selection    which cells are refined: all that are unknown, or a fixed budget of the likeliest
    composition  how the coarse alpha is enlarged outside of them: bilinear, or nearest as published
    """

    trunk: Literal["transformer", "convolutions"] = "transformer"
    patch: int = 16
    dims: tuple[int, ...] = (96, 192, 384, 768)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    stem: int = 0
    border: bool = False
    decoder: tuple[int, ...] = (256, 128, 64)
    refinement: Refinement = field(default_factory=Refinement)
    look: int = 0
    mirrored: bool = False
    margin: float = 0.0
    selection: Literal["adaptive", "fixed"] = "adaptive"
    composition: Literal["bilinear", "nearest"] = "bilinear"


PAPER = Settings()


class Coarse(NamedTuple):
    """Logits of alpha (N, 1, h, w) and of background, unknown, foreground (N, 3, h, w)."""

    alpha: Tensor
    trimap: Tensor


class Answer(NamedTuple):
    """`alpha` (N, 1, H, W) in 0..1, and before refinement as `coarse`; `cells` (R, 3) that were refined; the coarse
    network's answer at each of its scales, the finest last."""

    alpha: Tensor
    coarse: Tensor
    cells: Tensor
    scales: list[Coarse]


class Portrait(nn.Module):
    """Alpha of a picture alone; sides of `pixels` (N, 3, H, W), display-referred 0..1, are multiples of `multiple`."""

    def __init__(self, settings: Settings = PAPER) -> None:
        super().__init__()
        self.settings = settings
        self.coarse = LowResolution(settings)
        self.refine = Refine(settings.refinement)

    @property
    def multiple(self) -> int:
        return regions.CELL if self.settings.look else self.coarse.multiple

    def forward(self, pixels: Tensor, cells: Tensor | None = None) -> Answer:
        """The answer, with `cells` (R, 3) refined in place of those that the network selects."""
        scales = self.seen(pixels)
        if cells is None:
            cells = self.select(torch.softmax(scales[-1].trimap.float(), 1), pixels)
        return self.compose(pixels, scales, cells)

    def seen(self, pixels: Tensor) -> list[Coarse]:
        """The coarse network's answers as the settings say."""
        copy = self._copy(pixels, self.settings.look)
        scales = self._asked(copy)
        if not self.settings.mirrored:
            return scales
        pairs = zip(scales, self._asked(copy.flip(3)), strict=True)
        return [Coarse(*((one + other.flip(3)) / 2 for one, other in zip(*pair, strict=True))) for pair in pairs]

    def look(self, pixels: Tensor, longest: int) -> list[Coarse]:
        """The coarse network's answers about the pictures, or about copies whose longest side is `longest`."""
        return self._asked(self._copy(pixels, longest))

    def _copy(self, pixels: Tensor, longest: int) -> Tensor:
        size = within(longest, pixels.shape[-2], pixels.shape[-1], self.coarse.stride)
        if size == (pixels.shape[-2], pixels.shape[-1]):
            return pixels
        return functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)

    def _asked(self, pixels: Tensor) -> list[Coarse]:
        """Answers about pictures of any size, which are padded, cut to what shows the pictures."""
        height, width = pixels.shape[-2:]
        below, right = -height % self.coarse.multiple, -width % self.coarse.multiple
        found, strides = [], (4, 2, 1)
        for scale, step in zip(self.coarse(_padded(pixels, below, right)), strides, strict=True):
            stride = self.coarse.stride * step
            rows, columns = -(-height // stride), -(-width // stride)
            found.append(Coarse(*(values[..., :rows, :columns] for values in scale)))
        return found

    def select(self, shares: Tensor, pixels: Tensor) -> Tensor:
        """Cells (R, 3) of the pictures to be refined, by the probabilities (N, 3, h, w) of their regions."""
        size = (pixels.shape[-2] // regions.CELL, pixels.shape[-1] // regions.CELL)
        placed = _enlarged(shares, size)
        return (regions.fixed if self.settings.selection == "fixed" else regions.adaptive)(placed)

    def compose(self, pixels: Tensor, scales: list[Coarse], cells: Tensor, told: Tensor | None = None) -> Answer:
        """The answer whose alpha is refined in `cells` (R, 3), and the enlarged coarse one elsewhere.

        `told` (N, 1, h, w) is the coarse alpha that the refinement is given, where it is not the network's own.
        """
        size = (pixels.shape[-2], pixels.shape[-1])
        coarse = torch.sigmoid(scales[-1].alpha.float())
        sure = ((coarse - self.settings.margin) / (1 - 2 * self.settings.margin)).clamp(0, 1)
        enlarged = _enlarged(sure, size)
        nearest = self.settings.composition == "nearest"
        alpha = functional.interpolate(sure, size=size, mode="nearest") if nearest else enlarged
        if len(cells):
            known = self._known(pixels, coarse if told is None else told, cells)
            alpha = regions.paste(alpha, cells, self.refine(known, cells))
        return Answer(alpha, enlarged, cells, scales)

    def _known(self, pixels: Tensor, coarse: Tensor, cells: Tensor) -> Tensor:
        """(R, 4, 8, 8) pixels and coarse alpha of the cells, or (R, 6, 8, 8) with what the colours around say."""
        size = (pixels.shape[-2], pixels.shape[-1])
        own = regions.crop(pixels, cells)
        told = [own, regions.enlarged(coarse, size, cells).to(own.dtype)]
        if self.settings.refinement.colours:
            small = functional.interpolate(pixels.float(), size=coarse.shape[-2:], mode="area")
            told.append(between(own, regions.centres(local_colours(small, coarse), size, cells)))
        return torch.cat(told, 1)


class LowResolution(nn.Module):
    """The coarse network: alpha and trimap at the patch's stride times 2, 1 and 1/2, R32, R16 and R8 in the paper.

    The first two are there to be trained by. Sides of pixels (N, 3, H, W), 0..1, are multiples of `multiple`.
    """

    def __init__(self, settings: Settings = PAPER) -> None:
        super().__init__()
        dims, after = settings.dims, settings.decoder
        self.multiple, self.stride = 8 * settings.patch, settings.patch // 2
        self.border = settings.border
        self.encode = _trunk(settings)
        before = (dims[3] + dims[2], after[0] + dims[1], after[1] + dims[0])
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, a, 3, 1, 1), nn.LeakyReLU(0.1)) for b, a in zip(before, after, strict=True)
        )
        self.alphas = nn.ModuleList(nn.Conv2d(width, 4, 1) for width in after)
        self.trimaps = nn.ModuleList(nn.Conv2d(width, 4 * _REGIONS, 1) for width in after)

    def forward(self, pixels: Tensor) -> list[Coarse]:
        mean, deviation = (pixels.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        told = (pixels - mean) / deviation
        if self.border:
            told = torch.cat([told, _enlarged(border_planes(pixels), (pixels.shape[-2], pixels.shape[-1]))], 1)
        *skips, values = self.encode(told)
        found = []
        for step, alpha, trimap in zip(self.steps, self.alphas, self.trimaps, strict=True):
            risen = functional.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
            values = step(torch.cat([risen, skips.pop()], 1))
            found.append(Coarse(*(functional.pixel_shuffle(head(values), 2) for head in (alpha, trimap))))
        return found


def _trunk(settings: Settings) -> nn.Module:
    told = 3 + PLANES * settings.border
    sizes = settings.patch, settings.stem, settings.dims, settings.depths
    if settings.trunk == "convolutions":
        return Convolutions(*sizes, told)
    return Swin(*sizes, settings.heads, told)


def within(longest: int, height: int, width: int, step: int) -> tuple[int, int]:
    """Height and width of a copy whose longest side is `longest`, both multiples of `step`; 0 = as it is."""
    side = max(height, width)
    if not 0 < longest < side:
        return height, width
    rows, columns = (max(1, round(length * longest / side / step)) * step for length in (height, width))
    return rows, columns


def _enlarged(values: Tensor, size: tuple[int, int]) -> Tensor:
    if (values.shape[-2], values.shape[-1]) == size:
        return values
    return bilinear(values, size)


def _padded(pixels: Tensor, below: int, right: int) -> Tensor:
    return functional.pad(pixels, (0, right, 0, below), mode="replicate") if below or right else pixels
