"""The small HSTSG-style network as a model: a mask on a keyframe, alpha on every frame after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from matte_core.errors import ModelError
from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.hstsg.net import Hstsg
from matte_core.models.hstsg.settings import SMALL, Settings
from matte_core.models.hstsg.stream import Passed, begin, go_on
from matte_core.models.weights import load_into, required

NOTHING = 0.05  # a mask that is nowhere above it says that the subject is not there

State = tuple[Passed | None, ...]  # one for each layer, None for a subject that is not there


@dataclass(frozen=True)
class HstsgModel:
    """A network of `settings` with the weights of its `card`; every layer of a mask is followed by itself."""

    card: Card
    settings: Settings

    def load(self, weights: Path | None, device: torch.device) -> Hstsg:
        """The network on `device`, in float32. Raises ModelError where the weights do not fit."""
        return load_into(Hstsg(self.settings), required(weights, self.card), device)

    def step(self, net: Hstsg, frames: Tensor, guides: Guides, state: State | None) -> tuple[Layers, State]:
        """{"alpha": (1, K, H, W)} of the frame (1, 3, H, W), and what to pass on: bounded, whatever the shot's length.

        guides["mask"] (1, K, H, W) is given on keyframes, where all begins anew. A layer whose mask is empty is 0
        until the next keyframe.
        """
        device = next(net.parameters()).device
        pixels = torch.nan_to_num(frames.float()).to(device)
        if "mask" in guides:
            masks = guides["mask"].to(device).clamp(0, 1).unbind(1)
            answers = [_begun(net, pixels, mask[:, None]) for mask in masks]
        elif state is not None:
            answers = [_gone_on(net, pixels, passed) for passed in state]
        else:
            raise ModelError(f"{self.card.name} begins at a keyframe with a mask, and this frame has none. Give one.")
        return {"alpha": torch.cat([alpha for alpha, _ in answers], 1)}, tuple(passed for _, passed in answers)


def _begun(net: Hstsg, pixels: Tensor, mask: Tensor) -> tuple[Tensor, Passed | None]:
    if bool(mask.amax() <= NOTHING):
        return torch.zeros_like(mask), None
    answer, passed = begin(net, pixels, mask)
    return answer.alpha, passed


def _gone_on(net: Hstsg, pixels: Tensor, passed: Passed | None) -> tuple[Tensor, Passed | None]:
    if passed is None:
        return torch.zeros_like(pixels[:, :1]), None
    answer, passed = go_on(net, pixels, passed)
    return answer.alpha, passed


HSTSG_SMALL = HstsgModel(
    Card(
        name="hstsg-small",
        title="HSTSG-style small: masks on keyframes",
        guides=("mask",),
        keyed=True,
        encoding="linear",
        carries=True,
        warm_up=None,
        multiple=Hstsg.multiple,
        side_limit=640,
        precisions=("fp32", "bf16"),
        memory=3000,
        weights=Weights.ours(
            "hstsg-small",
            "f2ae79e15d514d5d815e535c58850891882b5c0dc19e80dd12b066ff95036f03",
            1.6,
            "recipe train/recipes/hstsg_small.toml (seed 51, averaged weights after 700 of its 1300 iterations); "
            "data: 512 procedural clips of 5 frames of 112 pixels, bank seed 1",
        ),
        note="Trained here on procedural clips. One rough mask, or masks on keyframes; works on a copy of at most 640 "
        "pixels a side.",
    ),
    SMALL,
)
