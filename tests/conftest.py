"""Shots of pictures that a test holds in its hands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from matte_core.frame import FrameRange, Header, Pixels, Window
from matte_core.memory import hold
from matte_core.shot import Shot


def make_shot(pictures: Sequence[ArrayLike], numbers: str = "", window: Window | None = None) -> Shot:
    """A shot of pictures (C, H, W), numbered from 1001; three channels are a scene-linear plate, others a matte."""
    held = [np.ascontiguousarray(picture, np.float32) for picture in pictures]
    kept = FrameRange.parse(numbers or f"1001-{1000 + len(held)}")
    channels, height, width = held[0].shape
    data, plate = window or Window(0, 0, width, height), channels == 3
    header = Header(data, Window(0, 0, width, height), colour_space="Linear Rec.709 (sRGB)" if plate else "")
    names = ("R", "G", "B") if plate else tuple(f"layer{place}" for place in range(channels))

    def picture(place: int) -> Pixels:
        return held[place]

    kind: Any = "plate" if plate else "matte"
    return hold(picture, len(held), kept, kind=kind, header=header, channels=names)


@pytest.fixture
def shot_of() -> Any:
    """Makes a shot of pictures (C, H, W)."""
    return make_shot
