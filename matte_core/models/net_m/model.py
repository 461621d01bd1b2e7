"""The small Net-M as models: its own answer ("sharp"), and the matting equations drawn to it ("safe")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.errors import ModelError
from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.layers.solver import prepared
from matte_core.models.layers.unknown import each_layer
from matte_core.models.net_m.net import NetM, Settings, prepare
from matte_core.models.weights import load_into

SMALL = Settings()
_SAFE_WEIGHT = 1e-2  # how strongly the equations are drawn to the network's alpha
_TILE, _OVERLAP = 512, 96  # pixels; both multiples of the network's 32


@dataclass(frozen=True)
class SmallNetM:
    """The small Net-M; `solved_again` puts its alpha into the matting equations as a prior."""

    card: Card
    solved_again: bool

    def load(self, weights: Path | None, device: torch.device) -> NetM:
        """The network on `device`, in float32. Raises ModelError where the weights do not fit."""
        if weights is None:
            raise ModelError(f"{self.card.name} needs its weights. Install Matte again.")
        net = NetM(SMALL)
        load_into(net, weights, device)
        return net

    def step(self, net: NetM, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"alpha": (T, K, H, W)} in 0..1 for `frames` (T, 3, H, W), every layer of guides["trimap"] by itself."""
        device = next(net.parameters()).device

        def estimate(pixels: Tensor, trimap: Tensor, frame: int) -> Tensor:
            system, solved = prepared(pixels, trimap)
            alpha = apply(net, pixels, trimap, solved)
            return system.solve([alpha], [_SAFE_WEIGHT])[0] if self.solved_again else alpha

        return {"alpha": each_layer(frames.to(device), guides["trimap"].to(device), estimate)}, state


@torch.no_grad()
def apply(net: NetM, pixels: Tensor, trimap: Tensor, solved: Tensor) -> Tensor:
    """The network's alpha (H, W) of `pixels` (3, H, W), `trimap` (H, W) and `solved` (2, H, W), of any size.

    Large pictures go through in tiles that overlap by 96 pixels, cross-faded; tiles without unknown are skipped.
    """
    height, width = trimap.shape
    parts = [pixels.float(), trimap[None].float(), solved.float()]
    padding = (0, -width % NetM.multiple, 0, -height % NetM.multiple)
    picture, regions, solves = (functional.pad(part[None], padding, mode="replicate") for part in parts)
    untold = picture.new_zeros(1, 1, 1, 1)  # being told the light did not help on the validation crops
    features, start = prepare(torch.nan_to_num(picture), regions, solves, untold)
    total, weight = torch.zeros_like(regions), torch.zeros_like(regions)
    for rows in _spans(regions.shape[2]):
        for columns in _spans(regions.shape[3]):
            place = (..., rows, columns)
            if not bool(((regions[place] > 0.25) & (regions[place] < 0.75)).any()):
                continue
            alpha = net.blend(features[place], start[place], solves[place]).alpha
            fade = _fade(rows, regions.shape[2])[:, None] * _fade(columns, regions.shape[3])
            total[place] += alpha * fade.to(alpha)
            weight[place] += fade.to(alpha)
    return (total / weight.clamp_min(1e-6))[0, 0, :height, :width]


def _spans(length: int) -> list[slice]:
    """Overlapping stretches of at most _TILE that cover `length`."""
    starts = list(range(0, max(length - _OVERLAP, 1), _TILE - _OVERLAP))
    return [slice(start, min(start + _TILE, length)) for start in starts]


def _fade(span: slice, length: int) -> Tensor:
    """(n,) weights of a stretch: rising and falling over the overlap where it has a neighbour."""
    count = span.stop - span.start
    ramp = (torch.arange(count) + 0.5) / _OVERLAP
    before = ramp if span.start > 0 else torch.ones(count)
    after = ramp.flip(0) if span.stop < length else torch.ones(count)
    return torch.minimum(before, after).clamp(1e-3, 1)


_WEIGHTS = Weights(
    file="net_m-small.safetensors",
    sha256="18e2a4045294e5886965010b9120e5f72c6b4b284d34ac1e3929cfadd77d2f15",
    licence="Apache-2.0",
    commercial=True,
    megabytes=2.3,
    origin=(
        "recipe train/recipes/net_m_small.toml (seed 4, 750 iterations) after net_m_small_first (seed 1, stopped at "
        "575 iterations), _second (seed 2, stopped at 375) and _third (seed 3, stopped at 800); data: 2112 procedural "
        "crops of bank seed 1, textures from 18 CC0 panoramas (Poly Haven) and 8 OpenEXR photographs (ILM); "
        "machine: 2-core CPU"
    ),
)
SHARP = SmallNetM(
    Card(
        name="net_m-small",
        title="Net-M small (sharp)",
        encoding="linear",
        memory=2000,
        weights=_WEIGHTS,
        note="Trained here on procedural crops. Blends its own alpha with two classic solves.",
    ),
    solved_again=False,
)
SAFE = SmallNetM(
    Card(
        name="net_m-small-safe",
        title="Net-M small (safe)",
        encoding="linear",
        memory=2000,
        weights=_WEIGHTS,
        note="Net-M small, put into the matting equations as a prior: fewer large errors.",
    ),
    solved_again=True,
)
