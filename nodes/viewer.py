"""Matte Viewer: a node in which a shot is looked at, frame by frame; and the addresses its page asks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from matte_core.errors import UsageError
from matte_core.frame import Window
from matte_core.op import POLARITY, Port

from . import host
from .pictures import PictureNode
from .sockets import fit
from .views import MADE_OF, SIDES, Asked, Asking, View, Views

TITLE = "Matte Viewer"
ADDRESS = "/matte/viewer/{view}/{what}"
VIEWS = Views()
_ASKED: Mapping[str, Port] = {
    port.name: port
    for port in (
        Port("What to show.", "choice", choices=lambda: tuple(MADE_OF), name="look"),
        Port("Which side of the wipe.", "choice", choices=lambda: SIDES, name="side", default="a"),
        Port("Frame number.", "integer", name="frame"),
        Port("Stops.", "number", -20, 20, name="exposure", default=0.0),
        Port("Viewer's gamma.", "number", 0.05, 20, name="gamma", default=1.0),
        Port("Colour behind the subject, #rrggbb.", "text", name="background", default="#000000"),
        Port("Layer of the matte.", "text", name="layer", default=""),
        Port("Part of the display window: x,y,width,height.", "text", name="region", default=""),
        Port("Pixel, from the left of the display window.", "integer", name="x", default=-1),
        Port("Pixel, from its top.", "integer", name="y", default=-1),
    )
}


class MatteViewer(PictureNode):
    DESCRIPTION = (
        "Look at a shot in the node: scrub its frames, see the alpha, an overlay, the subject over a checker, grey or "
        "a colour, wipe between two versions, read the true values under the cursor. Computes only what it shows."
    )
    SEARCH_ALIASES = ("view", "viewer", "scrub", "wipe", "compare", "pixel values", "show matte", "A/B")
    CATEGORY = "Matte/Look"
    HELP = (
        "Run the workflow once; then every frame is computed when it is looked at, and only once. "
        "Composites are made in linear light, of the foreground where it is connected. "
        "Exposure and gamma are for looking: nothing of it is saved with frames or run.",
        "Values under the cursor are the frames' own: colour in the plate's space, unclipped, alpha as coverage.",
        "Click the picture, then: arrow keys, Home and End for frames; 1 to 7 for the looks; w wipes between A and B; "
        "the wheel looks closer, dragging moves, f or a double click fits; 0 resets exposure, gamma and zoom.",
        "While a prompt runs, frames that need the device wait for its end; plates and seen frames do not.",
    )
    PORTS = (
        Port("The plate.", "plate", name="plate", default=None),
        Port(f"The matte. {POLARITY}", "matte", name="matte", default=None),
        Port("The straight foreground; composites are made of it.", "plate", name="foreground", default=None),
        Port("Side B of the wipe: a second plate, foreground or comp.", "plate", name="compare_plate", default=None),
        Port(f"Side B of the wipe: a second matte. {POLARITY}", "matte", name="compare_matte", default=None),
    )
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    def __init__(self) -> None:
        self._asked = Asked()  # ComfyUI keeps the node's object from prompt to prompt

    @classmethod
    def IS_CHANGED(cls, **values: Any) -> float:
        """Never the same: it takes milliseconds, and the page's token is good again after every run."""
        return float("nan")

    def run(self, **given: Any) -> dict[str, Any]:
        """The page's token for what is connected; what it will look at first is computed."""
        empty = dict.fromkeys(port.name for port in self.PORTS)
        view = View(fit(TITLE, self.PORTS, {**empty, **given}), self._asked)
        view.start()
        return {"ui": {"matte_view": [VIEWS.add(view)]}, "result": ()}


def answer(asked: Mapping[str, str], gone: Callable[[], bool]) -> tuple[bytes, str]:
    """What a page asks of a view: "about" it, a "picture", or the "values" of a pixel. Raises MatteError."""
    view, what, watcher = VIEWS.get(asked["view"]), asked["what"], host.BesidePrompts(gone)
    if what == "about":
        return _json(view.about())
    if what not in ("picture", "values"):
        raise UsageError(f"a viewer has no '{what}'. Ask for about, picture or values.")
    known = {name: _value(port, asked.get(name)) for name, port in _ASKED.items()}
    asking = Asking(
        look=known["look"],
        frame=known["frame"],
        side=known["side"],
        exposure=known["exposure"],
        gamma=known["gamma"],
        background=_colour(known["background"]),
        layer=known["layer"],
        region=_region(view, known["region"]),
    )
    if what == "picture":
        return view.picture(asking, watcher), "image/png"
    return _json(view.values(asking, known["x"], known["y"], watcher))


def _json(content: Any) -> tuple[bytes, str]:
    return json.dumps(content, allow_nan=False).encode(), "application/json"


def _value(port: Port, text: str | None) -> Any:
    if text is not None:
        return port.check(text)
    if not port.optional:
        raise UsageError(f"no {port.name} was asked for. Reload the page.")
    return port.default


def _colour(text: str) -> tuple[float, float, float]:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise UsageError(f"'{text[:20]}' is no colour. Write #rrggbb.")
    red, green, blue = (int(text[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def _region(view: View, text: str) -> Window | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})", text)
    region = Window(*map(int, found.groups())) if found else Window(0, 0, 0, 0)
    size = view.display
    inside = region.x + region.width <= size.width and region.y + region.height <= size.height
    if not (inside and region.width and region.height):
        raise UsageError(f"'{text[:40]}' is no part of a picture of {size.width}x{size.height}. Write x,y,w,h in it.")
    return region


VIEWER_NODES: dict[str, tuple[type[PictureNode], str]] = {"MatteViewer": (MatteViewer, TITLE)}

host.serve(ADDRESS, answer)
