"""Where shots come from: plates whose colour is known, mattes and guides, stills held for a whole shot."""

from __future__ import annotations

from dataclasses import replace

from matte_core.colour import REC709_TAGS, View, linear_light, load_config, make_view, resolve_space, tags_for
from matte_core.frame import FrameRange
from matte_core.io.reader import hold, read_sequence
from matte_core.shot import Job, Result, Shot, Verb, make, register


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
    shot = read_sequence(path, frames, layer=layer, part=part, missing=missing, nan=nan, needed=needed, kind="plate")
    config = load_config(ocio)
    resolved = resolve_space(config, shot.header, path, space)
    view = make_view(config, resolved.space)
    tags = REC709_TAGS if view.curve else tags_for(config, resolved.space)
    header = replace(
        shot.header, colour_space=resolved.space, colour_config=ocio, linear=not view.curve, tags=tags
    )
    return replace(shot, header=header, notes=(*shot.notes, f"Colour space of the plate: {resolved.space} ({resolved.why})."))


def matte_source(path: str, channel: str = "", frames: str = "", missing: str = "error", needed: str = "") -> Shot:
    """A mask, trimap or matte as it stands in its files: never colour-converted, never inverted."""
    return read_sequence(path, frames, channel=channel, missing=missing, needed=needed, kind="matte")


def hold_still(shot: Shot, frames: FrameRange) -> Shot:
    """`shot`, or where it is a single still, that still on every frame, and a note that says so."""
    if len(shot.frames) > 1 or shot.frames == frames or len(frames) == 1 and frames[0] in shot.frames:
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
    return Result([replace(f, pixels=linear_light(f.pixels, view), header=replace(f.header, linear=True)) for f in frames])


register(Verb("scene linear", _decode))
