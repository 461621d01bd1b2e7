"""What ties the frames of a clip together: a memory that runs both ways, and maps of where anything changes.

Source: MaGGIe, section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.spectral import Layers
from matte_core.models.maggie.trunk import one_by_one

CHANGED = 0.5
_SURE = 2.0  # logit


class RecurrentMemory(nn.Module):
    """A convolutional GRU over a clip (T, C, h, w), forward, then backward from its end; the mean of both.

    The last frame has the forward answer alone.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ih = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.Sigmoid())
        self.hh = nn.Sequential(nn.Conv2d(2 * width, width, 3, 1, 1), nn.Tanh())

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """The clip as remembered, (T, C, h, w), and the states (T, C, h, w) of the way forward."""
        return self.remembered(self.told(clip))

    def told(self, clip: Tensor) -> Tensor:
        """What frames (T, C, h, w) say to a step, (T, 3 C, h, w): it is the same whatever is remembered."""
        gates, candidate = self._layers()
        weight = torch.cat([layer.weight[:, : clip.shape[1]] for layer in (gates, candidate)])
        assert gates.bias is not None and candidate.bias is not None
        return functional.conv2d(clip, weight, torch.cat([gates.bias, candidate.bias]), padding=1)

    def remembered(self, told: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """As `forward`, of the frames from `first` on, for the clip that `told` speaks of."""
        state: Tensor | None = None
        forward: list[Tensor] = []
        for frame in one_by_one(told):
            state = self._step(frame, state)
            forward.append(state)
        state, answers = forward[-1], [forward[-1]]
        for frame, ahead in zip(one_by_one(told)[first:-1][::-1], forward[first:-1][::-1], strict=True):
            state = self._step(frame, state)
            answers.append((ahead + state) / 2)
        return torch.cat(answers[::-1]), torch.cat(forward[first:])

    def _step(self, told: Tensor, state: Tensor | None) -> Tensor:
        """The state after a frame; None is a state of zeros."""
        width = told.shape[1] // 3
        gates, candidate = told[:, : 2 * width], told[:, 2 * width :]
        if state is None:
            begun: Tensor = gates[:, width:].sigmoid() * candidate.tanh()
            return begun
        ruling, making = self._layers()
        reset, update = (gates + _convolved(state, ruling)).sigmoid().chunk(2, 1)
        candidate = (candidate + _convolved(reset * state, making)).tanh()
        mixed: Tensor = (1 - update) * state + update * candidate
        return mixed

    def _layers(self) -> tuple[nn.Conv2d, nn.Conv2d]:
        """Of the gates, and of what may become the state."""
        gates, candidate = self.ih[0], self.hh[0]
        assert isinstance(gates, nn.Conv2d) and isinstance(candidate, nn.Conv2d)
        return gates, candidate


def _convolved(state: Tensor, layer: nn.Conv2d) -> Tensor:
    """The part of a layer on (frame, state) that sees the state."""
    return functional.conv2d(state, layer.weight[:, state.shape[1] :], padding=1)


class ChangeHead(nn.Sequential):
    """Where the alphas change between two frames: logits (T, 1, h, w) of details (T, `width`, h, w), two by two."""

    def __init__(self, layers: Layers, width: int, apart: bool = False) -> None:
        """`apart`: at first it says that everything changes, so that every frame keeps its own alphas."""
        last = nn.Conv2d(width // 2, 1, 3, 1, 1, bias=apart)
        if last.bias is not None:
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, _SURE)
        super().__init__(
            layers.convolution(2 * width, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            layers.convolution(width, width // 2),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            last,
        )

    def changes(self, details: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (T, 1, 8h, 8w) of a change from the frame before, and from the frame after; 0.5 at the ends."""
        none = details.new_full((1, 1, *(8 * side for side in details.shape[2:])), 0.5)
        if len(details) == 1:
            return none, none
        earlier, later = details[:-1], details[1:]
        return torch.cat([none, self.between(earlier, later)]), torch.cat([self.between(later, earlier), none])

    def between(self, other: Tensor, own: Tensor) -> Tensor:
        """Probability (T, 1, 8h, 8w) that frames of `own` details (T, `width`, h, w) differ from `other` ones."""
        return _enlarged(self(torch.cat([other, own], 1)))


def fuse(alphas: Tensor, forward: Tensor, backward: Tensor, previous: Tensor | None = None) -> Tensor:
    """Alphas (T, N, H, W) of a clip, T up to 3, in which the middle frame keeps what both directions agree on.

    `forward`, `backward` (T, 1, H, W): probabilities of change; `previous` (N, H, W): what the clip before this one
    answered for the first frame. Where nothing changes, a frame takes over its neighbour's alpha; where the two
    directions differ, it keeps its own. Source: MaGGIe, section 3.4, forward-backward fusion.
    """
    fused = [alphas[0]]
    if len(alphas) > 1:
        before = alphas[0] if previous is None else previous
        middle = kept(before, alphas[1], forward[1] > CHANGED)
        if len(alphas) > 2:
            back = kept(alphas[2], alphas[1], backward[1] > CHANGED)
            middle = torch.where(middle == back, middle, alphas[1])
        fused.append(middle)
    if len(alphas) > 2:
        fused.append(kept(middle, alphas[2], forward[2] > CHANGED))
    return torch.stack(fused)


def fused_middle(previous: Tensor, own: Tensor, changed: Tensor, ahead: Callable[[Tensor], Tensor]) -> Tensor:
    """The middle (N, H, W) of `fuse`, whose third frame is made only where it can matter: `ahead` is told where,
    (N, H, W), and answers with that frame's alphas. `changed` (1, H, W): whether anything did, in either direction.

    Where it did, both directions lead to the frame's `own` alpha; where its own is that of the answer before, both
    are the same.
    """
    asked = ~changed & (previous != own)
    if not asked.any():
        return own
    return torch.where(asked & (ahead(asked) == previous), previous, own)


def blended(alphas: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """Alphas (3, N, H, W), the middle one the mean of both neighbours' by the probabilities of change: for training."""
    ahead = kept(alphas[0], alphas[1], forward[1])
    back = kept(alphas[2], alphas[1], backward[1])
    return torch.stack([alphas[0], (ahead + back) / 2, alphas[2]])


def kept(neighbour: Tensor, own: Tensor, changed: Tensor) -> Tensor:
    """The neighbour's alphas where nothing changed, a frame's own where anything did; in between by probability."""
    share = changed.to(own)
    return neighbour * (1 - share) + own * share


def _enlarged(logits: Tensor) -> Tensor:
    return functional.interpolate(logits, scale_factor=8, mode="bilinear", align_corners=False).sigmoid()
