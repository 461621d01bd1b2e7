"""What Net-M is given: the picture alone, as published, or with colour models and classic solves as well."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from matte_core.models.layers.colour_models import ColourModels, colour_models
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
    models = models or colour_models(pixels, trimap)
    distances = torch.cat([models.foreground_distance, models.background_distance], 1) * 0.3
    features = [
        compress(pixels) - 0.5,
        *regions,
        compress(models.foreground) - 0.5,
        compress(models.background) - 0.5,
        models.projected - 0.5,
        models.residual,
        models.discriminant - 0.5,
        distances,
    ]
    start = [distances[:, 1:] - distances[:, :1], models.discriminant - 0.5]
    if inputs == "solves":
        assert solved is not None
        features.append(solved - 0.5)
        start.append(torch.logit(solved[:, 1:].clamp(_SURE, 1 - _SURE)))
    return Prepared(torch.cat([*features, *told], 1), torch.cat(start, 1))
