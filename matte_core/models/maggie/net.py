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

from matte_core.models.maggie.encoder import AtrousPyramid, Encoder, rising
from matte_core.models.maggie.evidence import Colours, coarse_evidence, colours, steadied
from matte_core.models.maggie.instances import Decoded, InstanceDecoder
from matte_core.models.maggie.names import ours, published
from matte_core.models.maggie.refine import Refined, Refinement
from matte_core.models.maggie.regions import grown, near_what_was_found, uncertain
from matte_core.models.maggie.settings import SLOTS, Settings
from matte_core.models.maggie.temporal import ChangeHead, RecurrentMemory
from matte_core.models.maggie.trunk import Looked, Trunk, joined, one_by_one

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours
REGION_REACH = 15  # size of the ellipse around uncertain coarse alphas


@dataclass(frozen=True)
class Answer:
    """Alphas (T, N, H, W) in 0..1: `alphas` the answer of each frame, made of `coarse`, `quarter` and `full`;
    `region` where it was looked at closer; for a clip `forward`, `backward` (T, 1, H, W) the probability that
    anything changed since the frame before and until the frame after. `decoded` and `attention` are for training.
    """

    alphas: Tensor
    coarse: Tensor
    quarter: Tensor
    full: Tensor
    region: Tensor
    decoded: Decoded
    attention: tuple[Tensor, ...]
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
        made = Trunk(self.decoder.layer2(values) + skips[3], skips[0], skips[1], skips[2], told)
        alone = self.decoder.refine_OS8.looks_alone and not self.training
        return made._replace(looked=self.look(made.eighth, masks)) if alone else made

    def head(
        self,
        trunk: Trunk,
        masks: Tensor,
        masked: bool | None = None,
        clips: int = 1,
        order: Tensor | None = None,
        region: Tensor | None = None,
    ) -> Answer:
        """Alphas from the trunk of a clip; all masks of it must not be empty.

        `masked` chooses how refinement computes (see `Refinement.refine`). For training: the frames belong to as many
        `clips`, all of one length; `order` (10,) says which slot each instance takes; `region` (T, N, H, W) is
        refined instead of where the coarse alphas are uncertain.
        """
        looked = trunk.looked or self.look(trunk.eighth, masks, clips, order)
        told = self.told(trunk.colours, masks, clips)
        decoded = self.judge(looked, masks, None if told is None else coarse_evidence(told, masks), clips)
        coarse, box = self.coarse(decoded, masks.shape[1])
        if region is None:
            region = grown(uncertain(coarse), REGION_REACH) & box
        refined: Refined = self.decoder.refine(trunk._replace(colours=told), decoded, masks, coarse, region, masked)
        forward = backward = None
        if self.decoder.diff_module is not None:
            changed = [self.decoder.diff_module.changes(clip) for clip in looked.details.detach().chunk(clips)]
            forward, backward = (torch.cat(each) for each in zip(*changed, strict=True))
        maps = (refined.alphas, coarse, refined.quarter, refined.full)
        return Answer(*maps, region, decoded, looked.attention, forward, backward)

    def look(self, eighth: Tensor, masks: Tensor, clips: int = 1, order: Tensor | None = None) -> Looked:
        """What the tokens of instances and the features (T, C, h, w) of the trunk make of each other."""
        found: Looked = self.decoder.refine_OS8.look(eighth, masks, self.decoder.os8_temp_module, clips, order)
        return found

    def told(self, colours: Colours | None, masks: Tensor, clips: int = 1) -> Colours | None:
        """What the colours of a clip say when its frames are judged together."""
        if colours is None or not self.settings.temporal:
            return colours
        return colours._replace(rules=steadied(colours.rules, masks, clips))

    def judge(self, looked: Looked, masks: Tensor, evidence: Tensor | None, clips: int = 1, first: int = 0) -> Decoded:
        """Coarse logits; of a single clip only those of its frames from `first` on, whose masks and evidence are
        given."""
        found: Decoded = self.decoder.refine_OS8.judge(
            looked, masks, evidence, self.decoder.os8_temp_module, clips, first
        )
        return found

    def decoded(self, trunk: Trunk, masks: Tensor) -> Decoded:
        """Coarse logits from the trunk of a clip: with it the dense part, which costs nearly the same for ten
        instances as for one."""
        told = self.told(trunk.colours, masks)
        evidence = None if told is None else coarse_evidence(told, masks)
        return self.judge(trunk.looked or self.look(trunk.eighth, masks), masks, evidence)

    def coarse(self, decoded: Decoded, count: int) -> tuple[Tensor, Tensor]:
        """Coarse alphas (T, N, H, W) of the first `count` slots, and the boxes in which they may be refined."""
        logits = functional.interpolate(decoded.logits[:, :count], scale_factor=8, mode="bilinear", align_corners=False)
        alphas = (logits.tanh() + 1) / 2
        if not self.settings.temporal or not self.settings.boxed or self.training:
            return alphas, torch.ones_like(alphas, dtype=torch.bool)
        alphas, box = near_what_was_found(alphas)
        return alphas * box, box

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
