"""8-bit picture files for the core nodes and the page. Floats are sRGB 0..1, as ComfyUI means IMAGE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from matte_core.errors import SourceError, UsageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
CHANNELS = ("red", "green", "blue", "alpha")
PREVIEW_FORMATS = ("webp", "jpeg")


def read_picture(place: Path) -> Tensor:
    """Red, green, blue, alpha of a picture, (H, W, 4), 0..1; alpha is 1 where the file has none.

    Raises SourceError where it cannot be read.
    """
    picture = np.asarray(_open(place).convert("RGBA"), np.float32) / 255
    return torch.from_numpy(picture)


def write_png(picture: Tensor, place: Path, notes: Mapping[str, Any], compression: int) -> None:
    """Writes (H, W, 1 or 3 or 4) in 0..1 as PNG, clipped; `notes` are kept in it as JSON (the page reads them back)."""
    codes = (picture.detach().cpu().float().nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    written = PngImagePlugin.PngInfo()
    for name, note in notes.items():
        written.add_text(name, json.dumps(note))
    image = Image.fromarray(codes[..., 0] if codes.shape[-1] == 1 else np.ascontiguousarray(codes))
    image.save(place, "PNG", pnginfo=written, compress_level=compression)


def with_alpha_of(place: Path, drawn: IO[bytes]) -> bytes:
    """PNG of the picture at `place` with the alpha of a drawn one: what the page's mask editor saves."""
    picture = _open(place).convert("RGBA")
    alpha = _read(drawn, "the drawn mask").convert("RGBA").getchannel("A")
    picture.putalpha(alpha.resize(picture.size) if alpha.size != picture.size else alpha)
    return _encoded(picture, "png")


def preview(place: Path, wanted: str) -> tuple[bytes, str]:
    """The picture as the page asks for it, "webp;90" or "jpeg;80", and its media type."""
    form, _, quality = wanted.partition(";")
    chosen = form if form in PREVIEW_FORMATS else PREVIEW_FORMATS[0]
    picture = _open(place)
    picture = picture.convert("RGB" if chosen == "jpeg" or picture.mode not in ("RGB", "RGBA") else picture.mode)
    strength = min(max(int(quality), 1), 100) if quality.isdecimal() else 90
    return _encoded(picture, chosen, strength), f"image/{chosen}"


def channel(place: Path, wanted: str) -> tuple[bytes, str]:
    """The picture's colour without alpha ("rgb"), or its alpha alone ("a"), as PNG, and its media type."""
    picture = _open(place).convert("RGBA")
    if wanted == "rgb":
        return _encoded(picture.convert("RGB"), "png"), "image/png"
    alone = Image.new("RGBA", picture.size)
    alone.putalpha(picture.getchannel("A"))
    return _encoded(alone, "png"), "image/png"


def _open(place: Path) -> Image.Image:
    try:
        with place.open("rb") as file:
            return _read(file, place.name)
    except OSError as error:
        raise SourceError(f"{place.name} cannot be read ({error.strerror or error}). Upload it again.") from None


def _read(file: IO[bytes], name: str) -> Image.Image:
    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened)
            return picture.point(lambda code: code * (1 / 255)) if picture.mode == "I" else picture.copy()
    except (UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise SourceError(f"{name} is no picture ({error}). Use PNG, JPEG, WebP, BMP, GIF or TIFF.") from None
    except Image.DecompressionBombError:
        raise UsageError(f"{name} has too many pixels for this node. Read it with Read EXR Sequence.") from None


def _encoded(picture: Image.Image, form: str, quality: int = 90) -> bytes:
    held = BytesIO()
    if form == "png":
        picture.save(held, "PNG", compress_level=1)
    else:
        picture.save(held, form.upper(), quality=quality)
    return held.getvalue()
