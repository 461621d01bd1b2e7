"""Several named instances in one matte: made to agree, picked by name, shown in colours, read from an ID pass."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_core.colour import REC709_TAGS
from matte_core.errors import UsageError
from matte_core.frame import Json, Pixels
from matte_core.io.image import read_header
from matte_core.io.reader import read_sequence
from matte_core.io.sequence import Missing, find
from matte_core.pull import frames as pulled
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

RULES: Mapping[str, str] = {
    "share": "where the sum of the instances is above 1, each is divided by it",
    "front first": "an earlier instance stands in front: a later one gets what is left of 1",
    "keep": "as they are; their sum may be above 1",
}
MOST_IDS = 64
_HALF, _FLOAT = 2**11, 2**24  # steps to 1 that halves and floats hold exactly, and so their sums
_GOLDEN = 0.6180339887498949  # turns of hue between neighbours that never come close to each other
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_COLOUR_WIDTH = 0.02  # how far a channel may lie from the colour asked for: JPEG moves it by a few of 255


def agreed(matte: Shot, rule: str = "share", half: bool = False) -> Shot:
    """The matte (K, H, W) whose layers never add up to more than 1; unchanged where they do not.

    `rule` is one of RULES; `half` keeps the promise also for what half floats make of the layers. Raises UsageError
    for another rule.
    """
    if rule not in RULES:
        raise UsageError(f"'{rule}' is no rule for overlapping instances. Choose one of: {', '.join(RULES)}.")
    if rule == "keep" or len(matte.channels) == 1:
        return matte
    return make("agree", [matte], {"rule": rule, "half": half})


def agree(layers: Pixels, rule: str, half: bool = False) -> Pixels:
    """`layers` (K, H, W) in 0..1 by one of RULES; see `agreed`."""
    stored = layers.astype(np.float16).astype(np.float32) if half else layers
    over = np.maximum(layers.sum(axis=0), stored.sum(axis=0)) > 1
    if rule == "keep" or not over.any():
        return layers
    clashing = layers[:, over].astype(np.float64)
    if rule == "share":
        fair = clashing / np.maximum(clashing.sum(axis=0), 1)
    else:
        before = np.cumsum(clashing, axis=0) - clashing
        fair = np.clip(1 - before, 0, clashing)
    steps = np.rint(fair * (_HALF if half else _FLOAT))
    steps[fair.argmax(axis=0), np.arange(steps.shape[1])] += (_HALF if half else _FLOAT) - steps.sum(axis=0)
    settled = layers.copy()
    settled[:, over] = steps / (_HALF if half else _FLOAT)
    return settled


def picked(matte: Shot, text: str) -> Shot:
    """The layers of the matte that `text` names, in its order, "new=old" to rename: "hero, left=prop_03".

    Raises UsageError for a name that is not there or comes twice.
    """
    wanted: dict[str, str] = {}
    for piece in [each.strip() for each in text.split(",") if each.strip()]:
        new, mark, old = piece.partition("=")
        new, old = (new.strip(), old.strip()) if mark and piece not in matte.channels else (piece, piece)
        if old not in matte.channels:
            raise UsageError(f"The matte has no instance '{old}'. It has: {', '.join(matte.channels)}.")
        if new in wanted:
            raise UsageError(f"Two instances would be called '{new}'. Name them apart.")
        wanted[new] = old
    if not wanted:
        raise UsageError(f"No instance was picked. Name one or more of: {', '.join(matte.channels)}.")
    places = [matte.channels.index(old) for old in wanted.values()]
    return make("pick instances", [matte], {"places": places}, channels=list(wanted))


def in_colours(matte: Shot) -> Shot:
    """A plate (3, H, W), linear Rec.709, premultiplied: each instance in a colour of its own, by its place."""
    header = replace(matte.header, colour_space="Linear Rec.709 (sRGB)", linear=True, tags=REC709_TAGS)
    return make("colour instances", [matte], kind="plate", header=header, channels=("R", "G", "B"))


def colours(count: int) -> NDArray[np.float32]:
    """`count` colours (count, 3), bright, far apart, the first ones always the same."""
    return np.array([colorsys.hsv_to_rgb(place * _GOLDEN % 1, 0.9, 1) for place in range(count)], np.float32)


def read_id_pass(
    path: str, ids: str = "", channel: str = "", frames: str | None = None, missing: Missing = "error"
) -> Shot:
    """A mask (K, H, W) of 0 and 1 per instance, from a picture whose pixels are ids: numbers, or flat colours.

    ids      "hero=3, prop=7", or "hero=#ff0000" for colours as they are in the file; "" for every number but 0
             in the first frame, named id_3
    channel  where the numbers are; "" for the only one, or the picture's grey

    8- and 16-bit files hold whole numbers. Raises SourceError or UsageError.
    """
    named = _named(ids)
    flat = [value for value in named.values() if value.startswith("#")]
    if flat and len(flat) < len(named):
        raise UsageError(f"'{ids}' mixes numbers and colours. Give one or the other.")
    channel = channel or ("R,G,B" if flat else "")
    source = read_sequence(path, frames, missing=missing, kind="data", channel=channel)
    found = find(path, frames)
    pixel_type = read_header(found.file_for(found.on_disk[0])).parts[0].types[0]
    if flat and len(source.channels) != 3:
        raise UsageError(f"Colours need three channels, not {channel}. Leave the channel empty for R, G, B.")
    scale = {"uint8": 255, "uint16": 65535}.get(pixel_type, 1)
    if not named:
        named = {f"id_{value}": str(value) for value in _numbers_in(source, scale)}
    if len(named) > MOST_IDS:
        raise UsageError(f"{len(named)} instances are more than {MOST_IDS}. Name the ones you need, such as hero=3.")
    parameters = {"ids": list(named.values()), "scale": scale}
    return make("id pass", [source], parameters, kind="matte", channels=list(named))


def _named(text: str) -> dict[str, str]:
    """Ids by name of "hero=3, prop=7". Raises UsageError for anything else."""
    named: dict[str, str] = {}
    for piece in [each.strip() for each in text.split(",") if each.strip()]:
        name, mark, value = (part.strip() for part in piece.rpartition("="))
        if not mark or not name or not (value.isdigit() or _COLOUR.fullmatch(value)):
            raise UsageError(f"'{piece}' names no id. Write hero=3 for a number, or hero=#ff0000 for a colour.")
        if name in named:
            raise UsageError(f"Two instances are called '{name}'. Name them apart.")
        named[name] = value
    return named


def _numbers_in(source: Shot, scale: int) -> list[int]:
    """The ids in the first frame, ascending, 0 left out. Raises UsageError where there are none or far too many."""
    pixels = next(iter(pulled(source, source.frames[:1]))).pixels[0] * scale
    found = np.unique(np.rint(pixels))
    if not MOST_IDS >= np.count_nonzero(found) > 0:
        raise UsageError(
            f"The first frame holds {np.count_nonzero(found)} different ids, which is no ID pass to be read whole. "
            "Name the ids you need, such as hero=3."
        )
    return [int(value) for value in found if value]


def _selected(pixels: Pixels, value: str, scale: int) -> NDArray[np.bool_]:
    if value.startswith("#"):
        wanted = np.array([int(value[place : place + 2], 16) / 255 for place in (1, 3, 5)], np.float32)
        return np.asarray((np.abs(pixels - wanted[:, None, None]) <= _COLOUR_WIDTH).all(axis=0))
    return np.asarray(np.abs(pixels[0] * scale - int(value)) < 0.5)


def _id_pass(frame: Pixels, parameters: Mapping[str, Json]) -> Pixels:
    return np.stack([_selected(frame, value, parameters["scale"]) for value in parameters["ids"]])


def _agree(frame: Pixels, parameters: Mapping[str, Json]) -> Pixels:
    return agree(frame, parameters["rule"], parameters["half"])


def _pick(frame: Pixels, parameters: Mapping[str, Json]) -> Pixels:
    return frame[parameters["places"]]


def _colour(frame: Pixels, parameters: Mapping[str, Json]) -> Pixels:
    return np.tensordot(colours(len(frame)).T, agree(frame, "share"), axes=1)


def _register(name: str, function: Callable[[Pixels, Mapping[str, Json]], NDArray[Any]]) -> None:
    """A verb that makes each frame from the same frame of its one input."""

    def compute(job: Job) -> Result:
        frames = [job.one(0, number) for number in job.numbers]
        return Result(
            [f.having(np.ascontiguousarray(function(f.pixels, job.shot.parameters), np.float32)) for f in frames]
        )

    register(Verb(name, compute))


_register("agree", _agree)
_register("pick instances", _pick)
_register("colour instances", _colour)
_register("id pass", _id_pass)
