"""Layers under spectral norm whose tensors are called as in the published weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.layers.spectral import Layers

_SMALL = 1e-12


class _Tensors(nn.Module):
    """The weight before the norm, and the singular vectors that the norm is measured with."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.flatten(1)
        self.weight_bar = nn.Parameter(weight.detach().clone())
        self.weight_u = nn.Parameter(_unit(torch.randn(rows.shape[0])), requires_grad=False)
        self.weight_v = nn.Parameter(_unit(torch.randn(rows.shape[1])), requires_grad=False)


class Normed(nn.Module):
    """A convolution (or, `transposed`, its transpose) without bias, its weight divided by its largest singular value.

    That value is found by one power iteration from the stored vectors, at every call. Source: SAGAN's spectral norm.
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.module = _Tensors(layer.weight)
        self.stride, self.padding = layer.stride[0], int(layer.padding[0])
        self.transposed = isinstance(layer, nn.ConvTranspose2d)

    def forward(self, values: Tensor) -> Tensor:
        convolve = functional.conv_transpose2d if self.transposed else functional.conv2d
        return convolve(values, self.weight(), None, self.stride, self.padding)

    def weight(self) -> Tensor:
        """The weight after the norm; while training the vectors that were found are kept."""
        held = self.module
        rows = held.weight_bar.flatten(1)
        with torch.no_grad():
            v = _unit(rows.T @ held.weight_u)
            u = _unit(rows @ v)
            if self.training:
                held.weight_u.copy_(u)
                held.weight_v.copy_(v)
        return held.weight_bar / (u @ (rows @ v))

    def folded(self) -> nn.Conv2d | nn.ConvTranspose2d:
        """The plain layer that gives the same answers."""
        weight = self.weight().detach()
        out, into = (weight.shape[1], weight.shape[0]) if self.transposed else weight.shape[:2]
        kind = nn.ConvTranspose2d if self.transposed else nn.Conv2d
        plain = kind(into, out, weight.shape[2:], self.stride, self.padding, bias=False)  # type: ignore[arg-type]
        plain.weight = nn.Parameter(weight, requires_grad=False)
        return plain


@dataclass(frozen=True)
class NormedLayers(Layers):
    """Makes `Normed` layers for the blocks that networks share."""

    def convolution(self, before: int, after: int, side: int = 3, stride: int = 1, reflect: bool = False) -> nn.Module:
        return Normed(nn.Conv2d(before, after, side, stride, side // 2, bias=False))

    def transposed(self, before: int, after: int) -> nn.Module:
        return Normed(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False))


def fold(net: nn.Module) -> nn.Module:
    """`net` in evaluation, in place, every `Normed` layer replaced by the plain one: the same answers, quicker."""
    net.eval()
    for owner in list(net.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, Normed):
                setattr(owner, name, child.folded())
    return net


def _unit(vector: Tensor) -> Tensor:
    unit: Tensor = vector / (vector.norm() + _SMALL)
    return unit
