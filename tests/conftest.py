"""Shots of pictures that a test holds in its hands, and paths that every part refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from matte_core.frame import FrameRange, Header, Pixels, Window
from matte_core.memory import hold
from matte_core.shot import Shot

ELSEWHERE = {
    "../secret/key.txt": "goes up a folder",
    "plate/../../secret/key.txt": "goes up a folder",
    "plate\\..\\..\\secret\\key.txt": "goes up a folder",
    "/etc/passwd": "outside the folders",
    "/": "outside the folders",
    "//server/share/plate.exr": "outside the folders",
    "\\\\server\\share\\plate.exr": "outside the folders",
    "\\\\?\\C:\\secret\\key.txt": "names a drive",
    "\\\\.\\PhysicalDrive0": "outside the folders",
    "C:/secret/key.txt": "names a drive",
    "C:key.txt": "names a drive",
    "file:///etc/passwd": "an address",
    "https://example.org/plate.exr": "an address",
    "plate/plate.exr:hidden": "a stream",
    "plate/nul": "names a device",
    "con.####.exr": "names a device",
    "plate/LPT1 .exr": "names a device",
    "plate/.. /key.txt": "ends in a dot or a space",
    "plate./key.txt": "ends in a dot or a space",
    "~/plate.####.exr": "begins with '~'",
    "~root/plate.exr": "begins with '~'",
    "$HOME/plate.####.exr": "a variable",
    "${HOME}/plate.exr": "a variable",
    "%USERPROFILE%\\plate.exr": "a variable",
    "%2e%2e%2fsecret/key.txt": "an escape",
    "plate/%2e%2e/%2e%2e/key.txt": "an escape",
    "plate/\x00.exr": "is no file name",
    "plate.exr\x00.png": "is no file name",
    "plate\n.exr": "is no file name",
    "\x1b[2Jplate.exr": "is no file name",
    "1" * 1_000_000: "too long",
    "a/" * 5000: "too long",
}


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


@pytest.fixture
def elsewhere() -> dict[str, str]:
    """Paths that a workflow file may not name, and what the sentence about each says."""
    return ELSEWHERE
