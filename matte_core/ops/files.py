"""Operations on files: read a plate or a matte, write deliverables."""

from __future__ import annotations

from typing import Annotated

from matte_core import compose
from matte_core.deliver import KINDS, colour_alone, deliverables, needs_foreground, parse_kinds
from matte_core.errors import UsageError
from matte_core.instances import RULES, agreed
from matte_core.io.outputs import CODECS, DEPTHS
from matte_core.io.sequence import with_part
from matte_core.io.writer import write_frames
from matte_core.op import Output, choice, matte, op, plate, text
from matte_core.ops.colour import estimate_foreground
from matte_core.ops.outputs import MATTE, PLATE
from matte_core.shot import Shot
from matte_core.sources import matte_source, plate_source, scene_linear
from matte_core.windows import over_window_of

MISSING = ("error", "hold", "skip")
NAN = ("error", "repair")
RECEIPT = Output("receipt", "written", "What was written.")


@op("Read EXR Sequence", "Matte/Files", [PLATE], aliases=["load exr", "exr sequence", "plate"])
def read_plate(
    path: Annotated[str, text("plate.####.exr, plate.%04d.exr, or one file. PNG, TIFF and JPEG too.", "read")],
    frames: Annotated[str, text("Frames: 1001-1100, 1001-1100x2, 1001,1005. Empty: all there are.")] = "",
    layer: Annotated[str, text("Layer of the EXR, e.g. beauty. Empty: R, G, B.")] = "",
    part: Annotated[str, text("Part of a multi-part EXR, by name or number.")] = "",
    space: Annotated[str, text("Colour space. Empty: read from the file, else scene-linear Rec.709.")] = "",
    ocio: Annotated[str, text("OCIO configuration. Empty: $OCIO, else the built-in ACES one.", "config")] = "",
    missing: Annotated[str, choice("What to do about missing frames.", lambda: MISSING)] = "error",
    nan: Annotated[str, choice("What to do about NaN and infinity.", lambda: NAN)] = "error",
) -> Shot:
    """Reads a plate: scene-linear EXR, or display-referred pictures, unclipped and unconverted."""
    return plate_source(path, frames, layer, part, space, ocio, missing, nan)


@op("Read Mask or Matte", "Matte/Files", [MATTE], aliases=["load mask", "trimap", "matte sequence"])
def read_matte(
    path: Annotated[str, text("mask.####.png or one still for the whole shot.", "read")],
    channel: Annotated[str, text("Channel to take. Empty: A of a matte, else the grey of the picture.")] = "",
    frames: Annotated[str, text("Frames. Empty: all there are.")] = "",
    missing: Annotated[str, choice("What to do about missing frames.", lambda: MISSING)] = "error",
) -> Shot:
    """Reads a mask, trimap or matte; never colour-converted, never inverted."""
    return matte_source(path, channel, frames, missing)


@op("Write EXR Sequence", "Matte/Files", [RECEIPT], aliases=["save exr", "render", "deliver"])
def write_sequence(
    matte: Annotated[Shot, matte("The matte.")],
    out: Annotated[str, text("Where to write: out/shot.####.exr", "write")],
    plate: Annotated[Shot | None, plate("The plate, for deliverables with colour and for its header.")] = None,
    foreground: Annotated[
        Shot | None, plate("Straight foreground. Without it, it is estimated from the plate.")
    ] = None,
    deliver: Annotated[str, text(f"One or more of: {', '.join(KINDS)}.")] = "matte",
    compression: Annotated[str, choice("Codec of the EXR files.", lambda: CODECS)] = "zip",
    depth: Annotated[str, choice("Bits per channel.", lambda: DEPTHS)] = "half",
    overlap: Annotated[str, choice("Where several instances add up to more than 1.", lambda: tuple(RULES))] = "share",
    composite: Annotated[
        Shot | None, plate("A composite to write along, as <name>_composite: one run for all.")
    ] = None,
    guide: Annotated[Shot | None, matte("A trimap or mask to write along, as <name>_guide.")] = None,
) -> tuple[Shot, ...]:
    """Writes deliverables for compositors, all in one run; resumable, each frame whole or not there."""
    kinds = parse_kinds(deliver)
    lossless, matte = agreed(matte, overlap), agreed(matte, overlap, half=depth == "half")
    if needs_foreground(kinds) and foreground is None:
        if plate is None:
            raise UsageError(f"'{deliver}' holds colour. Connect the plate or a foreground, or deliver 'matte'.")
        foreground = estimate_foreground(plate, matte)
    beauty = scene_linear(plate) if plate is not None else None
    if beauty is not None and "cryptomatte" in kinds:
        lossless = over_window_of(beauty, lossless, "matte")
    total = compose.total(matte)
    files = []
    for kind in kinds:
        made = deliverables(kind, lossless if kind == "cryptomatte" else matte, total, foreground, beauty, overlap)
        files += [(with_part(out, each.part) if len(kinds) > 1 or kind == "instances" else out, each) for each in made]
    if composite is not None:
        files.append((with_part(out, "composite"), colour_alone(scene_linear(composite))))
    if guide is not None:
        files += [(with_part(out, "guide"), each) for each in deliverables("matte", guide, guide, None, None)]
    return tuple(
        write_frames(
            file.inputs,
            file.names,
            pattern,
            compression=compression,
            depth=depth,
            attributes=file.attributes,
            tags=file.tags,
        )
        for pattern, file in files
    )


@op("Write Plate", "Matte/Files", [RECEIPT], aliases=["save exr", "render", "composite"])
def write_plate(
    plate: Annotated[Shot, plate("A plate or composite; written scene-linear, unclamped.")],
    out: Annotated[str, text("Where to write: out/comp.####.exr", "write")],
    compression: Annotated[str, choice("Codec of the EXR files.", lambda: CODECS)] = "zip",
    depth: Annotated[str, choice("Bits per channel.", lambda: DEPTHS)] = "half",
) -> tuple[Shot, ...]:
    """Writes colour alone, as channels R, G, B; resumable, each frame whole or not there."""
    file = colour_alone(scene_linear(plate))
    return (write_frames(file.inputs, file.names, out, compression=compression, depth=depth, tags=file.tags),)
