"""Which channels of a file are the plate, and which one is the matte.

A channel's layer is what stands before its last dot: `hair` of `hair.A`, "" of `R`. In a file of several
parts, a part called `hair` with channels R, G, B counts as the layer `hair` too, as Nuke writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from matte_core.errors import UsageError
from matte_core.frame import Pixels
from matte_core.io.image import FileInfo, Part

_RGB = (("R", "r", "Red", "red", "RED"), ("G", "g", "Green", "green", "GREEN"), ("B", "b", "Blue", "blue", "BLUE"))
_ALPHA = ("A", "a", "Alpha", "alpha", "ALPHA")
_GREY = ("Y", "y")
_NOT_GREY = 0.02  # how far R, G and B of a mask may lie apart: JPEG changes grey by 1 in 255


def plate_channels(info: FileInfo, layer: str = "", part: str = "") -> tuple[str, tuple[str, ...]]:
    """The part and the three channels of a plate: R, G, B of the layer, or its Y three times (grey).

    Raises UsageError, listing what there is, where part or layer is not there or holds no colour.
    """
    for candidate, members in _places(info, layer, part):
        colour = tuple(name for spellings in _RGB if (name := _first(members, spellings)))
        if len(colour) == 3:
            return _part_key(info, candidate), colour
        grey = _first(members, _GREY)
        if grey and not colour:
            return _part_key(info, candidate), (grey, grey, grey)
    raise _unknown(info, f"R, G and B in layer '{layer}'" if layer else "R, G and B", part)


def matte_channels(
    info: FileInfo, layer: str = "", part: str = "", channel: str = ""
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The part, the channels of a matte or guide, and channels to look at before trusting that choice.

    `channel` names it (several with commas, one layer of the matte each): in full (`hair.A`), or within
    `layer`. Otherwise: the only channel; A where there is no colour beside it; R or Y where there is no A.
    Where a picture has both, the third result is not empty and `settle_matte` decides from pixels.

    Raises UsageError, listing what there is, where part, layer or channel is not there.
    """
    if channel:
        return (*_named(info, layer, part, [name.strip() for name in channel.split(",")]), ())
    for candidate, members in _places(info, layer, part):
        key = _part_key(info, candidate)
        if len(members) == 1:
            return key, tuple(members.values()), ()
        alpha, grey = _first(members, _ALPHA), _first(members, _GREY)
        colour = [name for spellings in _RGB if (name := _first(members, spellings))]
        if alpha and not colour and not grey:
            return key, (alpha,), ()
        if grey or colour:
            shown = [grey] if grey else colour
            return key, (alpha or shown[0],), tuple(shown) + ((alpha,) if alpha else ())
    raise _unknown(info, f"a matte in layer '{layer}'" if layer else "a matte", part)


def settle_matte(name: str, looked_at: Mapping[str, Pixels]) -> str:
    """The channel that is the matte of a picture with colour, from its first frame's pixels (H, W) by channel.

    Its A, as everywhere in compositing, unless A is solid; then R (or Y), the mask drawn in grey. Raises
    UsageError where R, G and B differ: that is a picture, and no mask.
    """
    alphas = [channel for channel in looked_at if channel.rpartition(".")[2] in _ALPHA]
    shown = [channel for channel in looked_at if channel not in alphas]
    if alphas and float(looked_at[alphas[0]].min()) < 1.0:
        return alphas[0]
    values = [looked_at[channel] for channel in shown]
    if max(float(np.abs(other - values[0]).max()) for other in values) > _NOT_GREY:
        solid = ", and its alpha is solid" if alphas else " and it has no alpha"
        raise UsageError(f"{name} is a colour picture{solid}, so it holds no matte. Name the channel with --channel.")
    return shown[0]


def _named(info: FileInfo, layer: str, part: str, wanted: list[str]) -> tuple[str, tuple[str, ...]]:
    for candidate, members in _places(info, layer, part, anywhere=True):
        names = [members.get(name) or (name if name in candidate.channels else "") for name in wanted]
        if all(names):
            return _part_key(info, candidate), tuple(names)
    raise _unknown(info, "channel " + ", ".join(wanted) + (f" in layer '{layer}'" if layer else ""), part)


def _places(info: FileInfo, layer: str, part: str, anywhere: bool = False) -> Iterator[tuple[Part, dict[str, str]]]:
    """Each part looked in, with the layer's channels by their last name."""
    for candidate in [info.part(part)] if part else info.parts:
        prefix = f"{layer}." if layer else ""
        members = {
            name[len(prefix) :]: name
            for name in candidate.channels
            if name.startswith(prefix) and "." not in name[len(prefix) :]
        }
        if layer and not members and candidate.name == layer:
            members = {name.rpartition(".")[2]: name for name in candidate.channels}
        if members or (anywhere and not layer):
            yield candidate, members


def _first(members: Mapping[str, str], spellings: tuple[str, ...]) -> str:
    return next((members[spelling] for spelling in spellings if spelling in members), "")


def _part_key(info: FileInfo, part: Part) -> str:
    """What finds the part again in another frame's file: its name where that is unique, else its index."""
    if len(info.parts) == 1:
        return ""
    alone = [each.name for each in info.parts].count(part.name) == 1
    return part.name if part.name and alone else str(part.index)


def _unknown(info: FileInfo, wanted: str, part: str) -> UsageError:
    looked_in = [info.part(part)] if part else list(info.parts)
    if len(looked_in) > 1:
        listed = "; ".join(f"{each.name or each.index}: {_short(each)}" for each in looked_in)
        return UsageError(f"{info.file} has no {wanted}. Its parts are: {listed}. Name one of them.")
    return UsageError(f"{info.file} has no {wanted}. Its channels are: {_short(looked_in[0])}. Name one of them.")


def _short(part: Part) -> str:
    layers: dict[str, list[str]] = {}
    for name in part.channels:
        layer, _, last = name.rpartition(".")
        layers.setdefault(layer, []).append(last)
    return ", ".join(f"{layer}.{'/'.join(names)}" if layer else " ".join(names) for layer, names in layers.items())
