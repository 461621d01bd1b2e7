"""Operations that make guides: what a model is told besides the plate."""

from __future__ import annotations

from typing import Annotated

from matte_core import trimap
from matte_core.op import Output, integer, matte, number, op
from matte_core.shot import Shot

SHRINK, GROW, SOFTNESS = 8, 16, 1.0


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
