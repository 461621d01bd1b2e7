"""Operations on colour, in linear light: foreground, composite, premultiplication, spill."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from matte_core import compose, foreground, spill
from matte_core.errors import UsageError
from matte_core.op import Output, choice, matte, number, op, plate
from matte_core.ops.outputs import PLATE
from matte_core.shot import Shot
from matte_core.sources import hold_still, scene_linear
from matte_core.windows import over_window_of

CLEAN_PLATE = "clean plate"
SCREENS = (*spill.SCREENS, CLEAN_PLATE)


@op(
    "Foreground",
    "Matte/Colour",
    [Output("plate", "foreground", "Straight foreground colour, scene-linear.")],
    aliases=["estimate foreground", "decontaminate", "edge extend", "fringe"],
)
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


@op("Premultiply", "Matte/Colour", [PLATE], aliases=["premult", "multiply alpha"])
def premultiply(plate: Annotated[Shot, plate("Straight colour.")], matte: Annotated[Shot, matte("Its matte.")]) -> Shot:
    """Colour times alpha."""
    return compose.premultiply(scene_linear(plate), over_window_of(plate, matte, "matte"))


@op("Unpremultiply", "Matte/Colour", [PLATE], aliases=["unpremult", "divide alpha", "straight"])
def unpremultiply(
    plate: Annotated[Shot, plate("Premultiplied colour.")], matte: Annotated[Shot, matte("Its matte.")]
) -> Shot:
    """Colour divided by alpha, left alone where alpha is 0."""
    return compose.unpremultiply(scene_linear(plate), over_window_of(plate, matte, "matte"))


@op("Despill", "Matte/Colour", [PLATE], aliases=["green screen", "blue screen", "spill", "clean plate"])
def despill(
    plate: Annotated[Shot, plate("The foreground.")],
    screen: Annotated[
        str, choice("Colour of the screen; clean plate: as the clean plate shows it, pixel by pixel.", lambda: SCREENS)
    ] = "green",
    amount: Annotated[float, number("How much of the spill is taken away.", 0, 1)] = 1.0,
    balance: Annotated[float, number("Limit: 0 the smaller, 0.5 the mean, 1 the larger of the others.", 0, 1)] = 0.5,
    clean_plate: Annotated[Shot | None, plate("The screen without the subject, for the screen 'clean plate'.")] = None,
) -> Shot:
    """Takes the screen's light off the foreground, in linear light; highlights stay."""
    linear = scene_linear(plate)
    if screen != CLEAN_PLATE:
        made = spill.despill(linear, screen, amount, balance)
        unused = (
            f"Despill takes the colour {screen} and leaves the clean plate aside; choose '{CLEAN_PLATE}' to use it."
        )
        return made if clean_plate is None else replace(made, notes=(*made.notes, unused))
    if clean_plate is None:
        raise UsageError("Despill from the clean plate needs the clean plate. Connect it, or choose green or blue.")
    back = over_window_of(linear, hold_still(scene_linear(clean_plate), linear.frames), "clean plate")
    return spill.despill_from(linear, back, amount, balance)
