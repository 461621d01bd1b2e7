"""ComfyUI's pictures as shots and back: IMAGE [B,H,W,C] is sRGB 0..1, MASK [B,H,W] is 1 where selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from matte_core.colour import REC709_TAGS, linear_light, load_config, make_view, resolve_space, to_display
from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange, Header, Pixels, Window
from matte_core.graph import check_kind
from matte_core.io.windows import place
from matte_core.memory import hold
from matte_core.op import Port
from matte_core.shot import Shot

IMAGE_SPACES = ("sRGB", "linear Rec.709")
VIEWS = ("display", "linear", "unchanged")
View = Literal["display", "linear", "unchanged"]
ALPHA = "A"


def fit(title: str, ports: Sequence[Port], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with every IMAGE and MASK made a shot with the frame numbers of the others.

    The first shot among the inputs says the frames; without one they are 1..B of the longest batch. A batch of
    one is held for all of them; keyframes are numbered 1..B by themselves. Raises UsageError for another length,
    another shape, or another kind of shot.
    """
    given = [(port, values[port.name]) for port in ports if port.is_socket and values.get(port.name) is not None]
    frames = _frames([value for port, value in given if not port.keyframes])
    fitted = dict(values)
    for port, value in given:
        name = port.name
        if isinstance(value, Tensor):
            own = _frames([value]) if port.keyframes else frames
            if len(given) > 1 and is_empty_mask(value):
                raise UsageError(
                    f"'{name}' was given the empty 64x64 MASK that Load Image makes of a picture without alpha. "
                    "Connect a mask."
                )
            try:
                fitted[name] = shot_of_image(value, own) if is_image(port, value) else shot_of_mask(value, own)
            except UsageError as error:
                raise UsageError(f"'{name}': {error}") from None
        else:
            check_kind(title, port, value)
    return fitted


def is_image(port: Port, value: Tensor) -> bool:
    """Whether a tensor at `port` is an IMAGE [B,H,W,C]; a socket for either takes a MASK [B,H,W] too."""
    return port.type == "plate" or (port.type == "picture" and value.ndim == 4)


def is_empty_mask(value: Tensor) -> bool:
    """Whether a tensor is the MASK that ComfyUI's Load Image gives where a picture has no alpha."""
    return value.shape in ((1, 64, 64), (64, 64)) and not bool(value.any())


def _frames(given: Sequence[Any]) -> FrameRange:
    shots = [value for value in given if isinstance(value, Shot)]
    if shots:
        return shots[0].frames
    batches = [value.shape[0] for value in given if isinstance(value, Tensor) and value.ndim > 2]
    return numbered(max(batches, default=1))


def numbered(count: int, first: int = 1) -> FrameRange:
    """`count` frame numbers from `first` on."""
    return FrameRange(range(first, first + count))


def shot_of_image(image: Tensor, frames: FrameRange, space: str = IMAGE_SPACES[0]) -> Shot:
    """A plate of an IMAGE [B,H,W,C], C = 1, 3 or 4 (a fourth channel is left out); values are not clipped.

    sRGB is display-referred; linear Rec.709 is scene-linear. Raises UsageError for another shape.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise UsageError(f"a picture of the shape {list(image.shape)} is no IMAGE [B,H,W,C]. Connect an IMAGE.")

    def picture(index: int) -> Pixels:
        colour = image[index, ..., :3].permute(2, 0, 1).to("cpu", torch.float32)
        return np.array(colour.expand(3, -1, -1).numpy(), order="C")

    header = _header(image.shape[2], image.shape[1], space == IMAGE_SPACES[1])
    return hold(picture, image.shape[0], frames, kind="plate", header=header, channels=("R", "G", "B"))


def shot_of_mask(mask: Tensor, frames: FrameRange, inverted: bool = False) -> Shot:
    """A matte of a MASK [B,H,W], [H,W] or [B,1,H,W], clipped to 0..1; `inverted` for masks with 1 = transparent.

    Raises UsageError for another shape.
    """
    pictures = mask.unsqueeze(0) if mask.ndim == 2 else mask.squeeze(1) if mask.ndim == 4 else mask
    if pictures.ndim != 3:
        raise UsageError(f"a picture of the shape {list(mask.shape)} is no MASK [B,H,W]. Connect a MASK.")

    def picture(index: int) -> Pixels:
        alpha = pictures[index].to("cpu", torch.float32).nan_to_num(0.0).clamp(0, 1)
        return np.array((1 - alpha if inverted else alpha).numpy())[None]

    window = Window(0, 0, int(pictures.shape[2]), int(pictures.shape[1]))
    return hold(picture, pictures.shape[0], frames, kind="matte", header=Header(window, window), channels=(ALPHA,))


def _header(width: int, height: int, linear: bool) -> Header:
    window, config = Window(0, 0, width, height), load_config()
    header = Header(window, window, linear=linear)
    space = resolve_space(config, header, "the IMAGE").space
    return replace(header, colour_space=space, tags=REC709_TAGS)


class Look:
    """How a plate's frames are shown: "display" is sRGB 0..1, "linear" is Rec.709 unclipped, "unchanged" as it is.

    Raises ColourError where the plate's colour space is not known.
    """

    def __init__(self, shot: Shot, view: View = "display") -> None:
        header = shot.header
        self._display = view == "display"
        self._colour = view != "unchanged" and shot.kind == "plate" and len(shot.channels) == 3
        self._view = make_view(load_config(header.colour_config), header.colour_space) if self._colour else None

    def light(self, pixels: Pixels) -> Pixels:
        """Linear Rec.709 of a plate's pixels (3, H, W); a matte's pixels as they are."""
        return pixels if self._view is None else linear_light(pixels, self._view)

    def __call__(self, pixels: Pixels) -> Pixels:
        light = self.light(pixels)
        return to_display(light) if self._display and self._colour else light


def as_colour(pixels: Pixels) -> Pixels:
    """Three channels of (C, H, W): the first three, or the first alone as grey."""
    return pixels[:3] if pixels.shape[0] >= 3 else np.repeat(pixels[:1], 3, axis=0)


def over_display(frame: Frame) -> Pixels:
    """The frame's pixels (C, H, W) over its display window, 0 where it has none."""
    header = frame.header
    return frame.pixels if header.data == header.display else place(frame.pixels, header.data, header.display)


def layer_of(shot: Shot, name: str) -> int:
    """Place of the layer called `name`, "" for the first. Raises UsageError that lists the layers."""
    if not name:
        return 0
    if name not in shot.channels:
        raise UsageError(f"the matte has no layer '{name}'. It has: {', '.join(shot.channels)}.")
    return shot.channels.index(name)


def chosen(shot: Shot, text: str, default: str) -> FrameRange:
    """Frames of `shot` that `text` names; `default` ("first" or "all") where it is empty.

    Raises UsageError for frames that the shot has not got.
    """
    if not text.strip():
        return FrameRange(shot.frames if default == "all" else shot.frames[:1])
    wanted = FrameRange.parse(text)
    outside = [number for number in wanted if number not in shot.frames]
    if outside:
        raise UsageError(f"frame {outside[0]} is not in the shot ({shot.frames}). Choose frames that it has.")
    return wanted
