"""A mask carried along the motion of the plate, and nothing else: what every other way has to beat."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from matte_core.errors import ModelError
from matte_core.models.base import Card, Guides, Layers
from matte_core.models.layers.carry import carry, find_motion

State = tuple[Tensor, Tensor]  # the last frame's pixels and masks


class FlowMask:
    """Masks (K, H, W) of the frame before, moved by optical flow (DIS, on the CPU)."""

    card = Card(
        name="flow-mask",
        title="Mask carried by optical flow",
        answers="guide",
        guides=("mask",),
        keyed=True,
        encoding="linear",
        carries=True,
        warm_up=None,
        side_limit=1280,
        memory=100,
        on_cpu_only=True,
        note="No network. It drifts: the mask's edge grows softer with every frame.",
    )

    def load(self, weights: Path | None, device: torch.device) -> None:
        """Nothing is loaded."""

    def step(self, net: None, frames: Tensor, guides: Guides, state: State | None) -> tuple[Layers, State]:
        """{"alpha": (1, K, H, W)} of the frame (1, 3, H, W): guides["mask"] where it is given, else it is carried."""
        pixels = torch.nan_to_num(frames.float())
        if "mask" in guides:
            masks = guides["mask"].clamp(0, 1)
        elif state is not None:
            masks = carry(state[1], find_motion(state[0], pixels).way).clamp(0, 1)
        else:
            raise ModelError(f"{self.card.name} begins at a keyframe with a mask, and this frame has none. Give one.")
        return {"alpha": masks}, (pixels, masks)


FLOW_MASK = FlowMask()
