"""Convolutions with or without spectral norm, and the residual blocks made of them.

Source: the encoder and decoder of GCA-Matting as arXiv 2103.17020, figures S4 to S7, takes them over.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval, parametrize
from torch.nn.utils.parametrizations import spectral_norm

_SLOPE = 0.2


@dataclass(frozen=True)
class Layers:
    """Makes layers without bias, under spectral norm where `spectral` is set."""

    spectral: bool = True

    def convolution(self, before: int, after: int, side: int = 3, stride: int = 1, reflect: bool = False) -> nn.Module:
        """A convolution padded to keep the size at stride 1."""
        layer = nn.Conv2d(before, after, side, stride, side // 2, bias=False)
        layer.padding_mode = "reflect" if reflect else "zeros"
        return self._normed(layer)

    def transposed(self, before: int, after: int) -> nn.Module:
        """A 4 x 4 transposed convolution: twice the size."""
        return self._normed(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False))

    def convolved(self, before: int, after: int, stride: int) -> nn.Sequential:
        """Convolution, batch norm, ReLU."""
        return nn.Sequential(
            self.convolution(before, after, stride=stride), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )

    def guide(self, widths: tuple[int, ...]) -> nn.Sequential:
        """Reflecting convolution of stride 2, ReLU, batch norm, for every next one of `widths`."""
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            layer = self.convolution(before, after, stride=2, reflect=True)
            parts += [layer, nn.ReLU(inplace=True), nn.BatchNorm2d(after)]
        return nn.Sequential(*parts)

    def _normed(self, layer: nn.Module) -> nn.Module:
        return spectral_norm(layer) if self.spectral else layer


def fold(net: nn.Module) -> nn.Module:
    """`net` in evaluation with spectral norm, and batch norm right after a convolution, worked into its weights, in
    place: the same answers, plain layers."""
    net.eval()
    for module in list(net.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential):
            _fold_norms(module)
    return net


def _fold_norms(layers: nn.Sequential) -> None:
    for place, (before, after) in enumerate(pairwise(list(layers))):
        if isinstance(before, nn.Conv2d | nn.ConvTranspose2d) and isinstance(after, nn.BatchNorm2d):
            transposed = isinstance(before, nn.ConvTranspose2d)
            layers[place] = fuse_conv_bn_eval(before, after, transposed)
            layers[place + 1] = nn.Identity()


class Block(nn.Module):
    """Residual block of an encoder (ReLU) or, with `rising` set, of a decoder (leaky ReLU): two 3 x 3 convolutions.

    At stride 2 or another width the identity goes through a 2 x 2 average pool and a 1 x 1 convolution.
    """

    def __init__(self, layers: Layers, before: int, after: int, stride: int = 1, rising: bool = False) -> None:
        super().__init__()
        hidden = before if rising else after
        self.slope = _SLOPE if rising else 0.0
        self.first = nn.Sequential(layers.convolution(before, hidden, stride=stride), nn.BatchNorm2d(hidden))
        self.second = nn.Sequential(layers.convolution(hidden, after), nn.BatchNorm2d(after))
        self.identity: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            pool = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
            self.identity = nn.Sequential(pool, layers.convolution(before, after, 1), nn.BatchNorm2d(after))

    def forward(self, values: Tensor) -> Tensor:
        changed = self.second(functional.leaky_relu(self.first(values), self.slope))
        return functional.leaky_relu(changed + self.identity(values), self.slope)


class Rise(nn.Module):
    """Residual block of a decoder that doubles the size: transposed convolution, 3 x 3 convolution."""

    def __init__(self, layers: Layers, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Sequential(layers.transposed(before, before), nn.BatchNorm2d(before))
        self.second = nn.Sequential(layers.convolution(before, after), nn.BatchNorm2d(after))
        # A 1 x 1 convolution of an enlarged picture is the enlarged convolution: a quarter of the work.
        self.identity = nn.Sequential(
            layers.convolution(before, after, 1), nn.BatchNorm2d(after), nn.Upsample(scale_factor=2, mode="nearest")
        )

    def forward(self, values: Tensor) -> Tensor:
        changed = self.second(functional.leaky_relu(self.first(values), _SLOPE))
        return functional.leaky_relu(changed + self.identity(values), _SLOPE)


class Adapter(nn.Sequential):
    """What a skip goes through: twice a 3 x 3 convolution, ReLU, batch norm, in this order."""

    def __init__(self, layers: Layers, before: int, after: int) -> None:
        super().__init__(
            layers.convolution(before, after),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(after),
            layers.convolution(after, after),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(after),
        )


def start_gently(net: nn.Module) -> None:
    """Set the scale of the last batch norm of every residual branch to 0, so that each block starts as its identity."""
    for module in net.modules():
        if isinstance(module, (Block, Rise)):
            last = module.second[-1]
            assert isinstance(last, nn.BatchNorm2d)
            nn.init.zeros_(last.weight)
