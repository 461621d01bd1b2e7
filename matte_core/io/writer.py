"""The verb "write": several shots as one file per frame, finished or not there, with the stamp it was made under."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from matte_core import __version__
from matte_core.errors import OutputError, SourceError, UsageError
from matte_core.frame import REMARK, Attribute, Frame, FrameRange, Header, Json, Window
from matte_core.io import atomic
from matte_core.io.exr import decodes, write_picture
from matte_core.io.image import FORMATS, read_header
from matte_core.io.outputs import CODECS, DEPTHS, check_channels, check_storage
from matte_core.io.reader import files_behind
from matte_core.io.sequence import Pattern, one_file, output_file, parse
from matte_core.io.windows import spell
from matte_core.shot import Shot, make
from matte_core.verb import VERBS, Declaration, Job, Result, Verb, register

__all__ = [
    "CODECS",
    "DEPTHS",
    "check_output",
    "finished",
    "outputs",
    "pending",
    "recipe",
    "stamped",
    "sweep",
    "write_frames",
]

_OWN = ("matte/stamp", "matte/settings", "matte/recipe", "matte/software")
# What the source says of its colour; whether it is true of the output only the caller knows, who gives `tags`.
_COLOUR = ("colorInteropID", "chromaticities", "adoptedNeutral", "oiio:ColorSpace", "ICCProfile:profile_description")
_RECEIPT = Header(Window(0, 0, 1, 1), Window(0, 0, 1, 1))


def write_frames(
    inputs: Sequence[Shot],
    names: Sequence[Sequence[str]],
    pattern: str,
    *,
    compression: str = "zip",
    depth: str = "half",
    attributes: Mapping[str, str] | None = None,
    tags: Sequence[Attribute] = (),
    frames: FrameRange | None = None,
) -> Shot:
    """A shot of receipts, (1, 1, 1) each; pulling one writes that frame's file.

    A file holds the channels of all `inputs` side by side, called by `names` (one list per input), under the
    first input's header: windows, timecode, all its metadata but what it says of its colour. That is said by
    `tags` where the file holds colour; what else it is to say of itself is in `attributes`. The ending of
    `pattern` chooses EXR ("half" or "float", a codec of CODECS) or PNG and TIFF ("8", or 16 bit as "half", 0..1).
    Inputs of the kind "data" come last and are written to EXR as 32-bit floats, bit for bit.

    Raises UsageError for names, codecs, sizes and frames that cannot be right.
    """
    attributes = dict(attributes or {})
    format = FORMATS.get(Path(pattern).suffix.lower(), "")
    frames = inputs[0].frames if frames is None else frames
    check_channels(inputs, names, format)
    compression, depth = check_storage(inputs, names, format, compression, depth, attributes)
    for shot in inputs:
        lacking = FrameRange(number for number in frames if number not in shot.frames)
        if lacking:
            raise UsageError(f"Frames {lacking} are to be written, but '{shot.verb}' has {shot.frames}. Write fewer.")
        if shot.header.data != inputs[0].header.data:
            raise UsageError(
                f"'{shot.verb}' covers {spell(shot.header.data)}, '{inputs[0].verb}' {spell(inputs[0].header.data)}. "
                "Bring them to one size and place before they are written into one file."
            )
    reserved = sorted(set(attributes) & set(_OWN))
    if reserved:
        raise UsageError(f"The attribute {reserved[0]} is Matte's own. Choose another name.")
    output_file(pattern, frames[0])
    if len(frames) > 1 and one_file(pattern):
        raise UsageError(f"'{Path(pattern).name}' is one file for {len(frames)} frames. Put #### in its name.")
    folder = Path(parse(pattern)[0].folder)
    parameters = {
        "pattern": str(folder / Path(pattern).name),
        "format": format,
        "names": [list(each) for each in names],
        "compression": compression,
        "depth": depth,
        "attributes": attributes,
        "tags": [[entry.name, entry.type, entry.value] for entry in tags],
    }
    return make("write", inputs, parameters, kind="receipt", frames=frames, header=_RECEIPT, channels=("receipt",))


def finished(path: Path, stamp: str) -> bool:
    """Whether the file carries `stamp` and every pixel of it decodes. Existence and a header prove nothing."""
    return path.is_file() and _said(path).get("matte/stamp") == stamp and decodes(path)


def stamped(shot: Shot, number: int) -> bool:
    """Whether a file of the "write" shot carries the stamp expected now; what is in it is not decoded."""
    path = output_file(shot.parameters["pattern"], number)
    return path.is_file() and _said(path).get("matte/stamp") == shot.stamp(number)


def pending(shot: Shot, numbers: Sequence[int] | None = None) -> FrameRange:
    """The frames (of `numbers`) of a "write" shot that are not finished: not there, not whole, or made otherwise."""
    memo: dict[tuple[int, int], str] = {}
    pattern = shot.parameters["pattern"]
    asked = shot.frames if numbers is None else numbers
    return FrameRange(n for n in asked if not finished(output_file(pattern, n), shot.stamp(n, memo)))


def outputs(work: Sequence[tuple[Shot, FrameRange]]) -> list[tuple[Pattern, FrameRange]]:
    """The pattern of each "write" shot that has frames left, and those frames: what a process claims."""
    return [(parse(shot.parameters["pattern"])[0], numbers) for shot, numbers in work if numbers]


def sweep(shot: Shot) -> int:
    """How many temporary files that dead processes left for this "write" shot were removed."""
    return atomic.sweep(parse(shot.parameters["pattern"])[0])


def check_output(shot: Shot, overwrite: bool = False, numbers: Sequence[int] | None = None) -> None:
    """Nothing, where the "write" shot can write `numbers`; the last folder of its path is made if need be.

    Raises OutputError where the folder cannot be made or written to, and, without `overwrite`, where files
    stand there that these settings did not make; UsageError where an input would be overwritten.
    """
    pattern = shot.parameters["pattern"]
    targets = [output_file(pattern, number) for number in (shot.frames if numbers is None else numbers)]
    if not targets:
        return
    sources = {os.path.normcase(path.resolve()) for path in files_behind(shot)}
    own = next((target for target in targets if os.path.normcase(target.resolve()) in sources), None)
    if own is not None:
        raise UsageError(f"{own.name} is an input of this shot and would be overwritten. Write to another name.")
    _check_folder(targets[0].parent)
    if overwrite:
        return
    settings = shot.settings()
    foreign = [target for target in targets if target.exists() and _said(target).get("matte/settings") != settings]
    if foreign:
        raise OutputError(
            f"{foreign[0].name} stands in {foreign[0].parent} and was not made with these settings "
            f"({len(foreign)} of {len(targets)} frames). Write a new version, or use --overwrite."
        )


def _check_folder(folder: Path) -> None:
    try:
        if not folder.is_dir() and folder.parent.is_dir():
            folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileNotFoundError as error:
        raise OutputError(f"The folder {folder} is not there, nor is the one above it. Make it.") from error
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be written to: {error.strerror}. Choose another.") from error


def _said(path: Path) -> dict[str, Json]:
    """Matte's own attributes in the file, none where it is no readable picture."""
    try:
        return read_header(path).written
    except SourceError:
        return {}


def _write(job: Job) -> Result:
    receipts = []
    for number in job.numbers:
        frames = [job.one(which, number) for which in range(len(job.shot.inputs))]
        _write_frame(job.shot, number, frames)
        remarks = [entry for entry in frames[0].header.metadata if entry.name == REMARK]
        receipts.append(Frame(np.ones((1, 1, 1), np.float32), number, _RECEIPT.with_attributes(remarks)))
    return Result(receipts)


def _write_frame(shot: Shot, number: int, frames: Sequence[Frame]) -> None:
    parameters = shot.parameters
    target = output_file(parameters["pattern"], number)
    names = [name for each in parameters["names"] for name in each]
    for frame, each in zip(frames, parameters["names"], strict=True):
        if frame.pixels.shape != (len(each), *frames[0].pixels.shape[1:]):
            raise OutputError(f"{target.name}: {frame.pixels.shape} pixels do not fit the channels {', '.join(each)}.")
    own = [
        Attribute("matte/stamp", "string", shot.stamp(number)),
        Attribute("matte/settings", "string", shot.settings()),
        Attribute("matte/recipe", "string", recipe(shot)),
        Attribute("matte/software", "string", f"Matte {__version__}"),
        *(Attribute(name, "string", value) for name, value in parameters["attributes"].items()),
        *(Attribute(name, kind, value) for name, kind, value in parameters["tags"]),
    ]
    header = _carried(frames[0].header)
    layers = [frame.pixels for frame in frames]
    storage = (parameters["compression"], parameters["depth"])
    exact = sum(len(source.channels) for source in shot.inputs if source.kind == "data")
    try:
        with atomic.replacing(target) as temporary:
            write_picture(temporary, parameters["format"], names, layers, header, *storage, own, exact)
    except (OSError, OutputError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise OutputError(_failure(target, reason, sum(layer.nbytes for layer in layers))) from error


def _failure(target: Path, reason: str, size: int) -> str:
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError:
        free = size
    full = f"the disk is full ({free >> 20} MB free)" if free < size else reason
    return (
        f"{target.name} cannot be written to {target.parent}: {full}. "
        "Make room or check the folder, then run again: finished frames are kept."
    )


def _carried(header: Header) -> Header:
    return replace(header, metadata=tuple(entry for entry in header.metadata if entry.name not in _COLOUR))


def recipe(shot: Shot) -> str:
    """How the shot is made, as short JSON: verbs, versions, parameters without folders, and who reads whom."""
    order = shot.lineage()
    place = {id(each): index for index, each in enumerate(order)}
    entries = [
        {
            "verb": each.verb,
            "version": VERBS[each.verb].version,
            "parameters": dict(VERBS[each.verb].recipe(each.parameters)),
            "inputs": [place[id(source)] for source in each.inputs],
        }
        for each in order
    ]
    return json.dumps(entries, sort_keys=True, separators=(",", ":"))


def _recipe(parameters: Mapping[str, Json]) -> Mapping[str, Json]:
    return {name: value for name, value in parameters.items() if name != "pattern"}


register(Verb("write", _write, declare=lambda parameters: Declaration(lane="write"), recipe=_recipe))
