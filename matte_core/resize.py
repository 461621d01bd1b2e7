"""Pictures of another size brought to a plate's, where a person asks for it: nothing else in Matte resizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matte_core.errors import UsageError
from matte_core.frame import Frame, Header, Window
from matte_core.late import late
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

cv2 = late("cv2")

FILTERS = ("smooth", "nearest")
MOST_STRETCH = 0.01  # how far width and height may be scaled apart: a pixel of rounding in a proxy


def resize_to(shot: Shot, plate: Shot, filter: str = "smooth") -> Shot:
    """`shot` in the size of `plate`; itself where it has it. Kind, channels, frames and light stay.

    Its display window is laid over the plate's display window or, where only that has its proportions, over the
    plate's data window. "smooth" averages where it shrinks and is linear where it grows, so no value leaves the range
    of those around it; "nearest" makes no new value (trimaps, colours that name objects). Raises UsageError where the
    proportions differ.
    """
    if filter not in FILTERS:
        raise UsageError(f"'{filter}' is no way to resize. Choose one of: {', '.join(FILTERS)}.")
    have, want = shot.header, plate.header
    if have.display == want.display or have.data == want.data:
        return shot
    target = next((window for window in (want.display, want.data) if _alike(have.display, window)), None)
    if target is None:
        raise UsageError(
            f"a picture of {have.display.width}x{have.display.height} does not have the proportions of the plate "
            f"({want.display.width}x{want.display.height}). Crop or pad it first."
        )
    data = _laid(have, target)
    header = replace(have, data=data, display=want.display, pixel_aspect=want.pixel_aspect)
    return make("resize", [shot], {"size": [data.width, data.height], "filter": filter}, header=header)


def _alike(have: Window, want: Window) -> bool:
    return abs((want.width / have.width) / (want.height / have.height) - 1) <= MOST_STRETCH


def _laid(have: Header, target: Window) -> Window:
    """The data window once the display window is laid over `target`."""
    across, down = target.width / have.display.width, target.height / have.display.height
    return Window(
        target.x + round((have.data.x - have.display.x) * across),
        target.y + round((have.data.y - have.display.y) * down),
        max(1, round(have.data.width * across)),
        max(1, round(have.data.height * down)),
    )


def _resize(job: Job) -> Result:
    width, height = job.parameter("size")
    made = []
    for number in job.numbers:
        frame = job.one(0, number)
        smaller = width < frame.pixels.shape[2]
        smooth = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        way = smooth if job.parameter("filter") == "smooth" else cv2.INTER_NEAREST_EXACT
        pixels = [cv2.resize(layer, (width, height), interpolation=way) for layer in frame.pixels]
        header = job.shot.header
        windows = replace(frame.header, data=header.data, display=header.display, pixel_aspect=header.pixel_aspect)
        made.append(Frame(np.stack(pixels).astype(np.float32, copy=False), number, windows))
    return Result(made)


register(Verb("resize", _resize))
