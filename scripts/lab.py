"""The pack's nodes without ComfyUI, for scripts: workflows executed node by node, and pictures of what came out."""

from __future__ import annotations

import importlib
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.colour import to_display
from matte_core.graph import node_types, widget_names
from matte_core.shot import Shot
from matte_core.workflow import load

ROOT = Path(__file__).resolve().parent.parent
GREY = 0.18
MOST_HEIGHT, GAP, CAPTION = 180, 6, 18
PAPER, INK = (32, 32, 36), (208, 208, 212)


def module(name: str) -> Any:
    """A module of nodes/, as part of a package, as ComfyUI would import it."""
    if "matte_pack" not in sys.modules:
        package = types.ModuleType("matte_pack")
        package.__path__ = [str(ROOT)]
        sys.modules["matte_pack"] = package
    return importlib.import_module(f"matte_pack.nodes.{name}")


@contextmanager
def aside() -> Iterator[None]:
    """What nodes read, write and keep lies in a folder of its own meanwhile, which is gone at the end."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name in ("input", "output", "temp"):
            Path(name).mkdir()
        yield


def node(kind: str, **values: Any) -> tuple[Any, ...]:
    """Outputs of a node."""
    with torch.inference_mode():  # as ComfyUI does
        made = module("mappings").NODE_CLASS_MAPPINGS[kind]().run(**values)
    return tuple(made["result"] if isinstance(made, dict) else made)


def execute(path: Path) -> Mapping[str, tuple[Any, ...]]:
    """Outputs of every operation in a workflow file that writes nothing, by the node's id."""
    types_known = node_types()
    nodes = load(path, lambda kind: widget_names(types_known[kind]) if kind in types_known else None)
    made: dict[str, tuple[Any, ...]] = {}

    def outputs(key: str) -> tuple[Any, ...]:
        if key not in made:
            links = {name: outputs(link.node)[link.slot] for name, link in nodes[key].links.items()}
            made[key] = node(nodes[key].type, **nodes[key].values, **links)
        return made[key]

    for key, each in nodes.items():
        if each.type in types_known and not types_known[each.type].writes:
            outputs(key)
    return made


def picture(shot: Shot, number: int, matte: Shot | None = None) -> Image.Image:
    """A frame as a person sees it: a plate in sRGB, a matte grey; a straight foreground with its matte over grey."""
    if shot.kind != "plate" and len(shot.channels) > 1:
        shot = node("MatteInstanceColours", matte=shot)[0]
    light = _light(shot, number)
    if matte is not None:
        alpha = _light(matte, number)[:1]
        light = light * alpha + GREY * (1 - alpha)
    shown = to_display(light) if shot.kind == "plate" else light
    codes = np.rint(np.nan_to_num(shown).clip(0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(codes.transpose(1, 2, 0)))


@cache
def _light(shot: Shot, number: int) -> NDArray[np.float32]:
    """Linear Rec.709 (3, H, W) of a plate's frame over its display window; a matte's first layer three times."""
    sockets, chosen = module("sockets"), [number if number in shot.frames else shot.frames[0]]
    (frame,) = list(module("pulling").pull([(shot, chosen)]))
    pixels = sockets.over_display(frame)
    light = sockets.Look(shot).light(pixels) if shot.kind == "plate" else pixels[:1]
    return np.asarray(sockets.as_colour(light), np.float32)


def sheet(panels: Sequence[tuple[str, Image.Image]], columns: int = 4) -> Image.Image:
    """Pictures beside each other, each over its caption."""
    small = [(caption, _fitted(image)) for caption, image in panels]
    width, height = max(image.width for _, image in small), max(image.height for _, image in small)
    rows = -(-len(small) // columns)
    across = min(columns, len(small))
    paper = Image.new("RGB", (across * (width + GAP) + GAP, rows * (height + CAPTION + GAP) + GAP), PAPER)
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(12)
    for place, (caption, image) in enumerate(small):
        left = GAP + (place % columns) * (width + GAP)
        top = GAP + (place // columns) * (height + CAPTION + GAP)
        paper.paste(image, (left, top))
        draw.text((left + 2, top + image.height + 2), caption, INK, font)
    return paper


def written(text: str) -> Image.Image:
    """Lines of text as a picture."""
    paper = Image.new("RGB", (320, MOST_HEIGHT), (20, 20, 22))
    ImageDraw.Draw(paper).multiline_text((8, 6), text, INK, ImageFont.load_default(11), spacing=3)
    return paper


def _fitted(image: Image.Image) -> Image.Image:
    if image.height <= MOST_HEIGHT:
        return image
    return image.resize((round(image.width * MOST_HEIGHT / image.height), MOST_HEIGHT), Image.Resampling.BOX)


def save(image: Image.Image, path: Path) -> None:
    """Writes a small JPEG."""
    image.save(path, quality=82, optimize=True, progressive=True)
