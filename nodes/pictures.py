"""Nodes between ComfyUI's pictures and shots, and nodes that show a shot."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from matte_core.op import POLARITY, Port
from matte_core.shot import Shot

from . import host
from .comfy import SHOT, input_of
from .preview import LOOKS, preview
from .pulling import pull
from .sockets import (
    IMAGE_SPACES,
    VIEWS,
    Look,
    View,
    as_colour,
    chosen,
    fit,
    layer_of,
    numbered,
    over_display,
    shot_of_image,
    shot_of_mask,
)

FRAMES = "Frames, such as 1001-1010 or 1001-1100x10."
_FIRST_FRAME = Port("Number of the first frame.", "integer", 0, 9_999_999, 1, name="first_frame", default=1001)
_ANY_SHOT = Port("The shot.", "shot", name="shot")
_ALL_FRAMES = Port(f"{FRAMES} Empty: all. Every frame is held in memory, as ComfyUI does.", name="frames", default="")


def _choice(name: str, tip: str, choices: tuple[str, ...]) -> Port:
    return Port(tip, "choice", choices=lambda: choices, name=name, default=choices[0])


class PictureNode:
    """A node that is no operation; PORTS says its widgets and shots, PICTURE its IMAGE or MASK."""

    PORTS: ClassVar[tuple[Port, ...]] = ()
    PICTURE: ClassVar[dict[str, tuple[str, dict[str, Any]]]] = {}
    FUNCTION = "run"
    CATEGORY = "Matte/Pictures"
    OUTPUT_NODE = False

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """ComfyUI's description of the inputs."""
        empty = {port.name: input_of(port) for port in cls.PORTS if port.is_socket and port.optional}
        needed = {port.name: input_of(port) for port in cls.PORTS if port.name not in empty}
        return {"required": {**cls.PICTURE, **needed}, "optional": empty}


class ShotFromImage(PictureNode):
    DESCRIPTION = "A plate made of an IMAGE batch, so that it can be matted and written with frame numbers."
    SEARCH_ALIASES = ("image to shot", "batch to shot")
    PICTURE: ClassVar = {"image": ("IMAGE", {"tooltip": "The pictures; a fourth channel is left out."})}
    PORTS = (
        _FIRST_FRAME,
        _choice("space", "What the numbers mean: sRGB, as in ComfyUI, or linear Rec.709, unclipped.", IMAGE_SPACES),
    )
    RETURN_TYPES = (SHOT,)
    RETURN_NAMES = ("plate",)
    OUTPUT_TOOLTIPS = ("The plate. It holds the pictures in memory.",)

    def run(self, image: Tensor, first_frame: int, space: str) -> tuple[Shot]:
        return (shot_of_image(image, numbered(image.shape[0], first_frame), space),)


class ShotFromMask(PictureNode):
    DESCRIPTION = "A mask, trimap or matte made of a MASK batch."
    SEARCH_ALIASES = ("mask to shot", "mask to matte")
    PICTURE: ClassVar = {
        "mask": ("MASK", {"tooltip": "The mask. 1 = selected, opaque; Load Image gives it inverted: switch invert on."})
    }
    PORTS = (
        _FIRST_FRAME,
        Port(
            "Turn it round: on for the mask of Load Image, where 1 = transparent.", "flag", name="invert", default=False
        ),
    )
    RETURN_TYPES = (SHOT,)
    RETURN_NAMES = ("matte",)
    OUTPUT_TOOLTIPS = ("The matte. 1 = selected, opaque. It holds the pictures in memory.",)

    def run(self, mask: Tensor, first_frame: int, invert: bool) -> tuple[Shot]:
        count = mask.shape[0] if mask.ndim > 2 else 1
        return (shot_of_mask(mask, numbered(count, first_frame), invert),)


class ImageFromShot(PictureNode):
    DESCRIPTION = "Pictures of a plate for other nodes. Computes the frames."
    SEARCH_ALIASES = ("shot to image", "plate to image")
    PORTS = (
        _ANY_SHOT,
        _ALL_FRAMES,
        _choice("view", "display: sRGB 0..1. linear: Rec.709, unclipped. unchanged: as in the file.", VIEWS),
    )
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)
    OUTPUT_TOOLTIPS = ("The pictures over the display window, in the chosen view; a matte becomes grey.",)

    def run(self, shot: Shot, frames: str, view: str) -> tuple[Tensor]:
        look, numbers = Look(shot, cast(View, view)), chosen(shot, frames, "all")
        window = shot.header.display
        batch = torch.zeros(len(numbers), window.height, window.width, 3)
        for place, frame in enumerate(pull([(shot, numbers)])):
            batch[place] = torch.tensor(as_colour(look(over_display(frame)))).permute(1, 2, 0)
        return (host.to_comfy(batch),)


class MaskFromShot(PictureNode):
    DESCRIPTION = "A matte's frames as MASK for other nodes. Computes the frames."
    SEARCH_ALIASES = ("shot to mask", "matte to mask")
    PORTS = (
        Port(f"The matte. {POLARITY}", "matte", name="matte"),
        _ALL_FRAMES,
        Port("Layer of a matte with several instances. Empty: the first.", name="layer", default=""),
        Port("Turn it round, for nodes that take 1 = transparent.", "flag", name="invert", default=False),
    )
    RETURN_TYPES = ("MASK",)
    RETURN_NAMES = ("mask",)
    OUTPUT_TOOLTIPS = ("The mask over the display window. 1 = selected, opaque, unless turned round.",)

    def run(self, matte: Shot | Tensor, frames: str, layer: str, invert: bool) -> tuple[Tensor]:
        shot: Shot = fit("Mask from Shot", self.PORTS, {"matte": matte})["matte"]
        numbers, place_of_layer = chosen(shot, frames, "all"), layer_of(shot, layer)
        window = shot.header.display
        batch = torch.zeros(len(numbers), window.height, window.width)
        for place, frame in enumerate(pull([(shot, numbers)])):
            batch[place] = torch.tensor(over_display(frame)[place_of_layer])
        return (host.to_comfy(1 - batch if invert else batch),)


class ShotInfo(PictureNode):
    DESCRIPTION = "What a shot is: frames, size, colour space, channels, how it is made. Reads no frame."
    SEARCH_ALIASES = ("metadata", "frame range", "colour space")
    PORTS = (_ANY_SHOT,)
    OUTPUT_NODE = True
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("text",)
    OUTPUT_TOOLTIPS = ("The description, one fact a line.",)

    def run(self, shot: Shot) -> dict[str, Any]:
        text = describe(shot)
        host.tell(text)
        return {"ui": {"text": [text]}, "result": (text,)}


class Preview(PictureNode):
    DESCRIPTION = "Shows single frames: the plate, its alpha, the plate over a checker. Computes only those frames."
    SEARCH_ALIASES = ("view", "show matte", "preview matte")
    CATEGORY = "Matte/View"
    PORTS = (
        Port("The plate, or its foreground.", "plate", name="plate", default=None),
        Port(f"The matte. {POLARITY}", "matte", name="matte", default=None),
        Port(f"{FRAMES} Empty: the first.", name="frames", default=""),
        _choice("look", "What to show.", LOOKS),
    )
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    def run(self, frames: str, look: str, plate: Any = None, matte: Any = None) -> dict[str, Any]:
        fitted = fit("Preview", self.PORTS, {"plate": plate, "matte": matte})
        return preview(fitted["plate"], fitted["matte"], frames, look)


def describe(shot: Shot) -> str:
    """The shot in words, one fact a line."""
    header, data, display = shot.header, shot.header.data, shot.header.display
    lines = [
        f"{shot.kind}: {len(shot.frames)} frames, {shot.frames}",
        f"display window: {display.width}x{display.height}",
        f"data window: {data.width}x{data.height} at {data.x}, {data.y}",
        f"pixel aspect: {header.pixel_aspect:g}",
        f"colour: {header.colour_space or 'none'}{'' if header.linear else ' (display-referred)'}",
        f"channels: {', '.join(shot.channels)}",
        f"made by: {' > '.join(dict.fromkeys(source.verb for source in shot.lineage()))}",
        *dict.fromkeys(note for source in shot.lineage() for note in source.notes),
    ]
    lines += [f"{entry.name}: {entry.value}" for entry in header.metadata]
    return "\n".join(lines)


PICTURE_NODES: dict[str, tuple[type[PictureNode], str]] = {
    "MatteShotFromImage": (ShotFromImage, "Shot from Image"),
    "MatteShotFromMask": (ShotFromMask, "Shot from Mask"),
    "MatteImageFromShot": (ImageFromShot, "Image from Shot"),
    "MatteMaskFromShot": (MaskFromShot, "Mask from Shot"),
    "MatteShotInfo": (ShotInfo, "Shot Info"),
    "MattePreview": (Preview, "Preview Matte"),
}
