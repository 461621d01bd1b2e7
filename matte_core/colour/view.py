"""What a network, a solver and a preview are shown of a plate; the plate itself is never altered.

One implementation serves processor and device, arrays and tensors: pixels (..., 3, H, W), float32 or half
going in, float32 coming out, always a new array. OpenColorIO gave the numbers when the View was made, so a
View that was written down and rebuilt elsewhere needs no configuration to give the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from matte_core.colour.config import Config
from matte_core.colour.curves import P, apply_curve_, on_copy, scrub_, shoulder_, srgb_encode_
from matte_core.colour.resolve import named
from matte_core.frame import Json

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class View:
    """How a plate is looked at: from its space to linear Rec.709, times the shot's exposure.

    space       the plate's colour space; `config` names the configuration it was looked up in: a record
    exposure    one factor for the whole shot, 1 for display-referred plates
    display     the plate is display-referred: networks and solvers get it as it is
    curve       from code values to linear light, per channel: "" (none), "srgb", or samples as text
    matrix      from the space's primaries to Rec.709, nine numbers row by row
    """

    space: str
    config: str
    exposure: float
    display: bool
    curve: str
    matrix: tuple[float, ...]

    def to_parameters(self) -> dict[str, Json]:
        """The view as plain JSON; the same plate, configuration and exposure always give the same."""
        return {**asdict(self), "matrix": list(self.matrix)}

    @staticmethod
    def from_parameters(parameters: Mapping[str, Json]) -> View:
        """The view that `to_parameters` wrote down."""
        return View(**{**parameters, "matrix": tuple(parameters["matrix"])})


def make_view(config: Config, space: str, exposure: float = 1.0) -> View:
    """The view of a plate in `space` (any of its names). Exposure is 1 for a display-referred space, whatever is given.

    Raises ColourError where the space is not known, or where its light cannot be had back by a curve per
    channel and a matrix.
    """
    space = named(config, space)
    transfer, display = config.transfer(space), config.display_referred(space)
    return View(space, config.identity, 1.0 if display else exposure, display, transfer.curve, transfer.matrix)


def encode_for_network(pixels: P, view: View) -> P:
    """Display light in 0..1 (..., 3, H, W): linear Rec.709 x exposure, shoulder, sRGB curve.

    Display-referred plates as they are, clipped. Negative light and NaN are 0, here only.
    """
    return on_copy(pixels, lambda plate: _each(plate, lambda picture: _encode(picture, view)))


def linear_light(pixels: P, view: View) -> P:
    """Linear Rec.709 (..., 3, H, W), unclipped, without exposure; display-referred plates are decoded too.

    NaN and infinities stay what they are.
    """
    return on_copy(pixels, lambda plate: _each(plate, lambda picture: _linear(picture, view, 1.0)))


def solver_light(pixels: P, view: View) -> P:
    """What a classic solver gets (..., 3, H, W): linear Rec.709 x exposure, unclipped, negatives kept, finite.

    Display-referred plates as they are, finite.
    """
    if view.display:
        return on_copy(pixels, scrub_)
    return on_copy(pixels, lambda plate: scrub_(_each(plate, lambda picture: _linear(picture, view, view.exposure))))


def _each(plate: Tensor, look: Callable[[Tensor], Tensor]) -> Tensor:
    """`plate` (..., 3, H, W) after `look` at each of its pictures, so that only one picture's scratch is held."""
    if plate.ndim < 3 or plate.shape[-3] != 3:
        raise ValueError(f"a plate is (..., 3, H, W), not {tuple(plate.shape)}")
    for picture in plate.view(plate.shape[:-3].numel(), *plate.shape[-3:]):
        picture.copy_(look(picture))
    return plate


def _encode(picture: Tensor, view: View) -> Tensor:
    if view.display:
        return picture.nan_to_num_(0.0).clamp_(0, 1)
    light = scrub_(_linear(picture, view, view.exposure)).clamp_(min=0)
    return srgb_encode_(shoulder_(light))


def _linear(picture: Tensor, view: View, gain: float) -> Tensor:
    light = apply_curve_(picture, view.curve)
    if view.matrix == _IDENTITY:
        return light if gain == 1 else light.mul_(gain)
    red, green, blue = light
    # Sums written out: a matrix product may be rounded to ten bits on a device that prefers speed.
    rows = [[gain * value for value in view.matrix[first : first + 3]] for first in (0, 3, 6)]
    mixed = [(red * r).add_(green, alpha=g).add_(blue, alpha=b) for r, g, b in rows]
    return torch.stack(mixed, out=picture)
