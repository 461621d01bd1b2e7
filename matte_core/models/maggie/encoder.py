"""What is made once per frame: a picture with its masks to features at 1/8, and skips at full, 1/2 and 1/4 size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.spectral import Adapter, Block, Layers, Rise
from matte_core.models.maggie.settings import SLOTS, Settings


class Encoder(nn.Module):
    """A picture (T, 3, H, W), ImageNet-normalised, and masks (T, 10, H, W) of 0 and 1 to features at 1/32 and skips.

    Each pixel carries the mean of the embeddings of the masks it lies in. Source: MaGGIe, section 3.2; GCA-Matting.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        layers, (one, two, three, four, five) = settings.layers(), settings.widths
        first, second, third, last = settings.depths
        self.mask_embed_layer = nn.Embedding(SLOTS + 1, 3)  # row 0 belongs to no mask
        self.conv1, self.bn1 = layers.convolution(6, one, stride=2), nn.BatchNorm2d(one)
        self.conv2, self.bn2 = layers.convolution(one, one), nn.BatchNorm2d(one)
        self.conv3, self.bn3 = layers.convolution(one, two, stride=2), nn.BatchNorm2d(two)
        self.layer1 = _stage(layers, two, two, first, 1)
        self.layer2 = _stage(layers, two, three, second, 2)
        self.layer3 = _stage(layers, three, four, third, 2)
        self.layer_bottleneck = _stage(layers, four, five, last, 2)
        widths = ((6, one), (one, one), (two, two), (three, three), (four, four))
        self.shortcut = nn.ModuleList(Adapter(layers, before, after) for before, after in widths)

    def forward(self, picture: Tensor, masks: Tensor, order: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        values = torch.cat([picture, self.embedded(masks, order)], 1)
        places = [values]
        values = functional.relu(self.bn1(self.conv1(values)))
        places.append(functional.relu(self.bn2(self.conv2(values))))
        values = functional.relu(self.bn3(self.conv3(places[-1])))
        for stage in (self.layer1, self.layer2, self.layer3):
            values = stage(values)
            places.append(values)
        skips = [adapt(place) for adapt, place in zip(self.shortcut, places, strict=True)]
        return self.layer_bottleneck(values), skips

    def embedded(self, masks: Tensor, order: Tensor | None = None) -> Tensor:
        """(T, 3, H, W): the mean embedding of the masks at each pixel, 0 where there is none.

        `order` (10,): which slot each mask takes, while training by chance.
        """
        table = self.mask_embed_layer.weight[1:]
        sums = torch.einsum("tkhw,kc->tchw", masks, table if order is None else table[order])
        return sums / (masks.sum(1, keepdim=True) + 1e-6)


class AtrousPyramid(nn.Module):
    """Features (T, C, h, w) seen at five reaches: 1 x 1, 3 x 3 at 2, 4 and 8, and the mean of the frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        for place, rate in enumerate((0, 2, 4, 8, 0), 1):
            layer = nn.Conv2d(width, inner, 3 if rate else 1, 1, rate, max(rate, 1), bias=False)
            setattr(self, f"aspp{place}", layer)
            setattr(self, f"aspp{place}_bn", nn.BatchNorm2d(inner))
        self.conv2, self.bn2 = nn.Conv2d(5 * inner, width, 1, bias=False), nn.BatchNorm2d(width)

    def forward(self, values: Tensor) -> Tensor:
        seen = [self._branch(place, values) for place in (1, 2, 3, 4)]
        whole = self._branch(5, values.mean((2, 3), keepdim=True))
        joined = torch.cat([*seen, whole.expand_as(seen[0])], 1)
        return functional.relu(self.bn2(self.conv2(joined)))

    def _branch(self, place: int, values: Tensor) -> Tensor:
        convolved = getattr(self, f"aspp{place}")(values)
        return functional.relu(getattr(self, f"aspp{place}_bn")(convolved))


def rising(layers: Layers, before: int, after: int, count: int) -> nn.Sequential:
    """A stage of the decoder: twice the size, then `count` - 1 more residual blocks."""
    return nn.Sequential(
        Rise(layers, before, after), *(Block(layers, after, after, rising=True) for _ in range(count - 1))
    )


def _stage(layers: Layers, before: int, after: int, count: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(layers, before, after, stride), *(Block(layers, after, after) for _ in range(count - 1)))
