"""ResNet-50 at output stride 16, its last stage dilated. Source: He et al. 2016; Chen et al. 2018."""

from __future__ import annotations

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
    """Features at a quarter (256), an eighth (512) and a sixteenth (2048) of the size of (N, channels, H, W)."""

    def __init__(self, channels: int = 3, dilations: tuple[int, ...] = (1, 2, 1)) -> None:
        super().__init__()
        self.enter = _normed(channels, 64, 7, 2)
        self.first = _stage(64, 64, 3, 1)
        self.second = _stage(256, 128, 4, 2)
        self.third = _stage(512, 256, 6, 2)
        fourth = [Bottleneck(1024 if not place else 2048, 512, 1, wide) for place, wide in enumerate(dilations)]
        self.fourth = nn.Sequential(*fourth)

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
