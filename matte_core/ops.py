"""The operations: what a person can do, as plain functions over shots. Every face reads them from here."""

from __future__ import annotations

from typing import Annotated

from matte_core import compose, foreground, trimap
from matte_core.deliver import KINDS, deliverable, needs_foreground, parse_kinds
from matte_core.engine.engine import PRECISIONS, pick_device
from matte_core.errors import UsageError
from matte_core.guide import Guide
from matte_core.io.outputs import CODECS, DEPTHS
from matte_core.io.sequence import with_part
from matte_core.io.writer import write_frames
from matte_core.matting import matte_of
from matte_core.models.catalogue import names
from matte_core.op import Output, choice, integer, matte, number, op, plate, shot, text
from matte_core.shot import Shot
from matte_core.sources import hold_still, matte_source, plate_source, scene_linear
from matte_core.windows import over_window_of

DEFAULT_MODEL = "net_m-small"
SHRINK, GROW, SOFTNESS = 8, 16, 1.0
MISSING = ("error", "hold", "skip")
NAN = ("error", "repair")

PLATE = Output("plate", "plate", "The plate, a description: no pixels are read until they are needed.")
MATTE = Output("matte", "matte", "Alpha in 0..1; 1 = opaque.")
RECEIPT = Output("receipt", "written", "What was written.")


@op("Read EXR Sequence", "Matte/Files", [PLATE], aliases=["load exr", "exr sequence", "plate"])
def read_plate(
    path: Annotated[str, text("plate.####.exr, plate.%04d.exr, or one file. PNG, TIFF and JPEG too.", "read")],
    frames: Annotated[str, text("Frames: 1001-1100, 1001-1100x2, 1001,1005. Empty: all there are.")] = "",
    layer: Annotated[str, text("Layer of the EXR, e.g. beauty. Empty: R, G, B.")] = "",
    part: Annotated[str, text("Part of a multi-part EXR, by name or number.")] = "",
    space: Annotated[str, text("Colour space. Empty: read from the file, else scene-linear Rec.709.")] = "",
    ocio: Annotated[str, text("OCIO configuration. Empty: $OCIO, else the built-in ACES one.", "read")] = "",
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


@op("Trimap from Mask", "Matte/Guides", [Output("matte", "trimap", "0 background, 0.5 unknown, 1 foreground.")])
def trimap_from_mask(
    mask: Annotated[Shot, matte("A rough mask.")],
    shrink: Annotated[int, integer("Pixels inside the edge that stay unknown.", 0, 500)] = SHRINK,
    grow: Annotated[
        int, integer("Pixels outside the edge that stay unknown: as far as the hair reaches.", 0, 500)
    ] = GROW,
    softness: Annotated[float, number("How far the band follows the mask's own softness.", 0, 4)] = SOFTNESS,
) -> Shot:
    """A trimap around the edge of a mask: surely inside, surely outside, and a band to be solved."""
    return trimap.trimap_from_mask(mask, shrink, grow, softness)


@op("Estimate Alpha", "Matte/Alpha", [MATTE], aliases=["matting", "alpha matte", "closed form"])
def estimate_alpha(
    plate: Annotated[Shot, plate("The plate.")],
    guide: Annotated[Shot, matte("A trimap (0 background, 0.5 unknown, 1 foreground).")],
    model: Annotated[str, choice("The model that finds the alpha.", names)] = DEFAULT_MODEL,
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> Shot:
    """The alpha of the plate where the trimap is unknown; linear coverage."""
    return matte_of(plate, Guide(trimap=hold_still(guide, plate.frames)), model, precision, pick_device())


@op("Refine Matte", "Matte/Alpha", [MATTE], aliases=["black clip", "white clip", "choke", "erode", "dilate"])
def refine_matte(
    matte: Annotated[Shot, matte("The matte.")],
    black: Annotated[float, number("Black clip: alpha at or below it becomes 0.", 0, 1)] = 0.0,
    white: Annotated[float, number("White clip: alpha at or above it becomes 1.", 0, 1)] = 1.0,
    grow: Annotated[float, number("Pixels to grow; negative shrinks.", -100, 100, 0.1)] = 0.0,
    blur: Annotated[float, number("Pixels to blur.", 0, 100, 0.1)] = 0.0,
    gamma: Annotated[float, number("Gamma: above 1 lifts the half-covered edge.", 0.1, 10)] = 1.0,
) -> Shot:
    """The controls artists know, in this order: clips, grow or shrink, blur, gamma."""
    return compose.refine_matte(matte, black, white, grow, blur, gamma)


@op("Foreground", "Matte/Colour", [Output("plate", "foreground", "Straight foreground colour, scene-linear.")])
def estimate_foreground(
    plate: Annotated[Shot, plate("The plate.")],
    matte: Annotated[Shot, matte("Its matte.")],
) -> Shot:
    """The subject's own colour without the background's: in linear light, unclamped, the plate where alpha is 1."""
    return foreground.estimate_foreground(scene_linear(plate), over_window_of(plate, matte, "matte"))


@op("Over", "Matte/Colour", [PLATE], aliases=["composite", "merge"])
def over(
    foreground: Annotated[Shot, plate("Straight foreground.")],
    matte: Annotated[Shot, matte("Its matte.")],
    background: Annotated[Shot, plate("What to put it over.")],
) -> Shot:
    """The foreground over a background, in linear light."""
    front, back = scene_linear(foreground), hold_still(scene_linear(background), foreground.frames)
    return compose.over(front, over_window_of(front, matte, "matte"), over_window_of(front, back, "background"))


@op("Premultiply", "Matte/Colour", [PLATE])
def premultiply(plate: Annotated[Shot, plate("Straight colour.")], matte: Annotated[Shot, matte("Its matte.")]) -> Shot:
    """Colour times alpha."""
    return compose.premultiply(scene_linear(plate), over_window_of(plate, matte, "matte"))


@op("Unpremultiply", "Matte/Colour", [PLATE])
def unpremultiply(
    plate: Annotated[Shot, plate("Premultiplied colour.")], matte: Annotated[Shot, matte("Its matte.")]
) -> Shot:
    """Colour divided by alpha, left alone where alpha is 0."""
    return compose.unpremultiply(scene_linear(plate), over_window_of(plate, matte, "matte"))


@op("Despill", "Matte/Colour", [PLATE], aliases=["green screen", "blue screen", "spill"])
def despill(
    plate: Annotated[Shot, plate("The foreground.")],
    screen: Annotated[str, choice("Colour of the screen.", lambda: tuple(compose.SCREENS))] = "green",
    amount: Annotated[float, number("How much of the spill is taken away.", 0, 1)] = 1.0,
    balance: Annotated[float, number("Limit: 0 the smaller, 0.5 the mean, 1 the larger of the others.", 0, 1)] = 0.5,
) -> Shot:
    """Takes the screen's light off the foreground, in linear light; highlights stay."""
    return compose.despill(scene_linear(plate), screen, amount, balance)


@op("Difference", "Matte/Look", [PLATE], aliases=["compare", "diff"])
def difference(
    first: Annotated[Shot, shot("A plate or a matte.")],
    second: Annotated[Shot, shot("Another of the same kind.")],
    gain: Annotated[float, number("Makes small differences visible.", 0, 1000, 0.1)] = 1.0,
) -> Shot:
    """How far two shots differ: the absolute difference, times a gain."""
    return compose.difference(first, over_window_of(first, second, "second shot"), gain)


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
) -> tuple[Shot, ...]:
    """Writes deliverables for compositors; resumable, each frame whole or not there."""
    kinds = parse_kinds(deliver)
    if needs_foreground(kinds) and foreground is None:
        if plate is None:
            raise UsageError(f"'{deliver}' holds colour. Connect the plate or a foreground, or deliver 'matte'.")
        foreground = estimate_foreground(plate, matte)
    total = compose.total(matte)
    receipts = []
    for kind in kinds:
        made = deliverable(kind, matte, total, foreground)
        tags = foreground.header.tags if foreground is not None and made.has_colour else ()
        receipts.append(
            write_frames(
                made.inputs,
                made.names,
                with_part(out, kind) if len(kinds) > 1 else out,
                compression=compression,
                depth=depth,
                attributes=made.attributes,
                tags=tags,
            )
        )
    return tuple(receipts)


@op("Write Plate", "Matte/Files", [RECEIPT], aliases=["save exr", "render", "composite"])
def write_plate(
    plate: Annotated[Shot, plate("A plate or composite; written scene-linear, unclamped.")],
    out: Annotated[str, text("Where to write: out/comp.####.exr", "write")],
    compression: Annotated[str, choice("Codec of the EXR files.", lambda: CODECS)] = "zip",
    depth: Annotated[str, choice("Bits per channel.", lambda: DEPTHS)] = "half",
) -> tuple[Shot, ...]:
    """Writes colour alone, as channels R, G, B; resumable, each frame whole or not there."""
    linear = scene_linear(plate)
    names = [("R", "G", "B")]
    return (write_frames([linear], names, out, compression=compression, depth=depth, tags=linear.header.tags),)
