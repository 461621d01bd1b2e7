"""MaGGIe: soft mattes of up to ten instances at once, of a picture or of a clip, told by a rough mask each.

Source: Huynh, Oh, Shrivastava, Lee, "MaGGIe: Masked Guided Gradual Human Instance Matting", CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.maggie.encoder import SLOTS, AtrousPyramid, Encoder, Trunk, joined, one_by_one, rising
from matte_core.models.maggie.instances import Decoded, InstanceDecoder
from matte_core.models.maggie.names import ours, published
from matte_core.models.maggie.refine import Refined, Refinement
from matte_core.models.maggie.regions import grown, near_what_was_found, uncertain
from matte_core.models.maggie.temporal import ChangeHead, RecurrentMemory

REGION_REACH = 15  # size of the ellipse around uncertain coarse alphas


@dataclass(frozen=True)
class Settings:
    """Form of the network, and what the published weights need to be read as they were trained.

    temporal    whether it has the parts for video
    scrambled   1 x 1 kernels of the refinement as the published library reads them (see `Kernel`)
    """

    temporal: bool = False
    scrambled: bool = True


@dataclass(frozen=True)
class Answer:
    """Alphas (T, N, H, W) in 0..1: `alphas` the answer of each frame, made of `coarse`, `quarter` and `full`;
    `region` where it was looked at closer; for a clip `forward`, `backward` (T, 1, H, W) the probability that
    anything changed since the frame before and until the frame after. `decoded` is for training.
    """

    alphas: Tensor
    coarse: Tensor
    quarter: Tensor
    full: Tensor
    region: Tensor
    decoded: Decoded
    forward: Tensor | None = None
    backward: Tensor | None = None


class Decoder(Refinement):
    """From the encoder's features to alphas."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.layer1 = rising(512, 256, 2)
        self.layer2 = rising(256, 128, 3)
        self.refine_OS8 = InstanceDecoder(settings.temporal)
        self.build_refinement(settings.scrambled)
        self.os8_temp_module = RecurrentMemory() if settings.temporal else None
        self.diff_module = ChangeHead() if settings.temporal else None


class Maggie(nn.Module):
    """MaGGIe for pictures, or with `settings.temporal` for clips. Sides are multiples of 64 (`multiple`).

    `trunk` is what is made once per frame; `head` is made per clip, a picture being a clip of one frame.
    """

    multiple = 64

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder()
        self.aspp = AtrousPyramid()
        self.decoder = Decoder(settings)

    def forward(self, pictures: Tensor, masks: Tensor) -> Answer:
        """The answer for frames (T, 3, H, W), ImageNet-normalised, and masks (T, N, H, W) of 0 and 1, N up to 10."""
        return self.head(self.trunk(pictures, masks), masks)

    def trunk(self, pictures: Tensor, masks: Tensor) -> Trunk:
        """Features of each frame; the frames of a clip do not know of each other here.

        Frames go through one by one, so that a frame's features are the same numbers in whatever clip it stands;
        while training all at once, for the batch norm.
        """
        if not self.training and len(pictures) > 1:
            return joined([self.trunk(*each) for each in zip(one_by_one(pictures), one_by_one(masks), strict=True)])
        slots = functional.pad(masks, (0, 0, 0, 0, 0, SLOTS - masks.shape[1]))
        deepest, skips = self.encoder(pictures, slots)
        values = self.decoder.layer1(self.aspp(deepest)) + skips[4]
        return Trunk(self.decoder.layer2(values) + skips[3], skips[0], skips[1], skips[2])

    def head(self, trunk: Trunk, masks: Tensor, masked: bool | None = None, first: int = 0) -> Answer:
        """Alphas from the trunk of a clip, of the frames from `first` on; all masks of it must not be empty.

        `masked` chooses how refinement computes (see `Refinement.refine`).
        """
        decoder = self.decoder
        decoded = decoder.refine_OS8(trunk.eighth, masks, decoder.os8_temp_module)
        logits = functional.interpolate(decoded.logits, scale_factor=8, mode="bilinear", align_corners=False)
        coarse = ((logits.tanh() + 1) / 2)[:, : masks.shape[1]]
        forward = backward = None
        coarse = coarse[first:]
        box = torch.ones_like(coarse, dtype=torch.bool)
        if decoder.diff_module is not None:
            if not self.training:
                coarse, box = near_what_was_found(coarse)
                coarse = coarse * box
            forward, backward = decoder.diff_module.changes(decoded.details.detach())
        region = grown(uncertain(coarse), REGION_REACH) & box
        refined: Refined = decoder.refine(trunk.since(first), decoded.since(first), coarse, region, masked)
        return Answer(refined.alphas, coarse, refined.quarter, refined.full, region, decoded, forward, backward)

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """The tensors under the names of the published weights."""
        return {published(name): tensor for name, tensor in super().state_dict(*args, **options).items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes tensors under the names of the published weights."""
        return super().load_state_dict({ours(name): tensor for name, tensor in state_dict.items()}, strict, assign)
