"""Operations on several named instances: from a Cryptomatte or an ID pass, picked, shown, written as a Cryptomatte."""

from __future__ import annotations

from typing import Annotated, cast

from matte_core import instances as named
from matte_core.engine.engine import PRECISIONS, pick_device
from matte_core.io import cryptomatte_shots
from matte_core.io.outputs import CODECS, DEPTHS
from matte_core.io.sequence import Missing
from matte_core.matting import guide_of_masks, matte_of
from matte_core.models.catalogue import names
from matte_core.op import Output, choice, integer, matte, op, plate, text
from matte_core.ops.files import MISSING, RECEIPT, write_sequence
from matte_core.ops.guides import GROW, SHRINK, SOFTNESS
from matte_core.ops.outputs import PLATE
from matte_core.shot import Shot
from matte_core.sources import hold_still

INSTANCE_MODEL = "maggie-small"  # nearer than Net-M once for each, on pictures and on clips (docs/measured.md)
INSTANCES = Output("matte", "instances", "One layer for each instance, by name; 1 = opaque.")


@op(
    "Instances from Cryptomatte",
    "Matte/Guides",
    [INSTANCES],
    aliases=["cryptomatte", "read cryptomatte", "decryptomatte", "id matte"],
)
def instances_from_cryptomatte(
    path: Annotated[str, text("render.####.exr with a Cryptomatte in it.", "read")],
    instances: Annotated[
        str, text("Names with commas between; * and ? stand for anything. Empty: every name in the manifest.")
    ] = "",
    layer: Annotated[str, text("Which Cryptomatte: crypto_object. Empty: the only one that has names.")] = "",
    frames: Annotated[str, text("Frames. Empty: all there are.")] = "",
    missing: Annotated[str, choice("What to do about missing frames.", lambda: MISSING)] = "error",
) -> Shot:
    """Reads named instances out of a renderer's Cryptomatte: their coverage as the renderer had it."""
    return cryptomatte_shots.read_cryptomatte(path, instances, layer, frames or None, cast(Missing, missing))


@op("Instances from ID Pass", "Matte/Guides", [INSTANCES], aliases=["object id", "id mask", "mask id", "puzzle matte"])
def instances_from_id_pass(
    path: Annotated[str, text("id.####.exr or id.####.png", "read")],
    ids: Annotated[str, text("hero=3, prop=7, or hero=#ff0000 for flat colours. Empty: every id but 0.")] = "",
    channel: Annotated[str, text("Channel with the numbers, e.g. id.Z. Empty: the only one, or grey.")] = "",
    frames: Annotated[str, text("Frames. Empty: all there are.")] = "",
    missing: Annotated[str, choice("What to do about missing frames.", lambda: MISSING)] = "error",
) -> Shot:
    """Reads masks of named instances from a picture whose pixels are ids: whole numbers, or flat colours."""
    return named.read_id_pass(path, ids, channel, frames or None, cast(Missing, missing))


def _models() -> list[str]:
    return [*names(told="instances"), *names()]


@op(
    "Instance Matte",
    "Matte/Alpha",
    [INSTANCES],
    aliases=["several people", "multi matte", "maggie", "layers", "matte per person"],
)
def instance_matte(
    plate: Annotated[Shot, plate("The plate.")],
    instances: Annotated[Shot, matte("A rough mask for each person or thing, by name.")],
    model: Annotated[
        str, choice("maggie sees all at once; the others take each by itself, a trimap around its mask.", _models)
    ] = INSTANCE_MODEL,
    shrink: Annotated[int, integer("Pixels inside a mask's edge that are unknown.", 0, 500)] = SHRINK,
    grow: Annotated[int, integer("Pixels outside a mask's edge that are unknown.", 0, 500)] = GROW,
    overlap: Annotated[str, choice("Where the instances add up to more than 1.", lambda: tuple(named.RULES))] = "share",
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> Shot:
    """A soft matte for each instance, under its name; together never more than 1. shrink and grow are for trimaps."""
    guide = guide_of_masks(hold_still(instances, plate.frames), model, shrink, grow, SOFTNESS)
    return named.agreed(matte_of(plate, guide, model, precision, pick_device()), overlap)


@op("Pick Instances", "Matte/Alpha", [INSTANCES], aliases=["shuffle", "layers", "rename"])
def pick_instances(
    matte: Annotated[Shot, matte("Several instances.")],
    instances: Annotated[str, text("Names with commas between, in the order wanted; new=old renames.")],
) -> Shot:
    """Some of the instances, in the order asked for, renamed where wanted."""
    return named.picked(matte, instances)


@op("Agree Instances", "Matte/Alpha", [INSTANCES], aliases=["overlap", "normalise", "occlusion"])
def agree_instances(
    matte: Annotated[Shot, matte("Several instances.")],
    overlap: Annotated[
        str, choice("share: divided among them. front first: an earlier one hides a later.", lambda: tuple(named.RULES))
    ] = "share",
) -> Shot:
    """The instances with alphas that never add up to more than 1, so that they can be put together again."""
    return named.agreed(matte, overlap)


@op("Instance Colours", "Matte/Look", [PLATE], aliases=["id colours", "preview", "cryptomatte preview"])
def instance_colours(matte: Annotated[Shot, matte("Several instances.")]) -> Shot:
    """Every instance in a colour of its own, over black."""
    return named.in_colours(matte)


@op("Write Cryptomatte", "Matte/Files", [RECEIPT], aliases=["cryptomatte", "encryptomatte", "save exr"])
def write_cryptomatte(
    matte: Annotated[Shot, matte("The instances; their names go into the manifest.")],
    out: Annotated[str, text("Where to write: out/shot.####.exr", "write")],
    plate: Annotated[Shot | None, plate("The plate, written beside it as R, G, B.")] = None,
    compression: Annotated[str, choice("Codec of the EXR files.", lambda: CODECS)] = "zip",
    depth: Annotated[str, choice("Bits per channel of the plate; ids are always 32 bit.", lambda: DEPTHS)] = "half",
    overlap: Annotated[
        str, choice("Where several instances add up to more than 1.", lambda: tuple(named.RULES))
    ] = "share",
) -> tuple[Shot, ...]:
    """Writes the instances as a Cryptomatte that Nuke and others pick by name; ids and coverage are lossless."""
    return write_sequence(
        matte, out, plate, deliver="cryptomatte", compression=compression, depth=depth, overlap=overlap
    )
