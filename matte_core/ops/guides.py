"""Operations that make guides: what a model is told besides the plate."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from matte_core import clean_plate as plates
from matte_core import difference, keyframes, masks, resize, trimap
from matte_core.engine.engine import PRECISIONS, pick_device
from matte_core.joint import trimap_of
from matte_core.models.catalogue import names
from matte_core.op import Output, choice, flag, integer, matte, number, op, picture, plate, text
from matte_core.shot import Shot
from matte_core.sources import hold_still, scene_linear
from matte_core.windows import over_window_of

SHRINK, GROW, SOFTNESS = 8, 16, 1.0
TRIMAP_MODEL = "net_t-small"


TRIMAP = Output("matte", "trimap", "0 background, 0.5 unknown, 1 foreground.")


@op("Trimap from Mask", "Matte/Guides", [TRIMAP], aliases=["make trimap", "erode", "dilate", "unknown band"])
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


@op("Trimap (Net-T)", "Matte/Guides", [TRIMAP], aliases=["trimap generation", "auto trimap", "segmentation"])
def estimate_trimap(
    plate: Annotated[Shot, plate("The plate.")],
    mask: Annotated[Shot, matte("A rough mask of the subject: too small, too large, soft or moved a little.")],
    model: Annotated[str, choice("The network that finds the trimap.", lambda: names("trimap", "mask"))] = TRIMAP_MODEL,
    precision: Annotated[str, choice("Arithmetic. auto: as the model's card says.", lambda: PRECISIONS)] = "auto",
) -> Shot:
    """A trimap from the plate and a rough mask: where the subject surely is and is not, as a network sees it."""
    return trimap_of(plate, hold_still(mask, plate.frames), model, precision, pick_device())


@op(
    "Clean Plate",
    "Matte/Guides",
    [
        Output("plate", "clean_plate", "The background alone, scene-linear: one still for the whole shot."),
        Output("matte", "seen", "1 = seen in some frame, 0 = made up from the surroundings."),
    ],
    aliases=["background plate", "median", "remove subject", "locked-off"],
)
def clean_plate(
    plate: Annotated[Shot, plate("The plate, of a camera that stands still.")],
    matte: Annotated[Shot | None, matte("Mask or matte of the subject. Empty: the median of all frames.")] = None,
    samples: Annotated[
        int, integer("Frames to look at, spread evenly over the shot. All are in memory at once.", 1, 99)
    ] = 9,
    frames: Annotated[str, text("Frames to look at instead, such as 1001,1040-1050. Empty: spread evenly.")] = "",
    margin: Annotated[int, integer("Pixels to stay away from the subject: hair, blur, shadow.", 0, 200)] = 8,
) -> tuple[Shot, Shot]:
    """The background without the subject, from a locked-off shot itself: the median of what each pixel shows of it."""
    linear = scene_linear(plate)
    if matte is not None:
        matte = over_window_of(linear, hold_still(matte, linear.frames), "matte")
    return plates.clean_plate(linear, matte, samples, frames, margin)


@op(
    "Difference Matte",
    "Matte/Guides",
    [Output("matte", "mask", "A rough mask of what is not background. 1 = selected, opaque."), TRIMAP],
    aliases=["difference key", "clean plate", "background subtraction", "trimap"],
)
def difference_matte(
    plate: Annotated[Shot, plate("The plate.")],
    clean_plate: Annotated[Shot, plate("The same view without the subject: a still or a shot.")],
    threshold: Annotated[
        float, number("So many times the noise is a difference. Lower selects more.", 0.5, 50, 0.1)
    ] = 4.0,
    shadows: Annotated[float, number("How much darker the background may get and stay background.", 0, 0.95)] = 0.0,
    slack: Annotated[int, integer("Pixels by which the camera may have moved.", 0, 50)] = 0,
    clean: Annotated[int, integer("Specks and holes smaller than so many pixels across are removed.", 0, 200)] = 8,
    shrink: Annotated[int, integer("Trimap: pixels inside the edge that stay unknown.", 0, 500)] = SHRINK,
    grow: Annotated[int, integer("Trimap: pixels outside the edge that stay unknown.", 0, 500)] = GROW,
    match: Annotated[bool, flag("Fit the clean plate's light to each frame first: gain and offset.")] = True,
) -> tuple[Shot, Shot]:
    """A mask and a trimap of what differs from a clean plate, in linear light, told from grain and flicker."""
    linear = scene_linear(plate)
    back = over_window_of(linear, hold_still(scene_linear(clean_plate), linear.frames), "clean plate")
    mask = difference.difference_matte(linear, back, threshold, shadows, slack, clean, match)
    return mask, trimap.trimap_from_mask(mask, shrink, grow, SOFTNESS)


@op(
    "Keyframed Guides",
    "Matte/Guides",
    [Output("matte", "guide", "The guide on every frame of the plate. 1 = selected, opaque.")],
    aliases=["keyframes", "interpolate mask", "roto", "rotoscope", "hold", "animate mask"],
)
def keyframed_guide(
    guide: Annotated[
        Shot, replace(matte("Masks or trimaps on some frames only, as many as you like."), keyframes=True)
    ],
    plate: Annotated[Shot, plate("The plate: its frames are filled.")],
    keys: Annotated[
        str, text("Frame numbers of the keyframes, such as 1001,1040,1096. Empty: all frames the guide has.")
    ] = "",
    between: Annotated[
        str,
        choice(
            "shape moves the outline, hold keeps it, dissolve fades. Outside the keys the nearest is held.",
            lambda: keyframes.BETWEEN,
        ),
    ] = keyframes.BETWEEN[0],
) -> Shot:
    """A guide for every frame from masks or trimaps on keyframes; held before the first and after the last key."""
    return keyframes.keyframed(guide, plate.frames, keys, between)


MASK_TIP = "Mask of a subject; a matte with several layers gives several."


@op(
    "Instances from Masks",
    "Matte/Guides",
    [Output("matte", "instances", "One layer per subject, named. 1 = selected, opaque.")],
    aliases=["combine masks", "merge masks", "layers", "several people"],
)
def instances_from_masks(
    mask_1: Annotated[Shot, matte(MASK_TIP)],
    mask_2: Annotated[Shot | None, matte(MASK_TIP)] = None,
    mask_3: Annotated[Shot | None, matte(MASK_TIP)] = None,
    mask_4: Annotated[Shot | None, matte(MASK_TIP)] = None,
    mask_5: Annotated[Shot | None, matte(MASK_TIP)] = None,
    mask_6: Annotated[Shot | None, matte(MASK_TIP)] = None,
    mask_7: Annotated[Shot | None, matte(MASK_TIP)] = None,
    mask_8: Annotated[Shot | None, matte(MASK_TIP)] = None,
    names: Annotated[str, text("Names in order, such as hero,dog. Empty: the masks' own, else instance1, ...")] = "",
) -> Shot:
    """Several masks as one guide with a named layer for each subject; for more than eight, join two of these."""
    given = [mask_1, mask_2, mask_3, mask_4, mask_5, mask_6, mask_7, mask_8]
    there = [mask for mask in given if mask is not None]
    longest = max(there, key=lambda mask: len(mask.frames))
    placed = [
        over_window_of(longest, hold_still(mask, longest.frames), f"mask {place}", "longest mask")
        for place, mask in enumerate(there, 1)
    ]
    return masks.instances_of(placed, [name.strip() for name in names.split(",")] if names.strip() else [])


@op(
    "Resize to Plate",
    "Matte/Guides",
    [Output("shot", "resized", "The picture in the plate's size. 1 = selected, opaque.")],
    aliases=["reformat", "scale mask", "proxy", "resolution"],
)
def resize_to_plate(
    picture: Annotated[Shot, picture("What has another size: a mask, a guide, a clean plate.")],
    plate: Annotated[Shot, plate("The plate whose size it gets.")],
    filter: Annotated[
        str, choice("smooth averages; nearest makes no new values: trimaps, ID colours.", lambda: resize.FILTERS)
    ] = "smooth",
) -> Shot:
    """A mask, guide or plate in another plate's size; plates in linear light. Nothing else resizes by itself."""
    return resize.resize_to(scene_linear(picture) if picture.kind == "plate" else picture, plate, filter)
