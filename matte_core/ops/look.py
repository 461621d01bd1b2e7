"""Operations for looking at results."""

from __future__ import annotations

from typing import Annotated

from matte_core import compose
from matte_core.op import number, op, picture
from matte_core.ops.outputs import PLATE
from matte_core.shot import Shot
from matte_core.windows import over_window_of


@op("Difference", "Matte/Look", [PLATE], aliases=["compare", "diff"])
def difference(
    first: Annotated[Shot, picture("A plate or a matte.")],
    second: Annotated[Shot, picture("Another of the same kind.")],
    gain: Annotated[float, number("Makes small differences visible.", 0, 1000, 0.1)] = 1.0,
) -> Shot:
    """How far two shots differ: the absolute difference, times a gain."""
    return compose.difference(first, over_window_of(first, second, "second shot"), gain)
