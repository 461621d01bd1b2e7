"""Pictures over the same window: puts a guide or a background over the data window of a plate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matte_core.errors import UsageError
from matte_core.frame import Frame, Pixels, Window
from matte_core.io.windows import place
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register


def over_window_of(plate: Shot, shot: Shot, what: str, other: str = "plate") -> Shot:
    """`shot` over the data window of `plate`; never resized.

    Files with the plate's display window are placed by their own data window, and nothing (0) is where they
    have no pixels. Files without windows (PNG) are taken to cover the plate's data window or its display
    window, whichever has their size; into an overscan that they do not show, their edge is carried on, so
    that a subject who leaves the picture is not cut off. Raises UsageError where neither fits.
    """
    want, have = plate.header, shot.header
    if have.data == want.data:
        return shot
    size = (have.data.width, have.data.height)
    fill = "edge"
    if have.display == want.display and have.data != have.display:
        source, fill = have.data, "nothing"
    elif size == (want.data.width, want.data.height):
        source = want.data
    elif size == (want.display.width, want.display.height):
        source = want.display
    elif have.display == want.display:
        source = have.data
    else:
        raise UsageError(
            f"the {what} is {size[0]}x{size[1]} and the {other} is {want.data.width}x{want.data.height}"
            f"{_display(want.data, want.display)}. Render the {what} at the {other}'s size, or use Resize to Plate."
        )
    parameters = {"source": _as_list(source), "target": _as_list(want.data), "fill": fill}
    return make("place", [shot], parameters, header=replace(have, data=want.data, display=want.display))


def _display(data: Window, display: Window) -> str:
    same = (data.width, data.height) == (display.width, display.height)
    return "" if same else f" (display window {display.width}x{display.height})"


def _as_list(window: Window) -> list[int]:
    return [window.x, window.y, window.width, window.height]


def _place_frames(job: Job) -> Result:
    source, target = Window(*job.parameter("source")), Window(*job.parameter("target"))
    made = []
    for number in job.numbers:
        frame = job.one(0, number)
        header = replace(frame.header, data=target, display=job.shot.header.display)
        put = _carry_edge_on if job.parameter("fill") == "edge" else place
        made.append(Frame(put(frame.pixels, source, target), number, header))
    return Result(made)


def _carry_edge_on(pixels: Pixels, source: Window, target: Window) -> Pixels:
    """Pixels (C, H, W) over `target` from pixels over `source`, its border repeated where it has none."""
    rows = np.clip(np.arange(target.y, target.y + target.height) - source.y, 0, source.height - 1)
    columns = np.clip(np.arange(target.x, target.x + target.width) - source.x, 0, source.width - 1)
    return np.ascontiguousarray(pixels[:, rows[:, None], columns])


register(Verb("place", _place_frames))
