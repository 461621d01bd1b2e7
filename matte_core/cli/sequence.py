"""`matte sequence`: the main job. A plate and a rough mask (or a trimap) in, mattes out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, cast

import click
import torch
from click.core import ParameterSource

from matte_core import ops
from matte_core.cli.planned import Planned
from matte_core.cli.share import sharing
from matte_core.cli.work import carry_out
from matte_core.deliver import KINDS
from matte_core.engine.engine import DEVICES, PRECISIONS, pick_device
from matte_core.errors import UsageError
from matte_core.frame import FrameRange
from matte_core.guide import Guide
from matte_core.instances import RULES
from matte_core.io.cryptomatte_shots import read_cryptomatte
from matte_core.io.sequence import Missing
from matte_core.joint import FUSION, FUSIONS, joint_matte_of
from matte_core.keyframes import keyframed
from matte_core.masks import instances_of
from matte_core.matting import guide_of_masks, matte_of
from matte_core.models.catalogue import model
from matte_core.passes import DIRECTIONS, carried_from_keys
from matte_core.shot import Shot
from matte_core.sources import hold_still, matte_source, plate_source
from matte_core.windows import over_window_of


@dataclass(frozen=True)
class Settings:
    """What the person asked for; names and defaults are the command's."""

    plate: str
    mask: str | None
    trimap: str | None
    mask_channel: str
    cryptomatte: str | None
    instances: tuple[str, ...]
    out: str
    model: str
    frames: str
    layer: str
    part: str
    in_space: str
    ocio: str
    deliver: str
    missing: str
    nan: str
    overwrite: bool
    device: str
    precision: str
    memory: str
    compile: bool
    compression: str
    depth: str
    trimap_model: str
    fusion: str
    shrink: int
    grow: int
    softness: float
    black: float
    white: float
    edge: float
    blur: float
    gamma: float
    overlap: str
    smooth: float
    reach: int
    keyframes: str
    direction: str
    cuts: str


@click.command()
@click.argument("plate")
@click.option("--mask", help="A rough mask of the subject; 1 = selected. A sequence, or a still for the whole shot.")
@click.option("--trimap", help="A trimap instead of a mask: 0 background, 0.5 unknown, 1 foreground.")
@click.option(
    "--mask-channel",
    default="",
    help="Channel of the mask or trimap; hair.A,coat.A makes two instances. Or the name of a Cryptomatte.",
)
@click.option(
    "--cryptomatte",
    metavar="NAMES",
    help="Instances of the Cryptomatte that the mask's file holds: hero,prop_* or '*' for all.",
)
@click.option(
    "--instances",
    multiple=True,
    metavar="NAME=PATTERN",
    help="A rough mask of one subject, by its name, instead of --mask; once for each subject.",
)
@click.option(
    "--keyframes",
    default="",
    metavar="FRAMES",
    help="Frames that --mask or --trimap is drawn for, such as 1001,1040. Models that carry masks go from them both "
    "ways; for others the outline moves from key to key.",
)
@click.option("--out", required=True, metavar="PATTERN", help="Where to write: out/shot_matte.####.exr")
@click.option("--model", default=ops.DEFAULT_MODEL, show_default=True, help="See: matte models")
@click.option(
    "--frames", default="", metavar="RANGE", help="1001-1100, 1001-1100x2, 1001,1005. Default: all there are."
)
@click.option("--layer", default="", help="Layer of the plate's EXR, e.g. beauty.")
@click.option("--part", default="", help="Part of a multi-part EXR, by name or number.")
@click.option("--in-space", default="", metavar="SPACE", help="Colour space of the plate. Default: read from the file.")
@click.option(
    "--ocio", default="", metavar="FILE", help="OCIO configuration. Default: $OCIO, else the built-in ACES one."
)
@click.option("--deliver", default="matte", show_default=True, metavar="KINDS", help=", ".join(KINDS) + ".")
@click.option(
    "--missing", default="error", show_default=True, type=click.Choice(["error", "hold", "skip"]), help="Gaps."
)
@click.option(
    "--nan", default="error", show_default=True, type=click.Choice(["error", "repair"]), help="NaN and infinity."
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there and were made otherwise.")
@click.option("--device", default="auto", show_default=True, help=", ".join(DEVICES) + ", cuda:N")
@click.option("--precision", default="auto", show_default=True, help=", ".join(PRECISIONS))
@click.option(
    "--memory",
    default="",
    metavar="6GB",
    help="The most memory to take, of the machine and of a graphics card each. Default: what there is.",
)
@click.option("--compile", is_flag=True, help="Compile networks first: a minute for each size, quicker afterwards.")
@click.option("--compression", default="zip", show_default=True, help="Codec of the EXR files.")
@click.option("--depth", default="half", show_default=True, help="half or float.")
@click.option(
    "--trimap-model",
    default="auto",
    show_default=True,
    metavar="NAME",
    help=f"Network that finds the trimap from mask and plate. none: --shrink and --grow. auto: {ops.TRIMAP_MODEL}, "
    "but none where --shrink, --grow or --softness is given.",
)
@click.option(
    "--fusion",
    default=FUSION,
    show_default=True,
    type=click.Choice(list(FUSIONS)),
    help="How the network's trimap and the alpha become one.",
)
@click.option(
    "--shrink", default=ops.SHRINK, show_default=True, help="Pixels the mask is shrunk to be surely foreground."
)
@click.option("--grow", default=ops.GROW, show_default=True, help="Pixels the mask is grown to be surely background.")
@click.option(
    "--softness", default=ops.SOFTNESS, show_default=True, help="How far the band follows the mask's own softness."
)
@click.option("--black", default=0.0, show_default=True, help="Black clip: alpha at or below becomes 0.")
@click.option("--white", default=1.0, show_default=True, help="White clip: alpha at or above becomes 1.")
@click.option("--edge", default=0.0, show_default=True, help="Grow (+) or shrink (-) the matte, in pixels.")
@click.option("--blur", default=0.0, show_default=True, help="Blur the matte, in pixels.")
@click.option("--gamma", default=1.0, show_default=True, help="Gamma of the matte.")
@click.option(
    "--overlap",
    default="share",
    show_default=True,
    type=click.Choice(list(RULES)),
    help="Where several instances add up to more than 1.",
)
@click.option(
    "--smooth",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Smooth the matte over time, along the motion; never over a cut.",
)
@click.option(
    "--reach",
    default=ops.REACH,
    show_default=True,
    type=click.IntRange(0, 8),
    help="Frames before and after that --smooth looks at.",
)
@click.option(
    "--direction",
    default=DIRECTIONS[0],
    show_default=True,
    type=click.Choice(DIRECTIONS),
    help="Which way a model carries masks from keyframes.",
)
@click.option(
    "--cuts",
    default="",
    metavar="FRAMES",
    help="Frames at which new takes begin, or none; nothing is carried over them. Default: found.",
)
@sharing
@click.pass_context
def sequence(context: click.Context, /, **options: Any) -> int:
    """Make the matte of PLATE: an EXR sequence such as plate.####.exr, or PNG, TIFF, JPEG."""
    return carry_out(context, planned_sequence)


def planned_sequence(context: click.Context) -> Planned:
    """What the command will do, as its options say. Raises MatteError where it cannot be done."""
    settings = Settings(**{each.name: context.params[each.name] for each in fields(Settings)})
    if settings.trimap_model == "auto":
        by_hand = any(_given(context, name) for name in ("shrink", "grow", "softness"))
        settings = replace(settings, trimap_model="none" if by_hand else _trimap_model(settings))
    return planned_mattes(settings)


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _trimap_model(settings: Settings) -> str:
    """A rough mask has its trimap found; a renderer's exact one, and models that need no trimap, have not."""
    rough = settings.mask and settings.cryptomatte is None
    return ops.TRIMAP_MODEL if rough and "trimap" in model(settings.model).card.guides else "none"


def planned_mattes(settings: Settings) -> Planned:
    """The main job, described. Raises MatteError where it cannot start."""
    device = pick_device(settings.device)
    model(settings.model)
    if settings.trimap_model != "none":
        model(settings.trimap_model)
    _check_guides(settings)
    plate = plate_source(
        settings.plate,
        layer=settings.layer,
        part=settings.part,
        space=settings.in_space,
        ocio=settings.ocio,
        missing=settings.missing,
        nan=settings.nan,
        needed=settings.frames,
    )
    wanted = FrameRange.parse(settings.frames) if settings.frames else plate.frames
    alpha = _alpha(settings, plate, wanted, device)
    receipts = ops.write_sequence(
        alpha,
        settings.out,
        plate=plate,
        deliver=settings.deliver,
        compression=settings.compression,
        depth=settings.depth,
        overlap=settings.overlap,
    )
    notes = list(dict.fromkeys(note for receipt in receipts for note in receipt.said()))
    return Planned(receipts, wanted, device, settings.overwrite, notes)


def _check_guides(settings: Settings) -> None:
    """Raises UsageError where the model is told too little, or is told what it does not listen to."""
    told = sum(map(bool, (settings.mask, settings.trimap, settings.instances)))
    alone = not model(settings.model).card.guides
    if alone and told:
        raise UsageError(
            f"{settings.model} finds the subject by itself and takes no mask, trimap or instances. "
            "Leave them out, or choose another --model."
        )
    if not alone and told != 1:
        raise UsageError(
            "give either --mask or --trimap, or --instances: the model must be told what to cut out. "
            "Models that need nothing find the subject by themselves: matte models"
        )


def _alpha(settings: Settings, plate: Shot, wanted: FrameRange, device: torch.device) -> Shot:
    alpha = _estimated(settings, plate, wanted, device)
    alpha = ops.smooth_matte(plate, alpha, settings.smooth, settings.reach, settings.cuts)
    return ops.refine_matte(alpha, settings.black, settings.white, settings.edge, settings.blur, settings.gamma)


def _estimated(settings: Settings, plate: Shot, wanted: FrameRange, device: torch.device) -> Shot:
    name, precision, keyed = settings.model, settings.precision, model(settings.model).card.keyed
    if not model(name).card.guides:
        return matte_of(plate, Guide(), name, precision, device)
    if keyed and not settings.mask:
        raise UsageError(f"{name} goes from masks on keyframes. Give --mask FILE, and --keyframes where it is a still.")
    source = _named_masks(settings, plate, wanted) if settings.instances else _one_file(settings, wanted, keyed)
    if keyed:
        keys = settings.keyframes, settings.direction, settings.cuts
        return carried_from_keys(plate, source, name, precision, device, *keys)
    told = hold_still(source, plate.frames)
    if settings.keyframes:
        told = keyframed(source, plate.frames, settings.keyframes)
    if settings.trimap_model != "none":
        if settings.trimap:
            raise UsageError("--trimap-model finds a trimap from a mask. Give --mask, or leave --trimap-model out.")
        return joint_matte_of(plate, told, settings.trimap_model, name, settings.fusion, precision, device)
    guide = Guide(trimap=told)
    if not settings.trimap:
        guide = guide_of_masks(told, name, settings.shrink, settings.grow, settings.softness)
    return matte_of(plate, guide, name, precision, device, cuts=settings.cuts)


def _one_file(settings: Settings, wanted: FrameRange, keyed: bool) -> Shot:
    """The mask or trimap, or instances out of the Cryptomatte that its file holds; gaps are no fault between keys."""
    path, keyed = settings.mask or settings.trimap or "", keyed or bool(settings.keyframes)
    missing, needed = ("skip", "") if keyed else (settings.missing, str(wanted))
    if settings.cryptomatte is None:
        return matte_source(path, settings.mask_channel, missing=missing, needed=needed)
    if not settings.mask:
        raise UsageError("--cryptomatte picks instances of a file that --mask names. Give --mask FILE.")
    return read_cryptomatte(path, settings.cryptomatte, settings.mask_channel, missing=cast(Missing, missing))


def _named_masks(settings: Settings, plate: Shot, wanted: FrameRange) -> Shot:
    """One layer for each NAME=PATTERN."""
    names, shots = [], []
    for entry in settings.instances:
        name, mark, path = entry.partition("=")
        if not (name and mark and path):
            raise UsageError(f"'{entry}' is not NAME=PATTERN. Write --instances hero=roto/hero.####.png")
        shot = matte_source(path, settings.mask_channel, missing=settings.missing, needed=str(wanted))
        names.append(name)
        shots.append(over_window_of(plate, hold_still(shot, plate.frames), f"mask of {name}"))
    return instances_of(shots, names)
