"""What ties the frames of a clip together: a memory that runs both ways, and maps of where anything changes.

Source: MaGGIe, section 3.4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.spectral import Layers
from matte_core.models.maggie.encoder import one_by_one

_CHANGED = 0.5
_SURE = 2.0  # logit


class RecurrentMemory(nn.Module):
    """A convolutional GRU over a clip (T, C, h, w), forward, then backward from its end; the mean of both.

    The last frame has the forward answer alone.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ih = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.Sigmoid())
        self.hh = nn.Sequential(nn.Conv2d(2 * width, width, 3, 1, 1), nn.Tanh())

    def forward(self, clip: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The clip as remembered, (T, C, h, w), and the states (T, C, h, w) of the way forward."""
        state = torch.zeros_like(clip[:1]) if start is None else start
        forward = []
        for frame in one_by_one(clip):
            state = self.step(frame, state)
            forward.append(state)
        answers = [forward[-1]]
        for frame, ahead in zip(reversed(one_by_one(clip)[:-1]), reversed(forward[:-1]), strict=True):
            state = self.step(frame, state)
            answers.append((ahead + state) / 2)
        return torch.cat(answers[::-1]), torch.cat(forward)

    def step(self, frame: Tensor, state: Tensor) -> Tensor:
        reset, update = self.ih(torch.cat([frame, state], 1)).chunk(2, 1)
        candidate = self.hh(torch.cat([frame, reset * state], 1))
        mixed: Tensor = (1 - update) * state + update * candidate
        return mixed


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
        earlier, later = details[:-1], details[1:]
        none = details.new_zeros(1, 1, *details.shape[2:])
        from_before = torch.cat([none, self(torch.cat([earlier, later], 1))]) if len(later) else none
        from_after = torch.cat([self(torch.cat([later, earlier], 1)), none]) if len(later) else none
        return _enlarged(from_before), _enlarged(from_after)


def fuse(alphas: Tensor, forward: Tensor, backward: Tensor, previous: Tensor | None = None) -> Tensor:
    """Alphas (T, N, H, W) of a clip, T up to 3, in which the middle frame keeps what both directions agree on.

    `forward`, `backward` (T, 1, H, W): probabilities of change; `previous` (N, H, W): what the clip before this one
    answered for the first frame. Where nothing changes, a frame takes over its neighbour's alpha; where the two
    directions differ, it keeps its own. Source: MaGGIe, section 3.4, forward-backward fusion.
    """
    fused = [alphas[0]]
    if len(alphas) > 1:
        before = alphas[0] if previous is None else previous
        middle = _kept(before, alphas[1], forward[1] > _CHANGED)
        if len(alphas) > 2:
            back = _kept(alphas[2], alphas[1], backward[1] > _CHANGED)
            middle = torch.where(middle == back, middle, alphas[1])
        fused.append(middle)
    if len(alphas) > 2:
        fused.append(_kept(middle, alphas[2], forward[2] > _CHANGED))
    return torch.stack(fused)


def blended(alphas: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """Alphas (3, N, H, W), the middle one the mean of both neighbours' by the probabilities of change: for training."""
    ahead = _kept(alphas[0], alphas[1], forward[1])
    back = _kept(alphas[2], alphas[1], backward[1])
    return torch.stack([alphas[0], (ahead + back) / 2, alphas[2]])


def _kept(neighbour: Tensor, own: Tensor, changed: Tensor) -> Tensor:
    share = changed.to(own)
    return neighbour * (1 - share) + own * share


def _enlarged(logits: Tensor) -> Tensor:
    return functional.interpolate(logits, scale_factor=8, mode="bilinear", align_corners=False).sigmoid()
