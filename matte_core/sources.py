"""Where shots come from: plates whose colour is known, mattes and guides, stills held for a whole shot."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from matte_core.colour import REC709_TAGS, View, linear_light, load_config, make_view, resolve_space, tags_for
from matte_core.frame import FrameRange
from matte_core.io.reader import Nan, hold, read_sequence, with_colour
from matte_core.io.sequence import Missing
from matte_core.shot import Kind, Shot, make
from matte_core.verb import Job, Result, Verb, register


def plate_source(
    path: str,
    frames: str = "",
    layer: str = "",
    part: str = "",
    space: str = "",
    ocio: str = "",
    missing: str = "error",
    nan: str = "error",
    needed: str = "",
) -> Shot:
    """A plate as it stands in its files, its colour space resolved and said in its notes.

    `frames` restricts the shot; `needed` restricts only which gaps matter. Raises SourceError, UsageError or
    ColourError.
    """
    shot = _read(path, frames, needed, missing, layer=layer, part=part, nan=nan)
    config = load_config(ocio)
    resolved = resolve_space(config, shot.header, path, space)
    view = make_view(config, resolved.space)
    shot = with_colour(shot, resolved.space, linear=not view.curve)
    tags = REC709_TAGS if view.curve else tags_for(config, resolved.space)
    header = replace(shot.header, colour_config=ocio, tags=tags)
    note = f"Colour space of the plate: {resolved.space} ({resolved.why})."
    return replace(shot, header=header, notes=(*shot.notes, note))


def matte_source(path: str, channel: str = "", frames: str = "", missing: str = "error", needed: str = "") -> Shot:
    """A mask, trimap or matte as it stands in its files: never colour-converted, never inverted."""
    return _read(path, frames, needed, missing, kind="matte", channel=channel)


def _read(
    path: str,
    frames: str,
    needed: str,
    missing: str,
    *,
    kind: Kind = "plate",
    layer: str = "",
    part: str = "",
    channel: str = "",
    nan: str = "repair",
) -> Shot:
    """The shot of `frames`; with `needed` the whole shot, in which only gaps in `needed` matter."""
    policy, holes = cast(Missing, missing), cast(Nan, nan)
    if not needed:
        return read_sequence(path, frames or None, layer, part, policy, kind, channel, holes)
    whole = read_sequence(path, None, layer, part, "skip" if policy == "error" else policy, kind, channel, holes)
    absent = [number for number in FrameRange.parse(needed) if number not in whole.frames]
    if absent and len(whole.frames) > 1 and policy != "skip":
        read_sequence(path, needed, layer, part, policy, kind, channel)  # raises, naming what is missing
    return whole


def hold_still(shot: Shot, frames: FrameRange) -> Shot:
    """`shot`, or where it is a single still, that still on every frame, and a note that says so."""
    if len(shot.frames) > 1 or shot.frames == frames or (len(frames) == 1 and frames[0] in shot.frames):
        return shot
    held = hold(shot, frames)
    return replace(held, notes=(*held.notes, f"One still is held for all {len(frames)} frames."))


def scene_linear(plate: Shot) -> Shot:
    """`plate` in scene-linear light: as it is, or decoded to linear Rec.709 where its space has a curve."""
    if plate.header.linear:
        return plate
    view = make_view(load_config(plate.header.colour_config), plate.header.colour_space)
    header = replace(plate.header, colour_space="Linear Rec.709 (sRGB)", linear=True, tags=REC709_TAGS)
    note = f"Colour is written in linear Rec.709: {plate.header.colour_space} is not scene-linear."
    return make("scene linear", [plate], {"view": view.to_parameters()}, header=header, notes=[note])


def _decode(job: Job) -> Result:
    view = View.from_parameters(job.parameter("view"))
    frames = [job.one(0, number) for number in job.numbers]
    return Result(
        [replace(f, pixels=linear_light(f.pixels, view), header=replace(f.header, linear=True)) for f in frames]
    )


register(Verb("scene linear", _decode))
