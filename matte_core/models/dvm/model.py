"""The small DVM and the small trimap propagation as models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.dvm.net import DVM, Settings
from matte_core.models.dvm.propagation import Settings as PropagationSettings
from matte_core.models.dvm.propagation import TrimapPropagation
from matte_core.models.layers.solver import unknown_box
from matte_core.models.weights import load_into, required

_AROUND = 64  # pixels around the unknown that are looked at
_FARTHEST = 256  # pixels that are looked at beyond these where things move so far

SMALL = Settings(
    reach=2,
    stem=16,
    inner=(6, 8, 12, 16),
    counts=(1, 1, 1, 1),
    aligned=12,
    groups=2,
    decoder=(48, 32, 24, 24, 24),
    finish=1,
    given="alpha",
)
PROPAGATION_SMALL = PropagationSettings(
    stem=16, inner=(6, 10, 16), counts=(1, 2, 2), key=32, value=48, decoder=(48, 32, 24, 16), carried=True
)


@dataclass(frozen=True)
class DVMModel:
    """A DVM of `settings` with the weights of its `card`."""

    card: Card
    settings: Settings

    def load(self, weights: Path | None, device: torch.device) -> DVM:
        """The network on `device`, in float32. Raises ModelError where the weights do not fit."""
        return load_into(DVM(self.settings), required(weights, self.card), device)

    def step(self, net: DVM, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"alpha": (1, K, H, W)} in 0..1 of the middle of `frames` (F, 3, H, W), every layer of guides["trimap"] by
        itself; exactly 0 and 1 where that is known. What it costs is the box around the unknown, not the frame."""
        device = next(net.parameters()).device
        trimaps = guides["trimap"]
        motion = guides["motion"] if self.settings.moves else None
        known = trimaps[self.settings.reach]
        alphas = (known >= 0.75).float().to(device)
        for layer in range(trimaps.shape[1]):
            box = _box(known[layer], motion)
            if box is None:
                continue

            def part(values: Tensor, box: tuple[slice, slice] = box) -> Tensor:
                return values[None, ..., box[0], box[1]].to(device)

            first = part(guides["alpha"][:, layer : layer + 1]) if self.card.first else None
            told = torch.nan_to_num(part(frames).float()), part(trimaps[:, layer : layer + 1]), first
            found = net(*told, None if motion is None else part(motion))[0, 0].clamp(0, 1).float()
            here, place = known[layer][box].to(device), (layer, *box)
            alphas[place] = torch.where((here > 0.25) & (here < 0.75), found, alphas[place])
        return {"alpha": alphas[None]}, state


def _box(trimap: Tensor, motion: Tensor | None) -> tuple[slice, slice] | None:
    """Rows and columns, in multiples of 32, that hold the unknown of `trimap` (H, W), what is around it and what moves
    into it; None where nothing is unknown. Sides of the picture are multiples of 32."""
    box = unknown_box(trimap, _AROUND)
    if box[0].start == box[0].stop:
        return None
    if motion is not None:
        way = (motion[:, :2] * (motion[:, 2:] > 0))[..., box[0], box[1]].abs().amax()
        box = unknown_box(trimap, _AROUND + min(int(way), _FARTHEST))
    size, sides = DVM.multiple, trimap.shape
    return (
        slice(box[0].start // size * size, min(-(-box[0].stop // size) * size, sides[0])),
        slice(box[1].start // size * size, min(-(-box[1].stop // size) * size, sides[1])),
    )


@dataclass(frozen=True)
class PropagationModel:
    """A trimap propagation network of `settings` with the weights of its `card`."""

    card: Card
    settings: PropagationSettings

    def load(self, weights: Path | None, device: torch.device) -> TrimapPropagation:
        """The network on `device`, in float32. Raises ModelError where the weights do not fit."""
        return load_into(TrimapPropagation(self.settings), required(weights, self.card), device)

    def step(self, net: TrimapPropagation, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"regions": (1, 3 * K, H, W)} of the first of `frames` (1 + R, 3, H, W), told by the trimaps of the others.

        guides["trimap"] (1 + R, K, H, W) holds these, its first is not looked at; guides["carried"] (1, 4 * K, H, W)
        the regions carried along by optical flow and their trust.
        """
        device = next(net.parameters()).device
        pictures, trimaps = torch.nan_to_num(frames.float()).to(device), guides["trimap"].to(device)
        carried = guides["carried"].to(device) if self.settings.carried else None
        found = []
        for layer in range(trimaps.shape[1]):
            own = None if carried is None else carried[:, 4 * layer : 4 * layer + 4]
            logits = net(pictures[:1], pictures[None, 1:], trimaps[None, 1:, layer : layer + 1], own)
            found.append(torch.softmax(logits[0].float(), 0))
        return {"regions": torch.cat(found)[None]}, state


DVM_SMALL = DVMModel(
    Card(
        name="dvm-small",
        title="DVM small",
        encoding="linear",
        before=SMALL.reach,
        after=SMALL.reach,
        first="net_m-small",
        motion=True,
        multiple=DVM.multiple,
        precisions=("fp32", "bf16"),
        memory=300,
        weights=Weights.ours(
            "dvm-small",
            "4dd96f796630f0324833edd078ccd793044b781881ce1a252572c9365de5ae97",
            0.4,
            "recipe train/recipes/dvm_small.toml (seed 61, 1400 iterations, 650 of them on a longer schedule; from "
            "scratch), on alphas of net_m-small with weights 56d83d7f30a6; then dvm_small_2.toml (seed 62, averaged "
            "weights after 950 of its 1200 iterations), on those of 5d7684bd7343, smoothed; what the network adds "
            "counts a third, chosen on 16 clips; data: 384 procedural clips of bank seed 1, 320 of them smoothed",
        ),
        note="Trained here on procedural clips. Begins with Net-M small's alpha of each frame, smoothed over time, and "
        "looks at two before and two after.",
    ),
    SMALL,
)
TRIMAP_PROPAGATION_SMALL = PropagationModel(
    Card(
        name="trimap-propagation-small",
        title="Trimap propagation small",
        answers="trimap",
        guides=("trimap",),
        encoding="display",
        multiple=32,
        side_limit=512,
        precisions=("fp32", "bf16"),
        memory=1200,
        weights=Weights.ours(
            "trimap-propagation-small",
            "7b2111dd393ae7dd73dec5582e243635178f5e0ad122429b317fb73981fec70d",
            0.4,
            "recipe train/recipes/trimap_propagation_small.toml (seed 71, 3600 iterations, from scratch); "
            "data: 320 procedural clips of bank seed 1",
        ),
        note="Trained here on procedural clips. Begins with what optical flow carries from the keyframes, and looks at "
        "up to two of them before and two after. Works on a copy of at most 512 pixels a side.",
    ),
    PROPAGATION_SMALL,
)
