"""A clip answered frame by frame: windows of three frames that move on by one, what is made per frame made once.

Each step is told the frame before (not at the start of the shot), the frame itself, and up to two after it. Its
answer is the middle of the window around it. The first frame's answer comes from the first window, the last one's
from the last window, which was made one step earlier. Of a window's alphas only those are refined that its answer
needs: the middle ones, and of the frame after them what the fusion asks for. The answers are those of
`window_by_window`, to the last few bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.maggie.evidence import coarse_evidence, steadied
from matte_core.models.maggie.net import REGION_REACH, Maggie
from matte_core.models.maggie.regions import grown, uncertain
from matte_core.models.maggie.temporal import CHANGED, fuse, fused_middle, kept
from matte_core.models.maggie.trunk import Trunk, joined_looks, one_by_one

_WINDOW = 3
_REACH = 64  # pixels: more than a refined alpha depends on to any side, which is less than 50


@dataclass(frozen=True)
class Passed:
    """What one step leaves to the next: features of its frame and what follows it (None where none were needed), its
    answer (N, H, W) at the network's size, and the next frame's answer if that is the last."""

    trunks: tuple[Trunk | None, ...]
    answer: Tensor
    ahead: Tensor | None


class Window:
    """Up to three frames, not all of whose masks (T, N, H, W) are empty; the one at `place` is to be answered.

    `trunks` are the features of the frames, made once for all windows they are in.
    """

    def __init__(self, net: Maggie, trunks: Sequence[Trunk], masks: Tensor, place: int) -> None:
        self._net, self._masks = net, one_by_one(masks[place:])
        self._there = masks.flatten(2).any(2).any(0)[:, None, None]
        looks = [trunk.looked for trunk in trunks if trunk.looked is not None]
        looked = joined_looks(looks) if looks else net.look(torch.cat([trunk.eighth for trunk in trunks]), masks)
        self._details = one_by_one(looked.details)[max(place - 1, 0) :]
        self._trunks = _judged_together(trunks, masks)[place:]
        told = [trunk.colours for trunk in self._trunks if trunk.colours is not None]
        evidence = [coarse_evidence(each, mask) for each, mask in zip(told, self._masks, strict=False)]
        self._decoded = net.judge(looked, masks[place:], torch.cat(evidence) if evidence else None, first=place)

    def first(self) -> Tensor:
        """The answer (N, H, W) for the first frame of a shot."""
        return self._alphas(0)

    def middle(self, previous: Tensor) -> Tensor:
        """The answer (N, H, W) for the second of three frames, after the `previous` one's."""
        before, own, after = self._details
        changed = self._changed(before, own) | self._changed(after, own)
        return fused_middle(previous, self._alphas(0), changed, lambda asked: self._alphas(1, asked))

    def last(self, answer: Tensor) -> Tensor:
        """The answer (N, H, W) for the frame after the one that got `answer`, the last of the shot."""
        return kept(answer, self._alphas(1), self._changed(*self._details[-2:]))

    def _changed(self, other: Tensor, own: Tensor) -> Tensor:
        """Whether each pixel (1, H, W) is likely to have changed from frame to frame."""
        head = self._net.decoder.diff_module
        assert head is not None
        return head.between(other, own)[0] > CHANGED

    def _alphas(self, after: int, asked: Tensor | None = None) -> Tensor:
        """Refined alphas (N, H, W) of the frame so many `after` the one to be answered; 0 for an instance without a
        mask in all frames. They hold where they are `asked` for (N, H, W), None being everywhere."""
        masks, decoded = self._masks[after], self._decoded.frame(after)
        coarse, box = self._net.coarse(decoded, masks.shape[1])
        region = grown(uncertain(coarse), REGION_REACH) & box
        if asked is not None:
            region &= _around(asked & region[0])
        refined = self._net.decoder.refine(self._trunks[after], decoded, masks, coarse, region)
        return refined.alphas[0] * self._there


def step(net: Maggie, pictures: Tensor, masks: Tensor, passed: Passed | None) -> tuple[Tensor, Passed]:
    """The answer (N, H, W) of a frame, and what to pass on.

    pictures, masks   (T, 3, H, W), (T, N, H, W): the frame before where `passed` is given, the frame, what follows
                      it, at most two frames
    """
    place = 0 if passed is None else 1
    if passed is not None and len(pictures) == 2:  # the shot's last frame
        assert passed.ahead is not None
        return passed.ahead, Passed((), passed.ahead, None)
    pictures, masks, following = pictures[:_WINDOW], masks[:_WINDOW], len(pictures) - place - 1
    known = () if passed is None else passed.trunks
    if not masks.any():
        answer = masks[0] * 0
        return answer, Passed(known[place:], answer, answer)
    made = zip_longest(known, one_by_one(pictures), one_by_one(masks))
    trunks = [trunk or net.trunk(picture, mask) for trunk, picture, mask in made]
    window = Window(net, trunks, masks, place)
    answer = window.first() if passed is None else window.middle(passed.answer)
    ahead = window.last(answer) if following == 1 else None
    return answer, Passed((trunks[place].answered(), *trunks[place + 1 :]), answer, ahead)


def window_by_window(net: Maggie, pictures: Tensor, masks: Tensor) -> Tensor:
    """What the steps answer for a clip, (T, N, H, W), as the paper has it: every window by itself, whole, at about
    three times the cost. To measure and test against.

    The middle of each window replaces the last frame of the one before.
    """
    answers: list[Tensor] = []
    previous = None
    for start in range(max(len(pictures) - _WINDOW + 1, 1)):
        clip, told = pictures[start : start + _WINDOW], masks[start : start + _WINDOW]
        fused = told * 0
        if told.any():
            found = net(clip, told)
            assert found.forward is not None and found.backward is not None
            there = told.flatten(2).any(2).any(0)[:, None, None]
            fused = fuse(found.alphas * there, found.forward, found.backward, previous)
        answers = [*answers[:-1], *fused[1:]] if start else list(fused)
        previous = fused[min(1, len(fused) - 1)]
    return torch.stack(answers)


def _judged_together(trunks: Sequence[Trunk], masks: Tensor) -> list[Trunk]:
    """The features with what colours say as the frames of the window say it together."""
    told = [trunk.colours for trunk in trunks if trunk.colours is not None]
    if not told:
        return list(trunks)
    rules = one_by_one(steadied(torch.cat([each.rules for each in told]), masks))
    steady = [each._replace(rules=rule) for each, rule in zip(told, rules, strict=True)]
    return [trunk._replace(colours=each) for trunk, each in zip(trunks, steady, strict=True)]


def _around(asked: Tensor) -> Tensor:
    """Where sites must be known (N, H, W) for those that are `asked` for to be right."""
    tiles = functional.max_pool2d(asked.float(), _REACH, ceil_mode=True)
    near = functional.max_pool2d(tiles, 3, 1, 1) > 0
    wide = near.repeat_interleave(_REACH, 1).repeat_interleave(_REACH, 2)
    return wide[:, : asked.shape[1], : asked.shape[2]]
