"""A loaded Net-M on a picture of any size, in tiles where it is large."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.layers.tiles import Tile, around, cut, join
from matte_core.models.net_m.inputs import Prepared
from matte_core.models.net_m.net import NetM

TILE, OVERLAP = 1536, 384  # pixels; both multiples of the network's 32
_STEP, _BAND = 16, 128  # boxes around the unknown: multiples of these pixels, in bands of so many rows


@torch.no_grad()
def apply(net: NetM, pixels: Tensor, trimap: Tensor, solved: Tensor | None, light: float = 1.0) -> Tensor:
    """The network's alpha (H, W) of `pixels` (3, H, W), `trimap` (H, W) and `solved` (2, H, W), of any size.

    `light` is -1 where the pixels are display-referred and 1 where they are scene-linear.

    Large pictures go through in tiles that overlap, cross-faded; tiles without unknown are skipped, and the layers
    near the picture's own size see boxes around the unknown alone. What the network is given is made of the whole
    picture, so tiles differ from it by their context alone: by less than 2/255 with an overlap of 384 pixels, by up to
    15/255 with one of 160.
    """
    height, width = trimap.shape
    picture, regions = _padded(torch.nan_to_num(pixels.float())), _padded(trimap[None].float())
    solves = None if solved is None else _padded(solved.float())
    prepared = net.prepare(picture, regions, solves, light=regions.new_full((1, 1, 1, 1), light))
    tall, wide = regions.shape[-2:]
    tiles = cut(tall, wide, TILE, OVERLAP)
    alpha = join(tall, wide, OVERLAP, _answered(net, tiles, prepared, regions, solves))
    return alpha[0, 0, :height, :width]


def _answered(
    net: NetM, tiles: list[Tile], prepared: Prepared, regions: Tensor, solves: Tensor | None
) -> Iterator[tuple[Tile, Tensor]]:
    for tile in tiles:
        part = tile.crop(regions)
        unknown = (part > 0.25) & (part < 0.75)
        if not bool(unknown.any()):
            yield tile, part
            continue
        given = Prepared(tile.crop(prepared.features), tile.crop(prepared.start))
        solved = None if solves is None else tile.crop(solves)
        if net.refine is None:
            yield tile, _in_boxes(net, unknown[0, 0], part, given, solved)
        else:  # it looks at the whole alpha
            yield tile, net.blend(*given, solved).alpha


def _in_boxes(net: NetM, unknown: Tensor, regions: Tensor, given: Prepared, solves: Tensor | None) -> Tensor:
    """The alpha (1, 1, H, W) of a tile, the last layers in boxes around the `unknown` (H, W) only; else its `regions`.

    The same as the whole to rounding: these layers look a few pixels far.
    """
    features = given.features.contiguous(memory_format=torch.channels_last)
    quarter, half = net.coarse.deep(features)
    reach, (height, width), alpha = net.coarse.reach, unknown.shape, regions.clone()
    for box in around(unknown, _STEP, _BAND, 2 * reach):
        larger = box.grown(reach, height, width)
        heads = net.coarse.fine(larger.reduced(4).crop(quarter), larger.reduced(2).crop(half), larger.crop(features))
        solved = None if solves is None else box.crop(solves)
        box.crop(alpha).copy_(net.answer(box.within(larger).crop(heads), box.crop(given.start), solved).alpha)
    return alpha


def _padded(picture: Tensor) -> Tensor:
    """(1, C, H, W) of `picture` (C, H, W), right and bottom repeated up to the network's multiple."""
    height, width = picture.shape[-2:]
    padding = (0, -width % NetM.multiple, 0, -height % NetM.multiple)
    return functional.pad(picture[None], padding, mode="replicate")
