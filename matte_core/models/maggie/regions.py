"""Where to look closer: uncertain pixels, grown by an ellipse, within reach of what was found."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_LOW, _HIGH = 1 / 255, 254 / 255
_SURE, _SEEN, _MARGIN = 0.95, 0.1, 30
_SMOOTH, _REACH = 3.0, 3  # sigma and radius, in pixels, of the smoothing before the box is measured


def uncertain(alphas: Tensor) -> Tensor:
    """Whether each alpha is neither 0 nor 1: beyond a step of 8-bit files from both."""
    return (alphas > _LOW) & (alphas < _HIGH)


def grown(region: Tensor, size: int) -> Tensor:
    """The region (..., H, W) of True grown by the ellipse of `size` pixels that OpenCV draws."""
    if size <= 1:
        return region
    height, width = region.shape[-2:]
    flat = region.to(torch.float32).reshape(-1, 1, height, width)
    centre, result = size // 2, torch.zeros_like(flat)
    widened: dict[tuple[int, int], Tensor] = {}
    padded = functional.pad(flat, (size, size, 0, 0))
    for down, (first, last) in enumerate(_rows(size)):
        if (first, last) not in widened:
            shifted = padded[..., size + first - centre : size + width + last - centre]
            widened[first, last] = functional.max_pool2d(shifted, (1, last - first + 1), 1)
        step = down - centre
        top, bottom = max(0, -step), min(height, height - step)
        if top < bottom:
            target = result[..., top:bottom, :]
            torch.maximum(target, widened[first, last][..., top + step : bottom + step, :], out=target)
    return result.reshape(region.shape) > 0


def _rows(size: int) -> list[tuple[int, int]]:
    """First and last column of each row of the ellipse."""
    centre = size // 2
    rows = []
    for row in range(size):
        reach = round(centre * (max(centre**2 - (row - centre) ** 2, 0) / centre**2) ** 0.5)
        rows.append((max(centre - reach, 0), min(centre + reach, size - 1)))
    return rows


def near_what_was_found(alphas: Tensor) -> tuple[Tensor, Tensor]:
    """Coarse alphas (T, N, H, W) with what is almost 1 made 1, and the box (T, N, H, W) around each, with a margin.

    The smoothing before the box is measured is the published one: each of its rows is a squared Gaussian, and its
    answer is enlarged by what was lost at the border.
    """
    alphas = torch.where(alphas >= _SURE, torch.ones_like(alphas), alphas)
    seen = _smoothed(alphas) > _SEEN
    height, width = alphas.shape[-2:]
    rows = torch.arange(height, device=alphas.device)
    columns = torch.arange(width, device=alphas.device)
    return alphas, _span(seen.any(-1), rows)[..., :, None] & _span(seen.any(-2), columns)[..., None, :]


def _span(seen: Tensor, places: Tensor) -> Tensor:
    """Whether each place lies between the first and last that was seen, or within the margin of them."""
    length = len(places)
    first = torch.where(seen, places, length).amin(-1, keepdim=True)
    last = torch.where(seen, places, -1).amax(-1, keepdim=True)
    return (places >= first - _MARGIN) & (places <= last + _MARGIN) & (last >= 0)


def _smoothed(alphas: Tensor) -> Tensor:
    offsets = torch.arange(-_REACH, _REACH + 1, device=alphas.device, dtype=alphas.dtype)
    bell = torch.exp(-(offsets**2) / (2 * _SMOOTH**2))
    row = (bell / bell.sum()) ** 2
    height, width = alphas.shape[-2:]
    flat = alphas.reshape(-1, 1, height, width)
    smooth = functional.conv2d(flat, row.expand(1, 1, len(row), -1), padding=_REACH)
    inner = smooth[..., _REACH:-_REACH, _REACH:-_REACH]
    enlarged = functional.interpolate(inner, size=(height, width), mode="bilinear", align_corners=False)
    return enlarged.reshape(alphas.shape)
