"""What Net-M is given: the picture alone, as published, or with colour models and classic solves as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from matte_core.models.layers.colour_models import ColourModels, known_colours
from matte_core.models.layers.light import BRIGHTEST, compress

Inputs = Literal["picture", "colours", "solves"]
CHANNELS: dict[Inputs, int] = {"picture": 6, "colours": 17, "solves": 19}
STARTS: dict[Inputs, int] = {"picture": 0, "colours": 2, "solves": 3}
PICTURE, REGIONS, UNKNOWN = slice(0, 3), slice(3, 6), slice(4, 5)  # where every form has these channels
_SURE = 0.01  # a solve's 0 and 1 are not believed further than this
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as published


class Prepared(NamedTuple):
    """`features` (N, C, H, W), and the logits `start` (N, S, H, W) that the network's own alpha begins with."""

    features: Tensor
    start: Tensor


def prepare(
    inputs: Inputs,
    pixels: Tensor,
    trimap: Tensor,
    solved: Tensor | None,
    models: ColourModels | None = None,
    light: Tensor | None = None,
) -> Prepared:
    """The network's inputs in one of its three forms.

    picture   pixels in display light, normalised, and the trimap one-hot (background, unknown, foreground)
    colours   compressed pixels, the trimap, and what the known colours say; its alpha begins with their two logits
    solves    the same with the two classic solves, and a third logit of the colour prior's

    `models` are the colour models of the whole picture where `pixels` are a part of one. `light` (N, 1, 1, 1) of -1
    (display-referred) and 1 (scene-linear) comes last, for networks that are told.
    """
    told = [] if light is None else [light.expand_as(trimap).to(pixels)]
    regions = [(trimap < 0.25).to(pixels), ((trimap - 0.5).abs() <= 0.25).to(pixels), (trimap > 0.75).to(pixels)]
    if inputs == "picture":
        mean, deviation = (pixels.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        return Prepared(torch.cat([(pixels - mean) / deviation, *regions, *told], 1), pixels[:, :0])
    pixels = pixels.clamp(0, BRIGHTEST)
    solves = [solved] if inputs == "solves" and solved is not None else []
    channels = CHANNELS[inputs] + len(told)
    features = pixels.new_empty(len(pixels), *pixels.shape[-2:], channels).permute(0, 3, 1, 2)  # channels last
    start = pixels.new_empty(len(pixels), STARTS[inputs], *pixels.shape[-2:])
    for rows, part in _of_parts(pixels, trimap, models):
        here = [[values[..., rows, :] for values in maps] for maps in (regions, solves, told)]
        distances = torch.cat([part.foreground_distance, part.background_distance], 1) * 0.3
        features[..., rows, :] = torch.cat(
            [
                compress(pixels[..., rows, :]) - 0.5,
                *here[0],
                compress(part.foreground) - 0.5,
                compress(part.background) - 0.5,
                part.projected - 0.5,
                part.residual,
                part.discriminant - 0.5,
                distances,
                *(values - 0.5 for values in here[1]),
                *here[2],
            ],
            1,
        )
        logits = [torch.logit(values[:, 1:].clamp(_SURE, 1 - _SURE)) for values in here[1]]
        start[..., rows, :] = torch.cat([distances[:, 1:] - distances[:, :1], part.discriminant - 0.5, *logits], 1)
    return Prepared(features, start)


def _of_parts(pixels: Tensor, trimap: Tensor, models: ColourModels | None) -> Iterator[tuple[slice, ColourModels]]:
    """The colour models a few rows at a time, or all at once where they are there."""
    if models is not None:
        yield slice(0, pixels.shape[-2]), models
        return
    known = known_colours(pixels, trimap)
    for rows in known.strips():
        yield rows, known.models(rows)
