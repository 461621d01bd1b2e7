"""ResNet-50, or a narrower one of its kind, at output stride 16. Source: He et al. 2016; Chen et al. 2018."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions added to the input: (N, 4 * inner, H / stride, W / stride)."""

    def __init__(self, before: int, inner: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        after = 4 * inner
        self.first = _normed(before, inner, 1)
        self.second = _normed(inner, inner, 3, stride, dilation)
        self.third = _normed(inner, after, 1)
        self.identity: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.identity = _normed(before, after, 1, stride)

    def forward(self, values: Tensor) -> Tensor:
        changed = functional.relu(self.second(functional.relu(self.first(values))))
        return functional.relu(self.third(changed) + self.identity(values))


class ResNet50(nn.Module):
    """Features at a quarter, an eighth and a sixteenth of the size of (N, channels, H, W).

    `inner` are the widths inside the bottlenecks of the four stages, of which each gives 4 times as many
    channels, and `counts` their numbers of bottlenecks; the last stage keeps its size, dilated by `dilations`.
    """

    def __init__(
        self,
        channels: int = 3,
        stem: int = 64,
        inner: Sequence[int] = (64, 128, 256, 512),
        counts: Sequence[int] = (3, 4, 6, 3),
        dilations: Sequence[int] = (1, 2, 1),
    ) -> None:
        super().__init__()
        wide = [4 * width for width in inner]
        self.enter = _normed(channels, stem, 7, 2)
        self.first = _stage(stem, inner[0], counts[0], 1)
        self.second = _stage(wide[0], inner[1], counts[1], 2)
        self.third = _stage(wide[1], inner[2], counts[2], 2)
        turns = [dilations[place % len(dilations)] for place in range(counts[3])]
        before = [wide[2], *[wide[3]] * (counts[3] - 1)]
        self.fourth = nn.Sequential(*(Bottleneck(b, inner[3], 1, turn) for b, turn in zip(before, turns, strict=True)))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values = functional.max_pool2d(functional.relu(self.enter(picture)), 3, 2, 1)
        quarter = self.first(values)
        eighth = self.second(quarter)
        return quarter, eighth, self.fourth(self.third(eighth))


def _stage(before: int, inner: int, count: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(4 * inner, inner) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(before, inner, stride), *rest)


def _normed(before: int, after: int, side: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (side // 2)
    layer = nn.Conv2d(before, after, side, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after))
