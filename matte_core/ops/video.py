"""Operations that follow a subject through a shot."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from matte_core.engine.engine import PRECISIONS, pick_device
from matte_core.guide import Guide
from matte_core.keyframes import keyframed
from matte_core.matting import matte_of
from matte_core.models.catalogue import cards, names
from matte_core.models.catalogue import model as catalogue_model
from matte_core.models.weights import there
from matte_core.op import Output, choice, matte, op, plate, text
from matte_core.ops.guides import TRIMAP
from matte_core.ops.outputs import MATTE
from matte_core.passes import DIRECTIONS, carried_from_keys
from matte_core.propagation import PROPAGATION_MODEL, propagated_trimap
from matte_core.shot import Shot
from matte_core.sources import hold_still

VIDEO_MODEL = "hstsg-small"
MOTION_MODEL = "flow-mask"  # carries masks of several instances without a network
KEYS = "Frame numbers of the keyframes, such as 1001,1040. Empty: all frames the guide has; a still: the first frame."
DIRECTION = "both: forward and backward from every keyframe, faded between two; or one way alone."
CUTS = "Frame numbers at which a new take begins, such as 1043,1088; none: no cut. Empty: they are found."


def keyed_models() -> list[str]:
    """Names of the models that carry a mask from keyframes, whose weights are here."""
    return [card.name for card in cards() if card.keyed and there(card)]


def video_models() -> list[str]:
    """Names of the models that find alpha from several frames: from keyframes, or told by a trimap on every frame."""
    found = [card for card in cards() if card.answers == "alpha" and there(card)]
    several = [card for card in found if card.keyed or (card.guides == ("trimap",) and (card.before or card.after))]
    return [card.name for card in several]


@op(
    "Propagate Mask",
    "Matte/Guides",
    [Output("matte", "mask", "A mask on every frame of the plate. 1 = selected, opaque.")],
    aliases=["track mask", "mask tracking", "keyframes", "roto", "video object segmentation", "optical flow"],
)
def propagate_mask(
    plate: Annotated[Shot, plate("The plate.")],
    mask: Annotated[
        Shot, replace(matte("Masks on some frames only: one is enough, more make it surer."), keyframes=True)
    ],
    model: Annotated[
        str, choice("What carries the mask. flow-mask: the plate's motion alone, no network.", keyed_models)
    ] = VIDEO_MODEL,
    keys: Annotated[str, text(KEYS)] = "",
    direction: Annotated[str, choice(DIRECTION, lambda: DIRECTIONS)] = DIRECTIONS[0],
    cuts: Annotated[str, text(CUTS)] = "",
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> Shot:
    """A mask for every frame from masks on keyframes, forward and backward; never over a cut. A new keyframe costs
    only the frames up to its neighbours."""
    return carried_from_keys(plate, mask, model, precision, pick_device(), keys, direction, cuts)


@op(
    "Propagate Trimap",
    "Matte/Guides",
    [TRIMAP],
    aliases=["track trimap", "keyframes", "one trimap", "trimap propagation", "roto", "dvm"],
)
def propagate_trimap(
    plate: Annotated[Shot, plate("The plate.")],
    trimap: Annotated[
        Shot, replace(matte("Trimaps on some frames only: one is enough, more make it surer."), keyframes=True)
    ],
    model: Annotated[
        str, choice("The network that carries the trimap.", lambda: names("trimap", "trimap"))
    ] = PROPAGATION_MODEL,
    keys: Annotated[str, text(KEYS)] = "",
    cuts: Annotated[str, text(CUTS)] = "",
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> Shot:
    """A trimap for every frame from trimaps drawn on keyframes: each follows the subject, and on a keyframe it is that
    key. A new keyframe costs only the frames near it."""
    return propagated_trimap(plate, trimap, keys, model, precision, pick_device(), cuts)


@op(
    "Video Matte",
    "Matte/Alpha",
    [MATTE],
    aliases=["video matting", "temporal", "dvm", "hstsg", "keyframes", "several frames"],
)
def video_matte(
    plate: Annotated[Shot, plate("The plate.")],
    guide: Annotated[
        Shot, replace(matte("hstsg: rough masks on keyframes, one is enough. Others: trimaps."), keyframes=True)
    ],
    model: Annotated[str, choice("The model; it looks at several frames for each.", video_models)] = VIDEO_MODEL,
    keys: Annotated[str, text(f"For masks. {KEYS}")] = "",
    direction: Annotated[str, choice(f"For masks. {DIRECTION}", lambda: DIRECTIONS)] = DIRECTIONS[0],
    cuts: Annotated[str, text(CUTS)] = "",
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> Shot:
    """Alpha that knows the frames around: from one rough mask, or masks on keyframes, or a trimap on every frame, as
    the model needs. Nothing is carried over a cut."""
    if catalogue_model(model).card.keyed:
        return carried_from_keys(plate, guide, model, precision, pick_device(), keys, direction, cuts)
    if len(guide.frames) == len(plate.frames) and guide.frames != plate.frames:
        guide = keyframed(guide, plate.frames, str(plate.frames), "hold")  # pictures without numbers of their own
    told = Guide(trimap=hold_still(guide, plate.frames))
    return matte_of(plate, told, model, precision, pick_device(), cuts=cuts)
