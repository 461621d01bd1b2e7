"""Shots read from files: the verbs "read" (a sequence or a still) and "hold" (one frame for a whole shot)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from matte_core.errors import SourceError, UsageError
from matte_core.frame import Attribute, Frame, FrameRange, Header, Json, Window
from matte_core.io import chunks
from matte_core.io.channels import matte_channels, plate_channels, settle_matte
from matte_core.io.image import MOST_SAMPLES, FileInfo, Part, read_header, read_pixels, scrub
from matte_core.io.sequence import Found, Missing, Pattern, find
from matte_core.io.windows import place, spell, union
from matte_core.patience import attended
from matte_core.shot import Kind, Shot, make
from matte_core.verb import Declaration, Job, Result, Verb, register

Nan = Literal["error", "repair"]


def read_sequence(
    path: str,
    frames: str | None = None,
    layer: str = "",
    part: str = "",
    missing: Missing = "error",
    kind: Kind = "plate",
    channel: str = "",
    nan: Nan = "repair",
) -> Shot:
    """A shot of the frames that `path` names: a pattern (see `sequence`), a file, or a folder with one sequence.

    A plate is R, G, B of the layer (a grey file three times Y), as they are in the file. A matte or guide is
    one channel or the `channel`s named (see `channels.matte_channels`), clamped to 0..1; data is the same, not
    clamped. NaN and infinity
    become 0 and ±65504, counted per frame in `matte/repaired`; with `nan` "error" they fail the frame. Where
    data windows vary, every frame is given over the union of all files' data windows, whatever was asked for.

    Every header, and every EXR's table of chunks, is read here; `missing` ("error", "hold", "skip") settles
    gaps and files cut short. Raises SourceError or UsageError, naming file and cure.
    """
    found = find(path, frames)
    infos, damaged = attended(lambda turn_to: _scan(found, turn_to))
    settled = _settle(found, damaged, missing)
    first_on_disk = infos[min(infos)]
    part, channels = _choose(found, min(infos), first_on_disk, kind, layer, part, channel)
    parts = _parts(found, infos, set(settled.values()), part, channels)
    first = parts[settled[min(settled)]].header
    window = _window(found, parts, first, len(channels))
    held = {str(number): source for number, source in settled.items() if number != source}
    parameters = {
        "folder": found.pattern.folder,
        "file": [found.pattern.prefix, found.pattern.suffix, found.pattern.padding],
        "names": {str(number): name for number, name in found.names.items() if name != found.pattern.file_name(number)},
        "held": held,
        "part": part,
        "channels": list(channels),
        "window": [window.x, window.y, window.width, window.height],
        "kind": kind,
        "colour_space": "",
        "linear": first.linear or kind != "plate",
        "nan": nan,
    }
    header = replace(first, data=window, linear=first.linear or kind != "plate")
    names = ("R", "G", "B") if kind == "plate" else _layer_names(channels)
    return make(
        "read",
        (),
        parameters,
        kind=kind,
        frames=FrameRange(settled),
        header=header,
        channels=names,
        notes=_notes(found, settled, parts),
    )


def with_colour(shot: Shot, colour_space: str, linear: bool) -> Shot:
    """The "read" shot whose frames say that they are in `colour_space`; its pixels stay as they are."""
    parameters = {**shot.parameters, "colour_space": colour_space, "linear": linear}
    header = replace(shot.header, colour_space=colour_space, linear=linear)
    return replace(shot, parameters=parameters, header=header)


def hold(shot: Shot, frames: FrameRange) -> Shot:
    """The one frame of `shot` at each number of `frames`. Raises UsageError where `shot` has more than one."""
    if len(shot.frames) != 1:
        raise UsageError(f"A still is one frame, but frames {shot.frames} were given. Name one file.")
    return make("hold", (shot,), frames=frames)


def files_behind(shot: Shot) -> list[Path]:
    """Every file that `shot` and the shots it reads are made from."""
    return [
        _file(reading.parameters, number)
        for reading in shot.lineage()
        if reading.verb == "read"
        for number in reading.frames
    ]


def _scan(found: Found, turn_to: Callable[[str], None]) -> tuple[dict[int, FileInfo], dict[int, SourceError]]:
    """The header of every file on disk, and what is wrong with those that cannot be decoded."""
    infos: dict[int, FileInfo] = {}
    damaged: dict[int, SourceError] = {}
    for number in found.on_disk:
        path = found.file_for(number)
        turn_to(path.name)
        try:
            infos[number] = read_header(path, None if found.still else number)
            if number in found.wanted and chunks.cut_short(path):
                whole = infos[number].parts[0]  # decoding has the last word: tables can be rebuilt by the library
                read_pixels(path, whole.channels, str(whole.index), number)
        except SourceError as error:
            infos.pop(number, None)
            damaged[number] = error
    if not infos:
        raise next(iter(damaged.values()))
    return infos, damaged


def _settle(found: Found, damaged: Mapping[int, SourceError], missing: Missing) -> dict[int, int]:
    wrong = [number for number in found.wanted if number in damaged]
    if wrong and missing == "error":
        more = f" ({len(wrong)} of {len(found.wanted)} frames cannot be read)" if len(wrong) > 1 else ""
        first = damaged[wrong[0]]
        raise SourceError(f"{str(first).removesuffix('.')} or use --missing hold{more}.") from first
    return found.without(damaged).settle(missing)


def _choose(
    found: Found, number: int, info: FileInfo, kind: Kind, layer: str, part: str, channel: str
) -> tuple[str, tuple[str, ...]]:
    if kind == "plate":
        if channel:
            raise UsageError("A plate is R, G and B of a layer. Use --layer, or --channel for a matte.")
        return plate_channels(info, layer, part)
    part, channels, look = matte_channels(info, layer, part, channel)
    if look:
        pixels, _ = read_pixels(found.file_for(number), look, part, number)
        channels = (settle_matte(info.file, dict(zip(look, pixels, strict=True))),)
    return part, channels


def _parts(
    found: Found, infos: Mapping[int, FileInfo], used: set[int], part: str, channels: Sequence[str]
) -> dict[int, Part]:
    """The part of every file that holds the channels. Raises SourceError for a frame in use that lacks them."""
    parts: dict[int, Part] = {}
    for number, info in infos.items():
        candidates = [each for each in info.parts if part in ("", each.name, str(each.index))]
        fitting = [each for each in candidates if set(channels) <= set(each.channels)]
        if fitting and not fitting[0].deep:
            parts[number] = fitting[0]
        elif number in used:
            lacks = "holds deep samples" if fitting else f"has no {', '.join(dict.fromkeys(channels))}"
            raise SourceError(f"{info.file} (frame {number}) {lacks}. Render it like the others, flat.")
    return parts


def _window(found: Found, parts: Mapping[int, Part], first: Header, channels: int) -> Window:
    """The data window of the whole sequence. Raises SourceError where frames differ in size of picture."""
    for number in found.wanted:
        display = parts[number].header.display if number in parts else first.display
        if display != first.display:
            raise SourceError(
                f"{found.names[number]} (frame {number}) has a display window of {spell(display)}, the first frame of "
                f"{spell(first.display)}. Render it like the others, or read the frames apart with --frames."
            )
    window = union(part.header.data for part in parts.values() if part.header.display == first.display)
    if window.width * window.height * channels > MOST_SAMPLES:
        raise SourceError(
            f"The data windows of {found.pattern.name} reach over {window.width} x {window.height} pixels, "
            "more than can be read at once. Crop them to the picture."
        )
    return window


def _notes(found: Found, settled: Mapping[int, int], parts: Mapping[int, Part]) -> list[str]:
    notes = []
    held = FrameRange(number for number, source in settled.items() if number != source)
    left_out = FrameRange(number for number in found.wanted if number not in settled)
    if held:
        notes.append(f"{found.pattern.name}: frames {held} are missing; the frame before is held.")
    if left_out:
        notes.append(f"{found.pattern.name}: frames {left_out} are missing and left out.")
    if len({parts[source].header.data for source in settled.values()}) > 1:
        notes.append(f"{found.pattern.name}: data windows vary; every frame is read over the union of all.")
    return notes


def _layer_names(channels: Sequence[str]) -> tuple[str, ...]:
    """Names of a matte's layers: "A" for a single one, else the channel without its ".A", dots as underscores."""
    if len(channels) == 1:
        return ("A",)
    return tuple(name.removesuffix(".A").replace(".", "_") for name in channels)


def _file(parameters: Mapping[str, Json], number: int) -> Path:
    source: int = parameters["held"].get(str(number), number)
    prefix, suffix, padding = parameters["file"]
    pattern = Pattern(parameters["folder"], prefix, suffix, padding)
    name: str = parameters["names"].get(str(source)) or pattern.file_name(source)
    return Path(pattern.folder) / name


def _read(job: Job) -> Result:
    parameters = job.shot.parameters
    window = Window(*parameters["window"])
    frames = []
    for number in job.numbers:
        path = _file(parameters, number)
        pixels, header = read_pixels(path, parameters["channels"], parameters["part"], number)
        pixels, repaired = scrub(pixels)
        if repaired and parameters["nan"] == "error":
            raise SourceError(
                f"{path.name} (frame {number}) has {repaired} values that are NaN or infinite. "
                "Render it again or use --nan repair."
            )
        if parameters["kind"] not in ("plate", "data"):
            np.clip(pixels, 0.0, 1.0, out=pixels)
        told = [Attribute("matte/repaired", "int", repaired)] if repaired else []
        if str(number) in parameters["held"]:
            told.append(Attribute("matte/held", "int", parameters["held"][str(number)]))
        if not _within(header.data, window):
            raise SourceError(f"{path.name} (frame {number}) has changed since the shot was made. Run again.")
        pixels = place(pixels, header.data, window)
        header = replace(
            header, data=window, colour_space=parameters["colour_space"], linear=parameters["linear"]
        ).with_attributes(told)
        frames.append(Frame(pixels, number, header))
    return Result(frames)


def _within(inner: Window, outer: Window) -> bool:
    return union((inner, outer)) == outer


def _recipe(parameters: Mapping[str, Json]) -> Mapping[str, Json]:
    """What changes the pixels: no folder; which file stands for which frame is told by `_source`."""
    return {name: value for name, value in parameters.items() if name not in ("folder", "names", "held", "nan")}


def _source(parameters: Mapping[str, Json], number: int) -> Json:
    path = _file(parameters, number)
    try:
        entry = path.stat()
    except OSError as error:
        raise SourceError(f"{path.name} (frame {number}) is gone from {path.parent}. Bring it back.") from error
    return [path.name, entry.st_size, int(entry.st_mtime)]


def _hold(job: Job) -> Result:
    stills = [job.one(0, number) for number in job.numbers]
    return Result(
        [Frame(still.pixels, number, still.header) for still, number in zip(stills, job.numbers, strict=True)]
    )


register(Verb("read", _read, declare=lambda parameters: Declaration(lane="read"), source=_source, recipe=_recipe))
register(
    Verb("hold", _hold, declare=lambda parameters: Declaration(needs=lambda shot, which, number: shot.inputs[0].frames))
)
