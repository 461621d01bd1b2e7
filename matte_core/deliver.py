"""Deliverables: which channels a file holds for the compositor who asked for it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matte_core.compose import premultiply
from matte_core.errors import UsageError
from matte_core.frame import Attribute
from matte_core.instances import RULES, in_colours, picked
from matte_core.io.cryptomatte_shots import TYPE_NAME, attributes, ranked
from matte_core.shot import Shot

KINDS: Mapping[str, str] = {
    "matte": "the alpha alone, as channel A (several instances: <name>.A)",
    "straight": "straight foreground colour as RGB, and A",
    "premultiplied": "foreground times alpha as RGB, and A: what Merge expects",
    "layers": "premultiplied RGBA, the straight foreground as straight.RGB, and <name>.A per instance, in one file",
    "instances": "a file for each instance, its alpha as channel A",
    "cryptomatte": "all instances as a Cryptomatte, with their names, beside the plate as RGB",
}
COLOURED = ("straight", "premultiplied", "layers")


@dataclass(frozen=True)
class Deliverable:
    """One file per frame: what tells it apart, its shots, their channel names, what its header says."""

    part: str
    inputs: tuple[Shot, ...]
    names: tuple[tuple[str, ...], ...]
    attributes: Mapping[str, str]

    @property
    def tags(self) -> tuple[Attribute, ...]:
        """What the file says of its colour; nothing where it holds none."""
        coloured = "R" in {name for names in self.names for name in names}
        return self.inputs[0].header.tags if coloured else ()


def parse_kinds(text: str) -> list[str]:
    """Kinds of "matte,layers", each once. Raises UsageError for an unknown one."""
    kinds = list(dict.fromkeys(piece.strip() for piece in text.split(",") if piece.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise UsageError(f"'{(unknown or [text])[0]}' is no deliverable. Choose from: {', '.join(KINDS)}.")
    return kinds


def needs_foreground(kinds: Sequence[str]) -> bool:
    """Whether any of `kinds` holds the foreground's colour."""
    return any(kind in COLOURED for kind in kinds)


def colour_alone(plate: Shot) -> Deliverable:
    """A plate or composite as channels R, G, B."""
    return Deliverable("composite", (plate,), (("R", "G", "B"),), {})


def deliverables(
    kind: str, matte: Shot, total: Shot, foreground: Shot | None, plate: Shot | None, rule: str = "keep"
) -> list[Deliverable]:
    """The files of `kind`: `matte` has K layers, made to agree by `rule`, `total` is their sum; colours are straight.

    Raises UsageError where the kind holds colour and none was given, or two instances have one name.
    """
    layers = layer_names(matte)
    said = _said(matte, layers, rule)
    if kind == "matte":
        single = len(matte.channels) == 1
        return [Deliverable(kind, (matte,), (("A",) if single else tuple(f"{each}.A" for each in layers),), said)]
    if kind == "instances":
        alone = [picked(matte, f"A={name}") for name in matte.channels]
        return [Deliverable(name, (each,), (("A",),), said) for name, each in zip(layers, alone, strict=True)]
    if kind == "cryptomatte":
        beauty = [(plate, ("R", "G", "B"))] if plate is not None else []
        pairs = ranked(matte)
        shots = [*beauty, (in_colours(matte), tuple(f"{TYPE_NAME}.{last}" for last in "RGB")), (pairs, pairs.channels)]
        said = {**said, **attributes(matte)}
        return [Deliverable(kind, tuple(shot for shot, _ in shots), tuple(names for _, names in shots), said)]
    if foreground is None:
        raise UsageError(f"the deliverable '{kind}' holds colour, and no foreground was given. Connect a foreground.")
    colour, alpha = ("R", "G", "B"), ("A",)
    if kind == "straight":
        return [Deliverable(kind, (foreground, total), (colour, alpha), {**said, "matte/alpha": "straight"})]
    product, said = premultiply(foreground, total), {**said, "matte/alpha": "premultiplied"}
    if kind == "premultiplied":
        return [Deliverable(kind, (product, total), (colour, alpha), said)]
    straight = tuple(f"straight.{last}" for last in colour)
    names = (colour, alpha, straight, tuple(f"{each}.A" for each in layers))
    return [Deliverable(kind, (product, total, foreground, matte), names, {**said, "matte/straight": "straight"})]


def layer_names(matte: Shot) -> tuple[str, ...]:
    """A layer name for each instance that Nuke keeps: letters, digits and underscores, each once whatever the case."""
    names: list[str] = []
    for channel in matte.channels:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", "matte" if channel == "A" else channel).strip("_")
        plain = plain if plain[:1].isalpha() else f"matte_{plain}"
        again = sum(other.lower() == plain.lower() for other in names)
        while again and f"{plain}_{again + 1}".lower() in [other.lower() for other in names]:
            again += 1
        names.append(f"{plain}_{again + 1}" if again else plain)
    return tuple(names)


def _said(matte: Shot, layers: Sequence[str], rule: str) -> dict[str, str]:
    """What a file says of several instances: the rule for overlaps, and names that had to be changed for Nuke."""
    said: dict[str, str] = {}
    if len(matte.channels) > 1:
        said["matte/overlap"] = f"{rule}: {RULES[rule]}"
        said["matte/total"] = "may be above 1" if rule == "keep" else "at most 1"
    changed = {layer: name for layer, name in zip(layers, matte.channels, strict=True) if name not in ("A", layer)}
    if changed:
        said["matte/names"] = json.dumps(changed, ensure_ascii=False)
    return said
