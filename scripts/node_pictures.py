"""The picture of each node for its help page: what goes in and what comes out, of the bundled plates, by the node.

A node whose sockets are called plate, matte, mask, guide, foreground, background or the like needs no line here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from lab import aside, module, node, picture, sheet, written
from PIL import Image

from matte_core.frame import Header, Window
from matte_core.graph import node_types
from matte_core.io.exr import write_picture

Panels = list[tuple[str, Image.Image]]
FRAME = 1005
SCREENED = {"MatteCleanPlate", "MatteDifferenceMatte", "MatteDespill"}  # shown on the green screen
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "MatteDespill": {"screen": "clean plate"},
    "MatteRefineMatte": {"black": 0.1, "white": 0.9, "grow": -1.0, "blur": 1.0},
    "MatteDifference": {"gain": 4.0},
    "MattePickInstances": {"instances": "jacket"},
    "MatteInstancesFromMasks": {"names": "head,jacket"},
    "MatteKeyframedGuide": {"keys": "1001,1008"},
    "MattePropagateMask": {"keys": "1001"},
    "MattePropagateTrimap": {"keys": "1001"},
    "MatteVideoMatte": {"keys": "1001"},
}


@cache
def sample(name: str, screened: bool = False) -> Any:
    """A shot to put into a socket called `name`."""
    key = {"first": "matte", "compare_matte": "second", "guide": "trimap", "mask_1": "head", "mask_2": "jacket"}
    return SAMPLES[key.get(name, name)](screened)


def _read(kind: str, plain: str, screen: str) -> Callable[[bool], Any]:
    return lambda screened: node(kind, path=screen if screened else plain)[0]


def _alpha(model: str) -> Callable[[bool], Any]:
    def make(screened: bool) -> Any:
        plate, guide = sample("plate", screened), sample("trimap", screened)
        return node("MatteEstimateAlpha", plate=plate, guide=guide, model=model)[0]

    return make


def _part(upper: bool) -> Callable[[bool], Any]:
    """The mask of one frame above or below the chin, as a shot."""

    def make(screened: bool) -> Any:
        (batch,) = node("MatteMaskFromShot", matte=sample("mask"), frames=str(FRAME), layer="", invert=False)
        part = batch.clone()
        part[:, 172:] *= not upper
        part[:, :172] *= upper
        return node("MatteShotFromMask", mask=part, first_frame=FRAME, invert=False)[0]

    return make


def _instances(screened: bool) -> Any:
    return node("MatteInstancesFromMasks", mask_1=sample("head"), mask_2=sample("jacket"), names="head,jacket")[0]


SAMPLES: Mapping[str, Callable[[bool], Any]] = {
    "plate": _read("MatteReadPlate", "plate/plate.####.exr", "screen/screen.####.exr"),
    "mask": _read("MatteReadMatte", "plate/mask.####.png", "screen/mask.####.png"),
    "background": _read("MatteReadPlate", "plate/background.exr", "plate/background.exr"),
    "trimap": lambda screened: node("MatteTrimapFromMask", mask=sample("mask", screened))[0],
    "matte": _alpha("net_m-small"),
    "second": _alpha("closed-form-device"),
    "clean_plate": lambda screened: node("MatteCleanPlate", plate=sample("plate", True), matte=sample("mask", True))[0],
    "foreground": lambda screened: node(
        "MatteEstimateForeground", plate=sample("plate", screened), matte=sample("matte", screened)
    )[0],
    "premultiplied": lambda screened: node("MattePremultiply", plate=sample("foreground"), matte=sample("matte"))[0],
    "head": _part(True),
    "jacket": _part(False),
    "instances": _instances,
    "shot": lambda screened: sample("plate"),
}
# Sockets that are shown something else than their name says.
INSTEAD = {
    ("MatteCleanPlate", "matte"): "mask",
    ("MatteDespill", "plate"): "foreground",
    ("MattePremultiply", "plate"): "foreground",
    ("MatteUnpremultiply", "plate"): "premultiplied",
    ("MattePickInstances", "matte"): "instances",
    ("MatteAgreeInstances", "matte"): "instances",
    ("MatteInstanceColours", "matte"): "instances",
    ("MatteWriteCryptomatte", "matte"): "instances",
    ("MatteKeyframedGuide", "guide"): "mask",
    ("MatteVideoMatte", "guide"): "mask",
    ("MatteWritePlate", "plate"): "premultiplied",
}


def panels(kind: str) -> Panels:
    """What goes into the node and what comes out. KeyError where a socket has no sample."""
    if kind in DRAWN:
        return DRAWN[kind]()
    op, screened = node_types()[kind], kind in SCREENED
    sockets = {
        port.name: sample(INSTEAD.get((kind, port.name), port.name), screened)
        for port in op.ports
        if port.is_socket
        and port.type != "model"
        and (not port.optional or port.name in ("clean_plate", "mask_2", "matte"))
    }
    made = node(kind, **sockets, **SETTINGS.get(kind, {}))
    return [(name, picture(shot, FRAME)) for name, shot in sockets.items()] + [
        (f"> {output.name}", picture(shot, FRAME)) for output, shot in zip(op.outputs, made, strict=True)
    ]


def _frames_of(kind: str, path: str) -> Panels:
    (shot,) = node(kind, path=path)
    return [(f"> {number}", picture(shot, number)) for number in (1001, 1004, 1008)]


def _files(kind: str, looks: Sequence[tuple[str, str, Mapping[str, str]]], **values: Any) -> Panels:
    """What a writing node wrote, read again: (caption, node that reads, its settings) each."""
    node(kind, out="made.####.exr", overwrite=True, **values)
    made = f"made.{FRAME}.exr"
    return [(caption, picture(node(reader, path=made, **more)[0], FRAME)) for caption, reader, more in looks]


def _write_sequence() -> Panels:
    given = {name: sample(name) for name in ("plate", "matte", "foreground")}
    looks = [
        ("> R G B", "MatteReadPlate", {"layer": ""}),
        ("> A", "MatteReadMatte", {"channel": "A"}),
        ("> straight R G B", "MatteReadPlate", {"layer": "straight"}),
    ]
    return _files("MatteWriteSequence", looks, deliver="layers", **given)


def _cryptomatte(reads: bool) -> Panels:
    instances = sample("instances")
    node("MatteWriteCryptomatte", matte=instances, out="id.####.exr")
    found = node("MatteInstancesFromCryptomatte", path=f"id.{FRAME}.exr")[0]
    before = [] if reads else [("matte", picture(instances, FRAME))]
    return [*before, (f"> {'instances' if reads else 'by name'}", picture(found, FRAME))]


def _id_pass() -> Panels:
    ids = sum(place * _pixels(sample(name)) for place, name in enumerate(("head", "jacket"), 1))
    height, width = ids.shape[-2:]
    header = Header(Window(0, 0, width, height), Window(0, 0, width, height))
    write_picture(Path("output/ids.exr"), "openexr", ["id"], [ids], header, "zip", "float", [])
    found = node("MatteInstancesFromIdPass", path="ids.exr", ids="head=1, jacket=2", channel="id")[0]
    grey = Image.fromarray((ids[0] * 80).astype(np.uint8)).convert("RGB")
    return [("id pass", grey), ("> instances", picture(found, FRAME))]


def _pixels(shot: Any) -> Any:
    """Pixels (1, H, W) of the shot's first frame."""
    (frame,) = list(module("pulling").pull([(shot, [shot.frames[0]])]))
    return frame.pixels


def _pictures(kind: str, source: str, output: str, **values: Any) -> Panels:
    """A node between shots and ComfyUI's pictures, which look alike on both sides."""
    (made,) = node(kind, **values)
    if kind == "MatteImageFromShot" or kind == "MatteMaskFromShot":
        batch = made if made.ndim == 4 else made[..., None].expand(-1, -1, -1, 3)
        after = Image.fromarray((batch[0].clamp(0, 1) * 255).round().byte().numpy())
    else:
        after = picture(made, FRAME)
    return [(source, picture(sample("matte" if "mask" in source else "plate"), FRAME)), (f"> {output}", after)]


def _resized() -> Panels:
    small = node("MatteReadMatte", path=f"screen/mask.{FRAME}.png")[0]
    op = node_types()["MatteResizeToPlate"]
    other = next(port.name for port in op.ports if port.is_socket and port.name != "plate")
    (made,) = node("MatteResizeToPlate", **{other: small, "plate": sample("plate")})
    return [("plate", picture(sample("plate"), FRAME)), (other, picture(small, FRAME)), (">", picture(made, FRAME))]


def _preview() -> Panels:
    shown = (
        module("mappings")
        .NODE_CLASS_MAPPINGS["MattePreview"]()
        .run(plate=sample("plate"), matte=sample("matte"), frames=str(FRAME), look="all")
    )
    names = [Path("temp") / image["subfolder"] / image["filename"] for image in shown["ui"]["images"]]
    return [("> " + name.name.partition("_")[0], Image.open(name).convert("RGB")) for name in names]


def _viewer() -> Panels:
    given = {name: sample(name) for name in ("plate", "matte", "foreground")}
    view = module("mappings").NODE_CLASS_MAPPINGS["MatteViewer"]().run(**given)["ui"]["matte_view"][0]
    token = view if isinstance(view, str) else next(value for value in view.values() if isinstance(value, str))
    shown: Panels = []
    for look in ("rgb", "alpha", "overlay", "checker"):
        asked = {"view": token, "what": "picture", "look": look, "frame": str(FRAME)}
        body, _ = module("viewer").answer(asked, lambda: False)
        shown.append((f"> {look}", Image.open(io.BytesIO(body)).convert("RGB")))
    return shown


def _shot_info() -> Panels:
    text = node("MatteShotInfo", shot=sample("matte"))[0]
    return [("shot", picture(sample("matte"), FRAME)), ("> text", written(text))]


def _model() -> Panels:
    from matte_core.models.catalogue import cards

    return [("> matting_model, one of", written("\n".join(card.name for card in cards() if card.answers == "alpha")))]


def _batch(kind: str) -> Any:
    (batch,) = node(kind, **_shot_values(kind))
    return batch


def _shot_values(kind: str) -> dict[str, Any]:
    if kind == "MatteImageFromShot":
        return {"shot": sample("plate"), "frames": str(FRAME), "view": "display"}
    return {"matte": sample("matte"), "frames": str(FRAME), "layer": "", "invert": False}


DRAWN: Mapping[str, Callable[[], Panels]] = {
    "MatteReadPlate": lambda: _frames_of("MatteReadPlate", "plate/plate.####.exr"),
    "MatteReadMatte": lambda: _frames_of("MatteReadMatte", "plate/mask.####.png"),
    "MatteWriteSequence": _write_sequence,
    "MatteWritePlate": lambda: _files(
        "MatteWritePlate", [("> R G B", "MatteReadPlate", {})], plate=sample("premultiplied")
    ),
    "MatteWriteCryptomatte": lambda: _cryptomatte(False),
    "MatteInstancesFromCryptomatte": lambda: _cryptomatte(True),
    "MatteInstancesFromIdPass": _id_pass,
    "MatteResizeToPlate": _resized,
    "MattePreview": _preview,
    "MatteViewer": _viewer,
    "MatteShotInfo": _shot_info,
    "MatteLoadMattingModel": _model,
    "MatteImageFromShot": lambda: _pictures(
        "MatteImageFromShot", "plate", "image", **_shot_values("MatteImageFromShot")
    ),
    "MatteMaskFromShot": lambda: _pictures("MatteMaskFromShot", "mask", "mask", **_shot_values("MatteMaskFromShot")),
    "MatteShotFromImage": lambda: _pictures(
        "MatteShotFromImage", "image", "plate", image=_batch("MatteImageFromShot"), first_frame=FRAME, space="sRGB"
    ),
    "MatteShotFromMask": lambda: _pictures(
        "MatteShotFromMask", "mask", "matte", mask=_batch("MatteMaskFromShot"), first_frame=FRAME, invert=False
    ),
}


def draw(kinds: list[str]) -> Iterator[tuple[str, Image.Image]]:
    """Each node's name and its picture."""
    with aside():
        for kind in kinds:
            shown = panels(kind)
            yield kind, sheet(shown, columns=2 if len(shown) == 4 else 3)
