"""What Matte Viewers were given to show, and what they show of it: pictures for a page and the frames' own values."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matte_core.colour import srgb_decode
from matte_core.errors import SourceError, UsageError
from matte_core.frame import Frame, Pixels, Window
from matte_core.shot import Shot
from matte_core.windows import over_window_of

from . import host
from .display import (
    GREY,
    checker,
    codes_of_alpha,
    codes_of_light,
    coverage,
    light_of,
    over,
    png,
    shrink,
    shrunk,
    tinted,
)
from .preview import CACHE
from .pulling import FrameCache
from .remember import Memory
from .sockets import over_display

# What a look is made of. A composite takes the foreground where there is one, as a compositor would.
MADE_OF: Mapping[str, tuple[str, ...]] = {
    "checker": ("subject", "matte"),
    "rgb": ("plate",),
    "alpha": ("matte",),
    "overlay": ("plate", "matte"),
    "grey": ("subject", "matte"),
    "colour": ("subject", "matte"),
    "foreground": ("foreground",),
}
SIDES = ("a", "b")
WHOLE_BYTES = 512_000_000
MOST_VIEWS = 32
HELD_BYTES = 2_000_000_000  # of pictures in memory (an IMAGE) that views keep alive

WHOLE = FrameCache(WHOLE_BYTES)  # full frames, for values under the cursor and for close-ups


@dataclass
class Asked:
    """What a page looked at last, so that the next prompt can compute it."""

    look: str = ""
    frames: dict[str, int] = field(default_factory=dict)  # by side


@dataclass(frozen=True)
class Asking:
    """What a page asks for: a look at one frame, of side "a" or of side "b", which is compared with it.

    `exposure` is in stops, `background` an sRGB colour in 0..1, `layer` one layer of the matte or "" for all,
    `region` a part of the display window in pixels from its corner, or None for all of it.
    """

    look: str
    frame: int
    side: str = "a"
    exposure: float = 0.0
    gamma: float = 1.0
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    layer: str = ""
    region: Window | None = None


class View:
    """The shots that one Matte Viewer shows, by input; all over the display window of the first.

    Raises UsageError where there is nothing to show, or a shot of another size.
    """

    def __init__(self, shots: Mapping[str, Shot | None], asked: Asked) -> None:
        given = {name: shot for name, shot in shots.items() if shot is not None}
        if not given.keys() & {"plate", "matte", "foreground"}:
            raise UsageError("Matte Viewer has nothing to show. Connect a plate or a matte.")
        self.first = next(iter(given.values()))
        self.shots = {name: over_window_of(self.first, shot, name.replace("_", " ")) for name, shot in given.items()}
        self.asked = asked

    @property
    def display(self) -> Window:
        return self.first.header.display

    def parts(self, look: str, side: str) -> tuple[str, ...] | None:
        """Names of the inputs that a look of a side is made of; None where one of them is not connected."""
        found = tuple(self._input(part, side) for part in MADE_OF[look])
        return found if all(name in self.shots for name in found) else None

    def _input(self, part: str, side: str) -> str:
        if side == "b" and part == "matte" and "compare_matte" in self.shots:
            return "compare_matte"
        if side == "b" and part != "matte" and "compare_plate" in self.shots:
            return "compare_plate"
        if part == "subject":
            return "foreground" if "foreground" in self.shots else "plate"
        return part

    def looks(self) -> list[str]:
        """Looks that can be shown, the one to begin with first."""
        return [look for look in MADE_OF if self.parts(look, "a") is not None]

    def pinned(self) -> int:
        """Bytes of pictures in memory that the view keeps alive."""
        held = {id(shot): shot for given in self.shots.values() for shot in given.lineage() if shot.verb == "memory"}
        return sum(shot.frame_bytes * len(shot.parameters["content"]) for shot in held.values())

    def start(self) -> None:
        """Computes, inside a prompt, what the page will ask for first: what it looked at last, or the first frame."""
        looks, frames = self.looks(), self.first.frames
        look = self.asked.look if self.asked.look in looks else looks[0]
        number = self.asked.frames.get("a", frames[0])
        number = number if number in frames else frames[0]
        sides = [side for side in SIDES if side == "a" or self.asked.frames.get(side) == number]
        self.small([name for side in sides for name in self.parts(look, side) or ()], number)

    def about(self) -> dict[str, Any]:
        """What the page must know before it asks: frames, size, looks, layers, colour spaces."""
        header, shots = self.first.header, self.shots
        matte = shots.get("matte")
        return {
            "frames": str(self.first.frames),
            "size": [self.display.width, self.display.height],
            "aspect": header.pixel_aspect,
            "looks": self.looks(),
            "compare": [name for name in ("compare_plate", "compare_matte") if name in shots],
            "layers": list(matte.channels) if matte is not None and len(matte.channels) > 1 else [],
            "spaces": {name: shot.header.colour_space for name, shot in shots.items() if shot.kind == "plate"},
        }

    def picture(self, asking: Asking, watcher: host.ComfyHost | None = None) -> bytes:
        """A PNG of what is asked for. Raises UsageError where it cannot be shown, FrameError, Busy."""
        names = self._parts(asking)
        self.asked.look, self.asked.frames[asking.side] = asking.look, asking.frame
        if asking.region is None:
            frames = self.small(names, asking.frame, watcher)
        else:
            whole = self.whole(names, asking.frame, watcher)
            frames = [_cut(frame, asking.region) for frame in whole]
        pictures = dict(zip(MADE_OF[asking.look], zip(names, frames, strict=True), strict=True))
        layers = self._layers(*pictures["matte"], asking.layer) if "matte" in pictures else []
        alpha = np.clip(sum(layers[1:], layers[0]), 0, 1) if layers else None
        if asking.look == "alpha" and alpha is not None:
            return png(codes_of_alpha(alpha, asking.exposure, asking.gamma))
        name, frame = next(pair for part, pair in pictures.items() if part != "matte")
        light = light_of(self.shots[name], frame)
        if asking.look == "overlay":
            light = tinted(light, layers)
        elif alpha is not None:
            light = over(light, alpha, _background(asking, *light.shape[-2:]))
        return png(codes_of_light(light, asking.exposure, asking.gamma))

    def values(self, asking: Asking, x: int, y: int, watcher: host.ComfyHost | None = None) -> dict[str, Any]:
        """The frames' own values at a pixel of the display window, by input and channel; None outside the pixels.

        Colour is in the shot's own space, unclipped; alpha is linear coverage. Of the inputs that the look does not
        show, those that are files or were computed before. Raises UsageError for a pixel outside the display window.
        """
        display = self.display
        if not (0 <= x < display.width and 0 <= y < display.height):
            raise UsageError(f"there is no pixel {x}, {y} in a picture of {display.width}x{display.height}.")
        shown = self._parts(asking)
        names = tuple(name for name, shot in self.shots.items() if name in shown or _at_hand(shot, asking.frame))
        frames = dict(zip(names, self.whole(names, asking.frame, watcher), strict=True))
        x, y = x + display.x, y + display.y
        found = {name: _at(frame, self.shots[name], x, y) for name, frame in frames.items()}
        return {"frame": asking.frame, "x": x, "y": y, "values": found}

    def whole(self, names: tuple[str, ...], number: int, watcher: host.ComfyHost | None = None) -> list[Frame]:
        """Full frames of inputs, pulled in one run where they are not held."""
        pulled = WHOLE.pulled([(self.shots[name], [number]) for name in names], lambda frame: frame, watcher)
        return [frames[number] for frames in pulled]

    def small(
        self, names: list[str] | tuple[str, ...], number: int, watcher: host.ComfyHost | None = None
    ) -> list[Frame]:
        """Shrunken frames of inputs; what was shown before, here or in a preview, is not computed again."""
        memo: dict[tuple[int, int], str] = {}
        stamps = {name: self.shots[name].stamp(number, memo) for name in names}
        made = {name: frame for name, stamp in stamps.items() if (frame := CACHE.get(stamp)) is not None}
        missing = tuple(name for name in stamps if name not in made)
        for name, frame in zip(missing, self.whole(missing, number, watcher), strict=True):
            made[name] = shrink(frame)
            CACHE.put(stamps[name], made[name])
        return [made[name] for name in names]

    def _layers(self, name: str, frame: Frame, layer: str) -> list[Pixels]:
        """Alpha (1, H, W) of every layer of a matte, or of the one called `layer`; all where it has none of it."""
        shot = self.shots[name]
        if layer and layer not in self.shots["matte"].channels:
            raise UsageError(f"the matte has no layer '{layer[:60]}'. It has: {', '.join(shot.channels)}.")
        chosen = [shot.channels.index(layer)] if layer in shot.channels else range(len(shot.channels))
        return [coverage(frame, place) for place in chosen]

    def _parts(self, asking: Asking) -> tuple[str, ...]:
        names = self.parts(asking.look, asking.side)
        if names is None:
            raise UsageError(f"{asking.look} cannot be shown without its input. Connect it, or choose another look.")
        for name in names:
            if asking.frame not in self.shots[name].frames:
                raise UsageError(
                    f"frame {asking.frame} is not in the {name.replace('_', ' ')} ({self.shots[name].frames}). "
                    "Choose a frame that it has."
                )
        return names


class Views:
    """Views by token, the latest ones: only what a prompt of this server gave to a Matte Viewer can be asked for."""

    def __init__(self, most: int = MOST_VIEWS, held: int = HELD_BYTES) -> None:
        self._views: Memory[View] = Memory(held)
        self._least = held // most  # what a view counts at least, so that there are never more than `most`
        self._secret = secrets.token_bytes(16)

    def add(self, view: View) -> str:
        """A token for the view that nobody can guess; the same shots have the same one."""
        recipe = {name: shot.describe() for name, shot in view.shots.items()}
        digest = hashlib.blake2b(json.dumps(recipe, sort_keys=True).encode(), key=self._secret, digest_size=16)
        self._views.put(digest.hexdigest(), view, max(view.pinned(), self._least))
        return digest.hexdigest()

    def get(self, token: str) -> View:
        """The view of a token. Raises SourceError where there is none any more."""
        view = self._views.get(token)
        if view is None:
            raise SourceError("This viewer's shots are not here any more. Run the workflow again.")
        return view


def _at_hand(shot: Shot, number: int) -> bool:
    """Whether a frame costs no more than reading it."""
    if number not in shot.frames:
        return False
    files = all(source.verb == "place" or source.declaration.lane == "read" for source in shot.lineage())
    return files or WHOLE.get(shot.stamp(number)) is not None


def _cut(frame: Frame, region: Window) -> Frame:
    """The part of a frame's display window, shrunk if it is larger than a page can use."""
    rows, columns = slice(region.y, region.y + region.height), slice(region.x, region.x + region.width)
    return shrunk(frame, over_display(frame)[:, rows, columns])


def _background(asking: Asking, height: int, width: int) -> Pixels:
    """Linear light to lay a subject over, (1 or 3, H, W) or as much of it as broadcasts."""
    if asking.look == "checker":
        return checker(height, width)
    if asking.look == "grey":
        return np.full((1, 1, 1), GREY, np.float32)
    return srgb_decode(np.array(asking.background, np.float32)[:, None, None])


def _at(frame: Frame, shot: Shot, x: int, y: int) -> dict[str, float | str | None]:
    """Values by channel at a pixel; text for what is no finite number, which JSON cannot say."""
    data = frame.header.data
    row, column = y - data.y, x - data.x
    if not (0 <= row < data.height and 0 <= column < data.width):
        return dict.fromkeys(shot.channels)
    values = (float(value) for value in frame.pixels[:, row, column])
    return {
        name: value if math.isfinite(value) else str(value) for name, value in zip(shot.channels, values, strict=True)
    }
