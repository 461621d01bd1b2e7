"""`matte sequence`: the main job. A plate and a rough mask (or a trimap) in, mattes out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import click
from click.core import ParameterSource

from matte_core import ops
from matte_core.cli.mattes import Settings, planned_mattes
from matte_core.cli.planned import Planned
from matte_core.cli.share import sharing
from matte_core.cli.work import carry_out
from matte_core.deliver import KINDS
from matte_core.engine.engine import DEVICES, PRECISIONS
from matte_core.instances import RULES
from matte_core.joint import FUSION, FUSIONS
from matte_core.models.catalogue import model
from matte_core.passes import DIRECTIONS
from matte_core.propagation import PROPAGATION_MODEL


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
    help="Frames that --mask, --trimap or --instances are drawn for, such as 1001,1040. Models that carry masks go "
    "from them both ways; a trimap is carried to all frames (--trimap-model), instances by the plate's motion; with a "
    "mask for other models the outline moves from key to key.",
)
@click.option("--out", required=True, metavar="PATTERN", help="Where to write: out/shot_matte.####.exr")
@click.option(
    "--model",
    default=ops.DEFAULT_MODEL,
    show_default=True,
    help=f"See: matte models. With --instances, unless the trimap is set by hand: {ops.INSTANCE_MODEL}.",
)
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
    help="The most memory to take, of the machine and of a graphics card each; with --workers, by every one of them. "
    "Default: what there is.",
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
    "but none where --shrink, --grow or --softness is given. For --trimap with --keyframes: the network that carries "
    f"it, auto: {PROPAGATION_MODEL}; none: the outline moves from key to key.",
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
    by_hand = any(_given(context, name) for name in ("shrink", "grow", "softness"))
    if settings.instances and not by_hand and not _given(context, "model"):
        settings = replace(settings, model=ops.INSTANCE_MODEL)
    if settings.trimap_model == "auto":
        settings = replace(settings, trimap_model="none" if by_hand else _trimap_model(settings))
    return planned_mattes(settings)


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _trimap_model(settings: Settings) -> str:
    """A rough mask has its trimap found, a trimap on keyframes is carried; a renderer's exact mask is neither, and some
    models need no trimap."""
    if settings.trimap and settings.keyframes:
        return PROPAGATION_MODEL
    rough = settings.mask and settings.cryptomatte is None
    return ops.TRIMAP_MODEL if rough and "trimap" in model(settings.model).card.guides else "none"
