"""Operations that make and refine alpha."""

from __future__ import annotations

from typing import Annotated

from matte_core import compose, linear_alpha, smoothing
from matte_core.engine.engine import PRECISIONS, pick_device, pick_precision
from matte_core.guide import Guide
from matte_core.joint import FUSION, FUSIONS, joint_matte_of
from matte_core.matting import matte_of, view_of
from matte_core.models.base import ModelChoice
from matte_core.models.catalogue import model as catalogue_model
from matte_core.models.catalogue import names
from matte_core.op import Output, choice, integer, matte, number, op, plate, text
from matte_core.op import model as model_port
from matte_core.ops.guides import TRIMAP_MODEL
from matte_core.ops.outputs import MATTE
from matte_core.shot import Shot
from matte_core.sources import hold_still
from matte_core.windows import over_window_of

DEFAULT_MODEL = "net_m-small"
PORTRAIT_MODEL = "portrait-small"
REACH = 2  # frames before and after, of Smooth Matte


@op(
    "Load Matting Model",
    "Matte/Alpha",
    [Output("model", "matting_model", "The choice of a model, for any number of Estimate Alpha nodes.")],
    aliases=["model loader", "load model", "checkpoint", "weights"],
)
def load_matting_model(
    model: Annotated[str, choice("The model that finds the alpha.", names)] = DEFAULT_MODEL,
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> ModelChoice:
    """One choice of model and arithmetic for many nodes. Its weights are loaded once, when a frame needs them."""
    pick_precision(catalogue_model(model).card, precision, pick_device())
    return ModelChoice(model, precision)


@op("Estimate Alpha", "Matte/Alpha", [MATTE], aliases=["matting", "alpha matte", "closed form"])
def estimate_alpha(
    plate: Annotated[Shot, plate("The plate.")],
    guide: Annotated[Shot, matte("A trimap (0 background, 0.5 unknown, 1 foreground).")],
    model: Annotated[str, choice("The model that finds the alpha.", names)] = DEFAULT_MODEL,
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
    matting_model: Annotated[
        ModelChoice | None, model_port("From Load Matting Model. Connected, it decides in place of the two widgets.")
    ] = None,
) -> Shot:
    """The alpha of the plate where the trimap is unknown; linear coverage."""
    chosen = matting_model or ModelChoice(model, precision)
    told = Guide(trimap=hold_still(guide, plate.frames))
    return matte_of(plate, told, chosen.name, chosen.precision, pick_device())


@op("Joint Matte", "Matte/Alpha", [MATTE], aliases=["mask to matte", "net-t", "joint inference", "auto matte"])
def joint_matte(
    plate: Annotated[Shot, plate("The plate.")],
    mask: Annotated[Shot, matte("A rough mask of the subject: too small, too large, soft or moved a little.")],
    trimap_model: Annotated[
        str, choice("The network that finds the trimap.", lambda: names("trimap", "mask"))
    ] = TRIMAP_MODEL,
    model: Annotated[str, choice("The model that finds the alpha.", names)] = DEFAULT_MODEL,
    fusion: Annotated[
        str, choice("hard: alpha in the trimap's unknown alone; soft: both answers weighed.", lambda: tuple(FUSIONS))
    ] = FUSION,
    precision: Annotated[str, choice("Arithmetic. auto: as the models' cards say.", lambda: PRECISIONS)] = "auto",
    matting_model: Annotated[
        ModelChoice | None, model_port("From Load Matting Model. Connected, it decides about the alpha.")
    ] = None,
) -> Shot:
    """From a rough mask to a matte: a network finds the trimap, a model the alpha, and both answers become one."""
    chosen, held = matting_model or ModelChoice(model, precision), hold_still(mask, plate.frames)
    return joint_matte_of(plate, held, trimap_model, chosen.name, fusion, chosen.precision, pick_device())


@op(
    "Portrait Matte",
    "Matte/Alpha",
    [MATTE],
    aliases=["no guide", "automatic", "remove background", "rembg", "person", "portrait", "salient object"],
)
def portrait_matte(
    plate: Annotated[Shot, plate("The plate. The subject is found by itself: no mask, no trimap.")],
    model: Annotated[
        str,
        choice(
            "portrait-small: learned on made-up figures, never on people; -budget: the same with bounded time. "
            "portrait: a checkpoint of your own.",
            lambda: names(told=None),
        ),
    ] = PORTRAIT_MODEL,
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> Shot:
    """The matte of the picture's subject, told by nothing but the picture, frame by frame: Smooth Matte takes out what
    flickers. portrait-small was learned on made-up figures, never on people: use it for a first mask."""
    return matte_of(plate, Guide(), model, precision, pick_device())


@op("Linear Alpha", "Matte/Alpha", [MATTE], aliases=["display alpha", "gamma", "edge too thick", "re-solve"])
def alpha_in_linear_light(
    plate: Annotated[Shot, plate("The plate the matte was made from.")],
    matte: Annotated[Shot, matte("A matte by a model whose card says display domain, such as maggie-image.")],
) -> Shot:
    """Makes an alpha that was found between display colours coverage in linear light, as composites in linear light
    need it. Most models here answer so already: leave theirs alone."""
    return linear_alpha.linear_alpha(plate, over_window_of(plate, hold_still(matte, plate.frames), "matte"))


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


@op(
    "Smooth Matte",
    "Matte/Alpha",
    [MATTE],
    aliases=["temporal", "flicker", "deflicker", "stabilise", "boil", "optical flow", "motion"],
)
def smooth_matte(
    plate: Annotated[Shot, plate("The plate the matte was made from: its motion is followed.")],
    matte: Annotated[Shot, matte("The matte, of any model.")],
    strength: Annotated[float, number("0 leaves the matte as it is, 1 filters it fully.", 0, 1)] = 1.0,
    reach: Annotated[int, integer("Frames before and after that are looked at.", 0, 8)] = REACH,
    cuts: Annotated[
        str, text("Frame numbers at which a new take begins, such as 1043,1088. Empty: they are found.")
    ] = "",
) -> Shot:
    """Takes the flicker out of a matte along the motion of the plate; hair stays where the plate shows it. Never over
    a cut or missing frames."""
    if strength == 0 or reach == 0:
        return matte
    placed = over_window_of(plate, matte, "matte")
    return smoothing.smooth_matte(plate, placed, view_of(plate), strength, reach, cuts)
