"""What colours say about instances: which side of a rough mask each pixel's colour is from, and how far to trust it.

For networks trained here; the published ones know the masks alone. A picture's colours are summed over cells of 8
pixels once for all instances, so that ten instances cost little more than one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.colour_models import colour_rule, colour_sums, moments

COARSE_EVIDENCE, FINE_EVIDENCE = 7, 6  # maps for each instance: at 1/8, and where it is refined
CELL = 8  # pixels
_REACHES = (3, 7)  # cells, a square's side: how far from a mask's edge its inside is trusted
_GAMMA = 2.2
_PROJECTED, _HIDDEN = 16, 16
_SURE = 3.0  # the largest logit a mask alone is good for
_BOUNDS = (-0.2, 1.2)  # of an alpha that colours alone say


class Colours(NamedTuple):
    """`light` (T, 3, H, W) linear; `cells` (T, 9, H/8, W/8) the means of `colour_sums` over cells; `rules`
    (T, N, 8, H/16, W/16) alpha of each instance by the colours near its mask's edge, and by those farther away, each
    three factors of red, green and blue, and a constant."""

    light: Tensor
    cells: Tensor
    rules: Tensor


def colours(pictures: Tensor, masks: Tensor) -> Colours:
    """The colours of display-referred `pictures` (T, 3, H, W) 0..1 told by `masks` (T, N, H, W)."""
    with torch.no_grad(), torch.autocast(pictures.device.type, enabled=False):  # squares of colours need the digits
        return _colours(pictures.float(), masks.float())


def _colours(pictures: Tensor, masks: Tensor) -> Colours:
    frames, count = masks.shape[:2]
    light = pictures.clamp(0, 1).pow(_GAMMA)
    sums = colour_sums(functional.avg_pool2d(light, 2))
    small = functional.avg_pool2d(masks, 2)
    cells, share = (functional.avg_pool2d(each, CELL // 2) for each in (sums, small))
    own = _within(sums, small)
    rest = (cells[:, None] - own).flatten(0, 1)
    own, share = own.flatten(0, 1), share.flatten(0, 1)[:, None]
    rules = []
    for reach in _REACHES:
        inside, outside = _depth(share, reach), _depth(1 - share, reach)
        sides = ((own, share, inside), (rest, 1 - share, outside))
        front, back = (moments(_halved(part * deep), _halved(area * deep)) for part, area, deep in sides)
        rules.append(_rule(front, back, _halved(share)))
    stacked = torch.cat(rules, 1)
    return Colours(light, cells, stacked.view(frames, count, *stacked.shape[1:]))


def steadied(rules: Tensor, masks: Tensor, clips: int = 1) -> Tensor:
    """Rules (T, N, 8, h, w), every frame's the mean of those of the frame, the one before and the one after in its
    clip, of each instance only those frames that have a mask of it: a rough mask that trembles moves them less."""
    there = masks.flatten(2).any(2)[..., None, None, None].to(rules)
    known = torch.cat([rules * there, there.expand_as(rules[:, :, :1])], 2)
    sums = torch.cat([_three(clip) for clip in known.chunk(clips)])
    mean = sums[:, :, :-1] / sums[:, :, -1:].clamp_min(1)
    return torch.where(sums[:, :, -1:] > 0, mean, rules)


def _three(frames: Tensor) -> Tensor:
    """Sums of each frame (T, ...) with the one before and the one after; the first and last stand in for none."""
    return frames + torch.cat([frames[:1], frames[:-1]]) + torch.cat([frames[1:], frames[-1:]])


def coarse_evidence(told: Colours, masks: Tensor) -> Tensor:
    """(T, N, 7, H/8, W/8), about -1 to 1: the mask; the other masks; alpha by the colours near and farther away; the
    latter of whichever other instance claims the place most; how near the mask is, within about 2 and 4 cells."""
    share = functional.avg_pool2d(masks, CELL)
    rules = _enlarged(told.rules.flatten(0, 1), 2).view(*share.shape[:2], -1, *share.shape[2:])
    light = told.cells[:, None, :3]
    near, far = (_alpha(rules[:, :, k : k + 4], light, 2) for k in (0, 4))
    around = [_around(share, size) for size in (2, 4)]
    maps = [share, _others(share), near, far, _others(far), *around]
    return torch.stack(maps, 2) * 2 - 1


class FineEvidence:
    """What is told of B maps, T frames times N instances, at sites of any size: (P, 6) or (B, 6, H, W), about -1 to 1.

    The mask; the other masks; alpha by the colours near and farther away; the other instances' `coarse` alphas
    (T, N, h, w) at 1/8; and alpha by the colours of what those alphas are sure of.
    """

    def __init__(self, told: Colours, masks: Tensor, coarse: Tensor) -> None:
        self._light, self._masks = told.light, masks
        count = masks.shape[1]
        self._owner = torch.arange(masks.shape[0] * count, device=masks.device)
        self._frame = self._owner // count
        others = (coarse.sum(1, keepdim=True) - coarse).clamp(0, 1).flatten(0, 1)[:, None]
        sure = _sure_rule(told.cells, coarse)
        self._maps = torch.cat([_enlarged(told.rules.flatten(0, 1), 2), sure, others], 1)

    def at(self, sites: Any, factor: int) -> Tensor:
        """The evidence at `sites` of the size 1 / `factor`."""
        maps = sites.sample(self._maps, self._owner, CELL // factor)
        light = sites.take(pooled(self._light, factor), self._frame)
        masks = pooled(self._masks, factor)
        own = sites.take(masks.flatten(0, 1)[:, None], self._owner)
        every = sites.take(masks.sum(1, keepdim=True), self._frame)
        alphas = [_alpha(maps[:, k : k + 4], light, 1)[:, None] for k in (0, 4, 8)]
        near, far, sure = alphas
        made: Tensor = torch.cat([own, (every - own).clamp(0, 1), near, far, maps[:, 12:], sure], 1) * 2 - 1
        return made


def pooled(maps: Tensor, factor: int) -> Tensor:
    """Maps (T, C, H, W) averaged down by `factor`."""
    return maps if factor == 1 else functional.avg_pool2d(maps, factor)


class Weighing(nn.Module):
    """Coarse logits corrected for each instance by its evidence around each place; at first those of its mask."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(features, _PROJECTED, 1)
        self.shared = nn.Conv2d(_PROJECTED, _HIDDEN, 3, 1, 1)
        self.own = nn.Conv2d(COARSE_EVIDENCE + 1, _HIDDEN, 3, 1, 1, bias=False)
        wider = [nn.Conv2d(_HIDDEN, _HIDDEN, 3, 1, rate, rate) for rate in (2, 4)]
        self.layers = nn.Sequential(wider[0], nn.LeakyReLU(0.2), wider[1], nn.LeakyReLU(0.2))
        self.last = nn.Conv2d(_HIDDEN, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias if self.last.bias is not None else self.last.weight)

    def forward(self, features: Tensor, logits: Tensor, evidence: Tensor) -> Tensor:
        """(T, N, h, w) for `features` (T, C, h, w), the tokens' `logits` (T, N, h, w), `evidence` (T, N, E, h, w)."""
        count = logits.shape[1]
        shared = self.shared(functional.leaky_relu(self.project(features), 0.2))
        own = self.own(torch.cat([logits.tanh().flatten(0, 1)[:, None], evidence.flatten(0, 1)], 1))
        hidden = functional.leaky_relu(own + shared.repeat_interleave(count, 0), 0.2)
        changed: Tensor = self.last(self.layers(hidden))
        start = functional.avg_pool2d(evidence[:, :, 0], 3, 1, 1, count_include_pad=False)
        return _SURE * start + changed.view(logits.shape)


def _within(sums: Tensor, small: Tensor) -> Tensor:
    """(T, N, 9, h, w): the part of every cell's mean of `sums` (T, 9, H/2, W/2) that lies in each of the masks `small`
    (T, N, H/2, W/2): for each cell one product of matrices."""
    rows, masks = _by_cell(sums), _by_cell(small)
    part = (masks @ rows.transpose(1, 2)) / rows.shape[2]
    height, width = (side // (CELL // 2) for side in sums.shape[2:])
    return part.view(len(sums), height, width, *part.shape[1:]).permute(0, 3, 4, 1, 2).contiguous()


def _by_cell(maps: Tensor) -> Tensor:
    """(cells, C, 16) of maps (T, C, H/2, W/2)."""
    frames, channels, height, width = maps.shape
    side = CELL // 2
    tiles = maps.view(frames, channels, height // side, side, width // side, side)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, side * side)


def _sure_rule(cells: Tensor, coarse: Tensor) -> Tensor:
    """(B, 4, h, w): alpha by the colours of the cells that coarse alphas (T, N, h, w) are sure of, of both sides."""
    alpha = coarse.flatten(0, 1)[:, None]
    every = cells.repeat_interleave(coarse.shape[1], 0)
    sides = ((2 * alpha - 1).clamp_min(0).square(), (1 - 2 * alpha).clamp_min(0).square())
    front, back = (moments(_smooth(every * side), _smooth(side)) for side in sides)
    return _rule(front, back, alpha)


def _rule(front: tuple[Tensor, Tensor], back: tuple[Tensor, Tensor], share: Tensor) -> Tensor:
    """`colour_rule`, and where both sides have the same colours, so that those say nothing, `share` (N, 1, h, w)."""
    rule = colour_rule(front, back)
    told_apart = (rule[:, :3] * (front[0] - back[0])).sum(1, keepdim=True)  # 1 wherever they differ at all
    return torch.cat([rule[:, :3], rule[:, 3:] + (1 - told_apart).clamp(0, 1) * share], 1)


def _alpha(rule: Tensor, light: Tensor, axis: int) -> Tensor:
    """Alpha of a rule whose four numbers, and the light's three, lie along `axis`."""
    factors, constant = rule.narrow(axis, 0, 3), rule.select(axis, 3)
    return ((factors * light).sum(axis) + constant).clamp(*_BOUNDS)


def _depth(share: Tensor, reach: int) -> Tensor:
    """How deep (B, 1, h, w), 0..1, each cell lies in a region that covers `share` of it, its own deepest being 1."""
    depth = functional.avg_pool2d(share, reach, 1, reach // 2, count_include_pad=False)
    deepest = depth.amax((2, 3), keepdim=True).clamp_min(1e-3)
    return (2 * depth / deepest - 1).clamp_min(0).square()


def _around(share: Tensor, size: int) -> Tensor:
    """(T, N, h, w): the mean of `share` over three by three squares of `size` cells, smoothly; more than 1/4 is 1."""
    small = functional.avg_pool2d(share, size, ceil_mode=True)
    small = functional.avg_pool2d(small, 3, 1, 1, count_include_pad=False)
    wide = functional.interpolate(small, size=share.shape[2:], mode="bilinear", align_corners=False)
    return (4 * wide).clamp(max=1)


def _halved(maps: Tensor) -> Tensor:
    return functional.avg_pool2d(maps, 2)


def _smooth(maps: Tensor) -> Tensor:
    return functional.avg_pool2d(maps, 3, 1, 1)


def _enlarged(maps: Tensor, factor: int) -> Tensor:
    return functional.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)


def _others(maps: Tensor) -> Tensor:
    """(T, N, H, W): the largest value of the other instances' maps (T, N, H, W), 0 where there is no other."""
    if maps.shape[1] == 1:
        return torch.zeros_like(maps)
    best, second = maps.topk(2, 1).values.unbind(1)
    return torch.where(maps == best[:, None], second[:, None], best[:, None]).clamp_min(0)
