"""The critic of a composite: which patches of a picture look photographed, which look composited.

Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017 (patches of 70 x 70);
losses of Mao et al., "Least Squares Generative Adversarial Networks", 2017.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.func import functional_call


class Critic(nn.Module):
    """Scores (N, 1, h, w), about 1 for photographed and 0 for composited patches, of pictures (N, 3, H, W)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        steps: list[nn.Module] = []
        for place, (before, after) in enumerate(pairwise(widths)):
            steps.append(nn.Conv2d(before, after, 4, 1 if place == 3 else 2, 1))
            if place:
                steps.append(nn.InstanceNorm2d(after))
            steps.append(nn.LeakyReLU(0.2, inplace=True))
        self.steps = nn.Sequential(*steps, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.steps(2 * pictures - 1)
        return scores

    def convinced(self, composite: Tensor) -> Tensor:
        """How far `composite` is from being taken for photographed; its slope reaches the composite, not the critic."""
        fixed = {name: value.detach() for name, value in self.state_dict(keep_vars=True).items()}
        scores: Tensor = functional_call(self, fixed, (composite,))
        return (scores - 1).square().mean()

    def mistaken(self, photograph: Tensor, composite: Tensor) -> Tensor:
        """How far the critic is from telling both apart; its slope reaches the critic, not the composite."""
        real: Tensor = self(photograph)
        made: Tensor = self(composite.detach())
        return (real - 1).square().mean() + made.square().mean()
