"""A clip answered frame by frame: what is passed on is the memory, and what lies behind the frame at hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from matte_core.models.hstsg.net import Answer, Hstsg
from matte_core.models.hstsg.reading import Cells, Remembered, remembered
from matte_core.models.hstsg.refinement import Seen
from matte_core.models.hstsg.settings import Settings
from matte_core.models.hstsg.start import start
from matte_core.models.layers.carry import Motion, carry, find_motion


@dataclass(frozen=True)
class Passed:
    """What one step leaves to the next: the memory, the last frames' part of the refinement, and the last frame's
    pixels (N, 3, H, W) and alpha (N, 1, H, W). Of bounded size, however long the clip."""

    memory: tuple[Remembered, ...]
    seen: tuple[Seen, ...]
    pixels: Tensor
    alpha: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        tensors = [self.pixels, self.alpha, *(each.at for each in self.memory), *(t for s in self.seen for t in s)]
        tensors += [tensor for each in self.memory for kind in each.cells for tensor in kind]
        return sum(tensor.nbytes for tensor in tensors)


def begin(net: Hstsg, pixels: Tensor, guide: Tensor, rough: Tensor | None = None) -> tuple[Answer, Passed]:
    """The answer for the first frame `pixels` (N, 3, H, W) with its mask `guide` (N, 1, H, W), and what to pass on.

    rough  (N,) 1 where the guide is a rough mask (all of them, if not given), 0 where it is nearly the alpha
    """
    rough = guide.new_ones(len(guide)) if rough is None else rough
    own = start(pixels, guide, torch.zeros_like(guide), rough) if net.settings.start else None
    reference = net.remember(pixels, guide)
    step = net.answer(pixels, net.look(pixels, own), [remembered(0, reference)], (), own)
    alpha = step.answer.alpha.detach()
    cells = net.remember(pixels, alpha) if net.settings.own_reference else reference
    return step.answer, Passed((remembered(0, cells),), (step.seen,), pixels, alpha)


def go_on(net: Hstsg, pixels: Tensor, passed: Passed, moved: Motion | None = None) -> tuple[Answer, Passed]:
    """The answer for the next frame, and what to pass on; `moved` is the motion where it is known already."""
    own = None
    if net.settings.start:
        way, trust = moved or find_motion(passed.pixels, pixels)
        own = start(pixels, carry(passed.alpha, way), trust, pixels.new_zeros(len(pixels)))
    step = net.answer(pixels, net.look(pixels, own), passed.memory, passed.seen, own)
    alpha = step.answer.alpha.detach()
    memory = kept(step.memory, net.remember(pixels, alpha), net.settings)
    behind = (*passed.seen, step.seen)[-net.settings.frames :] if net.settings.frames else ()
    return step.answer, Passed(memory, behind, pixels, alpha)


def kept(memory: list[Remembered], latest: Cells, settings: Settings) -> tuple[Remembered, ...]:
    """The memory with the `latest` frame: first, every so many frames one, and the latest, at most `most` in all."""
    number = memory[-1].number + 1
    between = [each.coarse_only() for each in memory[1:] if each.number % settings.every == 0]
    room = max(settings.most - 2, 0)
    return (memory[0], *between[len(between) - min(room, len(between)) :], remembered(number, latest))
