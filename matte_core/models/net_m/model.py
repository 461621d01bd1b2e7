"""The small Net-M as models: its own answer ("sharp"), and the matting equations drawn to it ("safe")."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.layers.solver import prepared
from matte_core.models.layers.spectral import fold
from matte_core.models.layers.unknown import each_layer
from matte_core.models.net_m.apply import apply
from matte_core.models.net_m.net import NetM, Settings
from matte_core.models.weights import load_into, required

SMALL = Settings(
    widths=(24, 40, 64, 96, 128),
    full=16,
    depths=(1, 1, 1, 1),
    rises=(1, 1, 1, 1),
    spectral=False,
    attention=False,
    refinement=0,
    inputs="solves",
    light=True,
    reach=0.03,
)
FAST_SIZE = replace(SMALL, widths=(12, 24, 40, 64, 96), full=8, inputs="colours", light=False, reach=0.02)
_SAFE_WEIGHT = 1e-2  # how strongly the equations are drawn to the network's alpha


@dataclass(frozen=True)
class NetMModel:
    """Net-M of some size; `solved_again` puts its alpha into the matting equations as a prior."""

    card: Card
    settings: Settings
    solved_again: bool = False

    def load(self, weights: Path | None, device: torch.device) -> NetM:
        """The network on `device`, in float32. Raises ModelError where the weights do not fit."""
        net = load_into(NetM(self.settings), required(weights, self.card), device)
        fold(net)
        return net

    def step(self, net: NetM, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"alpha": (T, K, H, W)} in 0..1 for `frames` (T, 3, H, W), every layer of guides["trimap"] by itself.

        Without guides["light"] the pixels are taken for scene-linear ones.
        """
        device = next(net.parameters()).device
        lights = guides["light"][:, 0, 0, 0].tolist() if "light" in guides else [1.0] * len(frames)

        def estimate(pixels: Tensor, trimap: Tensor, frame: int) -> Tensor:
            if self.settings.inputs != "solves":
                return apply(net, pixels, trimap, None, lights[frame])
            system, solved = prepared(pixels, trimap)
            alpha = apply(net, pixels, trimap, solved, lights[frame])
            return system.solve([alpha], [_SAFE_WEIGHT])[0] if self.solved_again else alpha

        return {"alpha": each_layer(frames.to(device), guides["trimap"].to(device), estimate)}, state


_CROPS = "the 1601 crops in scene and display light of 2112 procedural ones of 256 pixels, bank seed 1"
_WEIGHTS = Weights.ours(
    "net_m-small",
    "5d7684bd734396d3b6c1967122d70d32676c28dae80141130d0de67495ef97bd",
    3.1,
    "recipe train/recipes/net_m_small.toml (seed 14, 4000 iterations, from scratch), then net_m_small_2.toml (seed "
    "21, 2800 iterations), from the mean of both net_m_small_3.toml (seed 31, 2000 iterations), then "
    "net_m_small_4.toml (seed 41, 300 iterations), the mean of the last two stages' weights; data: "
    f"{_CROPS}, 2272 of 192 pixels (bank seed 2), 1280 and 160 of 224 pixels (bank seeds 3 and 4), of which "
    "the last two stages saw those in every light",
)
SHARP = NetMModel(
    Card(
        name="net_m-small",
        title="Net-M small (sharp)",
        version=2,  # the same answers, rounded otherwise
        encoding="linear",
        precisions=("fp32", "bf16", "fp16"),
        memory=200,
        memory_unknown=2400,
        fixed=("coarse",),
        light=True,
        weights=_WEIGHTS,
        note="Trained here on procedural crops. Blends its own alpha with two classic solves.",
    ),
    SMALL,
)
SAFE = NetMModel(
    replace(
        SHARP.card,
        name="net_m-small-safe",
        title="Net-M small (safe)",
        note="Net-M small, put into the matting equations as a prior: fewer large errors.",
    ),
    SMALL,
    solved_again=True,
)
FAST = NetMModel(
    replace(
        SHARP.card,
        name="net_m-small-fast",
        title="Net-M small (fast)",
        version=3,  # the same weights reach 0 and 1, rounded otherwise
        light=False,
        memory=50,
        memory_unknown=500,
        weights=Weights.ours(
            "net_m-small-fast",
            "082c2709f01ac2e49ecb42779869649225600e0bd9d17f2bc65d349ade2b6c3c",
            1.5,
            f"recipe train/recipes/net_m_small_fast.toml (seed 14, 5000 iterations, from scratch); data: {_CROPS}",
        ),
        note="The quickest network: told by the known colours, solves no equations.",
    ),
    FAST_SIZE,
)
