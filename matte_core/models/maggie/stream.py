"""A clip answered frame by frame: windows of three frames that move on by one, what is made per frame made once.

Each step is told the frame before (not at the start of the shot), the frame itself, and up to two after it. Its
answer is the middle of the window around it. The first frame's answer comes from the first window, the last one's
from the last window, which was made one step earlier.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from matte_core.models.maggie.encoder import Trunk, joined, one_by_one
from matte_core.models.maggie.net import Maggie
from matte_core.models.maggie.temporal import fuse


@dataclass(frozen=True)
class Passed:
    """What one step leaves to the next: features of its frame and the one after (None where none were needed), its
    answer (N, H, W) at the network's size, and the answer that holds for the next frame if that is the last."""

    trunks: tuple[Trunk | None, ...]
    answer: Tensor
    ahead: Tensor


@dataclass
class Window:
    """Up to three frames (T, 3, H, W) and masks (T, N, H, W), with the features of frames that are known already."""

    net: Maggie
    pictures: Tensor
    masks: Tensor
    trunks: list[Trunk | None] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not bool(self.masks.any())

    def trunk(self) -> Trunk:
        """Features of all frames; those that are not known yet are made and kept."""
        known = [*self.trunks, *[None] * (len(self.pictures) - len(self.trunks))]
        frames = zip(known, one_by_one(self.pictures), one_by_one(self.masks), strict=True)
        made = [trunk or self.net.trunk(picture, masks) for trunk, picture, masks in frames]
        self.trunks = list(made)
        return joined(made)

    def answers(self, previous: Tensor | None) -> Tensor:
        """Fused alphas (T, N, H, W), 0 for an instance without a mask in all frames.

        `previous` (N, H, W) is the answer for the first frame, which is then not made again.
        """
        if self.empty:
            return self.masks * 0
        first = 0 if previous is None else 1
        found = self.net.head(self.trunk(), self.masks, first=first)
        assert found.forward is not None and found.backward is not None
        there = self.masks.flatten(2).any(2).any(0)
        own = found.alphas * there[:, None, None]
        own = own if previous is None else torch.cat([previous[None], own])
        return fuse(own, found.forward, found.backward, previous)


def step(net: Maggie, pictures: Tensor, masks: Tensor, passed: Passed | None) -> tuple[Tensor, Passed]:
    """The answer (N, H, W) of a frame, and what to pass on.

    pictures, masks   (T, 3, H, W), (T, N, H, W): the frame before where `passed` is given, the frame, what follows
                      it, at most two frames
    """
    place = 0 if passed is None else 1
    if passed is not None and len(pictures) == 2:  # the shot's last frame
        return passed.ahead, Passed((), passed.ahead, passed.ahead)
    last = min(len(pictures), 3)
    known = [] if passed is None else list(passed.trunks)
    window = Window(net, pictures[:last], masks[:last], known)
    answers = window.answers(None if passed is None else passed.answer)
    answer, ahead = answers[place], answers[min(place + 1, len(answers) - 1)]
    return answer, Passed(tuple(window.trunks[place:]), answer, ahead)
