"""Joint inference: a network finds the trimap, another model the alpha, and both answers become one matte.

Source: arXiv 2103.17020, section on joint inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from matte_core.errors import UsageError
from matte_core.frame import Pixels
from matte_core.guide import Guide, Matte
from matte_core.matting import REGIONS, matte_of, regions_of, view_of
from matte_core.models.layers.fusion import hard_fusion, soft_fusion
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

FUSIONS = {"hard": hard_fusion, "soft": soft_fusion}
FUSION = "hard"  # the better one on held-out pictures, by the sum of absolute differences


def trimap_of(plate: Shot, mask: Shot, name: str, precision: str, device: torch.device) -> Shot:
    """The trimap (K, H, W) of 0, 0.5 and 1 that the model called `name` finds of `plate` and a rough `mask`.

    Raises ModelError, UsageError or ColourError where it cannot be made, before a frame is computed.
    """
    return _trimap(regions_of(plate, mask, name, precision, device, view_of(plate)))


def joint_matte_of(
    plate: Shot, mask: Shot, trimap_model: str, name: str, fusion: str, precision: str, device: torch.device
) -> Matte:
    """The matte (K, H, W) of `plate` from a rough `mask`: a trimap by `trimap_model`, alpha by the model `name`.

    fusion  "soft": the trimap's foreground probability plus its unknown's times alpha; "hard": 0 and 1 where the
            trimap says so, alpha in its unknown

    Raises ModelError, UsageError or ColourError where it cannot be made, before a frame is computed.
    """
    if fusion not in FUSIONS:
        raise UsageError(f"'{fusion}' is no fusion. Choose one of: {', '.join(FUSIONS)}.")
    view = view_of(plate)
    regions = regions_of(plate, mask, trimap_model, precision, device, view)
    alpha = matte_of(plate, Guide(trimap=_trimap(regions)), name, precision, device, view)
    return make("fuse", [alpha, regions], {"fusion": fusion})


def _trimap(regions: Shot) -> Shot:
    names = [channel.rpartition(".")[0] for channel in regions.channels[:: len(REGIONS)]]
    return make("trimap of regions", [regions], channels=names)


def _apart(pixels: Pixels) -> Pixels:
    """Probabilities (K, 3, H, W) of a frame's (3 * K, H, W)."""
    return pixels.reshape(-1, len(REGIONS), *pixels.shape[1:])


def _harden(job: Job) -> Result:
    made = []
    for number in job.numbers:
        frame = job.one(0, number)
        likeliest = _apart(frame.pixels).argmax(1)
        made.append(replace(frame, pixels=(likeliest / 2).astype(np.float32)))
    return Result(made)


def _fuse(job: Job) -> Result:
    fuse = FUSIONS[job.parameter("fusion")]
    made = []
    for number in job.numbers:
        alpha, regions = job.one(0, number), job.one(1, number)
        layers: Sequence[torch.Tensor] = (
            torch.from_numpy(np.array(_apart(regions.pixels))),
            torch.from_numpy(np.array(alpha.pixels))[:, None],
        )
        made.append(replace(alpha, pixels=fuse(*layers)[:, 0].clamp(0, 1).numpy()))
    return Result(made)


register(Verb("trimap of regions", _harden))
register(Verb("fuse", _fuse))
