"""What is made of frames on the way to their alphas, and how that of single frames is put together to a clip's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from matte_core.models.maggie.evidence import Colours


class Looked(NamedTuple):
    """What features and tokens are after they looked at each other.

    features   (T, C, h, w) at 1/8, and `details` (T, 64, h, w) made of them
    told       (T, 3 C, h, w) what the features say to the memory of a clip, None for a network without one
    tokens     (T, 10, 64), where those of a clip look at all its frames the same in all of them
    attention  what each of three times the tokens of each clip looked at, (clips, 10, T h w), only while training
    """

    features: Tensor
    details: Tensor
    told: Tensor | None
    tokens: Tensor
    attention: tuple[Tensor, ...] = ()


class Trunk(NamedTuple):
    """Features of frames: `eighth` (T, 128, H/8, W/8), and skips `full` (T, 32, H, W), `half` and `quarter` (T, 64);
    for a network that weighs colours what they say, as `Colours` has it; `looked` for one whose tokens look at one
    frame each."""

    eighth: Tensor
    full: Tensor
    half: Tensor
    quarter: Tensor
    colours: Colours | None = None
    looked: Looked | None = None

    def answered(self) -> Trunk:
        """The same without what only refinement needs: by far the larger part."""
        none = self.full.new_zeros(0)
        told = self.colours and self.colours._replace(light=none, cells=none)
        return self._replace(full=none, half=none, quarter=none, colours=told)


def joined(trunks: Sequence[Trunk]) -> Trunk:
    """Features of frames that were made one by one."""
    if len(trunks) == 1:
        return trunks[0]
    eighth, full, half, quarter = (torch.cat(parts) for parts in zip(*(trunk[:4] for trunk in trunks), strict=True))
    told = [trunk.colours for trunk in trunks if trunk.colours is not None]
    colours = Colours(*(torch.cat(parts) for parts in zip(*told, strict=True))) if told else None
    looked = [trunk.looked for trunk in trunks if trunk.looked is not None]
    return Trunk(eighth, full, half, quarter, colours, joined_looks(looked) if looked else None)


def joined_looks(looks: Sequence[Looked]) -> Looked:
    """The same of looks at one frame each; what they looked at is left out."""
    features, details, tokens = (torch.cat([look[k] for look in looks]) for k in (0, 1, 3))  # type: ignore[misc]
    told = [look.told for look in looks if look.told is not None]
    return Looked(features, details, torch.cat(told) if told else None, tokens)


def one_by_one(clip: Tensor) -> list[Tensor]:
    """The frames of a clip (T, ...), each (1, ...)."""
    return [clip[place : place + 1] for place in range(len(clip))]
