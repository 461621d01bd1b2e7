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

from matte_core.models.maggie.encoder import AtrousPyramid, Encoder, Trunk, joined, one_by_one, rising
from matte_core.models.maggie.evidence import coarse_evidence, colours, steadied
from matte_core.models.maggie.instances import Decoded, InstanceDecoder
from matte_core.models.maggie.names import ours, published
from matte_core.models.maggie.refine import Refined, Refinement
from matte_core.models.maggie.regions import grown, near_what_was_found, uncertain
from matte_core.models.maggie.settings import SLOTS, Settings
from matte_core.models.maggie.temporal import ChangeHead, RecurrentMemory

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours
REGION_REACH = 15  # size of the ellipse around uncertain coarse alphas


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
        layers, widths, (first, second) = settings.layers(), settings.widths, settings.rises
        self.layer1 = rising(layers, widths[4], widths[3], first)
        self.layer2 = rising(layers, widths[3], widths[2], second)
        self.refine_OS8 = InstanceDecoder(settings)
        self.build_refinement(settings)
        self.os8_temp_module = RecurrentMemory(widths[2]) if settings.temporal else None
        self.diff_module = ChangeHead(layers, settings.tokens, settings.evidence) if settings.temporal else None


class Maggie(nn.Module):
    """MaGGIe for pictures, or with `settings.temporal` for clips. Sides are multiples of 64 (`multiple`).

    `trunk` is what is made once per frame; `head` is made per clip, a picture being a clip of one frame.
    """

    multiple = 64

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.aspp = AtrousPyramid(settings.widths[4])
        self.decoder = Decoder(settings)

    def forward(self, pictures: Tensor, masks: Tensor) -> Answer:
        """The answer for frames (T, 3, H, W), ImageNet-normalised, and masks (T, N, H, W) of 0 and 1, N up to 10."""
        return self.head(self.trunk(pictures, masks), masks)

    def trunk(self, pictures: Tensor, masks: Tensor, order: Tensor | None = None) -> Trunk:
        """Features of each frame; the frames of a clip do not know of each other here.

        Frames go through one by one, so that a frame's features are the same numbers in whatever clip it stands;
        while training all at once, for the batch norm. `order` (10,): which slot each instance takes.
        """
        if not self.training and len(pictures) > 1:
            return joined([self.trunk(*each) for each in zip(one_by_one(pictures), one_by_one(masks), strict=True)])
        slots = functional.pad(masks, (0, 0, 0, 0, 0, SLOTS - masks.shape[1]))
        deepest, skips = self.encoder(pictures, slots, order)
        values = self.decoder.layer1(self.aspp(deepest)) + skips[4]
        told = colours(_display(pictures), masks) if self.settings.evidence else None
        return Trunk(self.decoder.layer2(values) + skips[3], skips[0], skips[1], skips[2], told)

    def head(
        self,
        trunk: Trunk,
        masks: Tensor,
        masked: bool | None = None,
        first: int = 0,
        clips: int = 1,
        order: Tensor | None = None,
        region: Tensor | None = None,
    ) -> Answer:
        """Alphas from the trunk of a clip, of the frames from `first` on; all masks of it must not be empty.

        `masked` chooses how refinement computes (see `Refinement.refine`). For training: the frames belong to as many
        `clips`, all of one length; `order` (10,) says which slot each instance takes; `region` (T, N, H, W) is
        refined instead of where the coarse alphas are uncertain.
        """
        decoder = self.decoder
        if trunk.colours is not None and self.settings.temporal:
            trunk = trunk._replace(colours=steadied(trunk.colours, masks, clips))
        decoded = self.decoded(trunk, masks, clips, order)
        logits = functional.interpolate(decoded.logits, scale_factor=8, mode="bilinear", align_corners=False)
        coarse = ((logits.tanh() + 1) / 2)[:, : masks.shape[1]]
        forward = backward = None
        coarse = coarse[first:]
        box = torch.ones_like(coarse, dtype=torch.bool)
        if decoder.diff_module is not None:
            if self.settings.boxed and not self.training:
                coarse, box = near_what_was_found(coarse)
                coarse = coarse * box
            changed = [decoder.diff_module.changes(clip) for clip in decoded.details.detach().chunk(clips)]
            forward, backward = (torch.cat(each) for each in zip(*changed, strict=True))
        if region is None:
            region = grown(uncertain(coarse), REGION_REACH) & box
        seen = trunk.since(first), decoded.since(first), masks[first:]
        refined: Refined = decoder.refine(*seen, coarse, region, masked)
        return Answer(refined.alphas, coarse, refined.quarter, refined.full, region, decoded, forward, backward)

    def decoded(self, trunk: Trunk, masks: Tensor, clips: int = 1, order: Tensor | None = None) -> Decoded:
        """Tokens and coarse logits from the trunk: with it the dense part, which costs nearly the same for ten
        instances as for one."""
        told = None if trunk.colours is None else coarse_evidence(trunk.colours, masks)
        found: Decoded = self.decoder.refine_OS8(trunk.eighth, masks, told, self.decoder.os8_temp_module, clips, order)
        return found

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """The tensors under the names of the published weights."""
        return {published(name): tensor for name, tensor in super().state_dict(*args, **options).items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes tensors under the names of the published weights."""
        return super().load_state_dict({ours(name): tensor for name, tensor in state_dict.items()}, strict, assign)


def normalised(pictures: Tensor) -> Tensor:
    """Pictures (T, 3, H, W) in display light 0..1 as the network wants them."""
    mean, deviation = (pictures.new_tensor(each)[:, None, None] for each in (_MEAN, _DEVIATION))
    return (pictures - mean) / deviation


def _display(pictures: Tensor) -> Tensor:
    """The pictures (T, 3, H, W) in display light 0..1 again."""
    mean, deviation = (pictures.new_tensor(each)[:, None, None] for each in (_MEAN, _DEVIATION))
    return pictures * deviation + mean
