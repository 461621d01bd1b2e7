"""Picture files written through OpenImageIO, every return checked and every file proven whole.

The checks are not enough by themselves: on a full disk OpenImageIO reports success for the last chunks of a
file that never reached the disk. So the chunk table of each EXR is read back, and other formats are decoded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_core.errors import OutputError, SourceError
from matte_core.frame import Attribute, Header, Pixels
from matte_core.io import chunks
from matte_core.io.image import copied, error_text, has_no_holes, read_header, read_pixels
from matte_core.io.windows import place
from matte_core.late import late

oiio = late("OpenImageIO")

HALF_MOST = 65504.0  # the largest half; what is above would become infinite

_PNG_END = b"IEND\xaeB`\x82"
_PIXEL_TYPES = {"half": "HALF", "float": "FLOAT", "8": "UINT8", "16": "UINT16"}

# Types whose spelling OpenImageIO does not read back as the same type; the value would be dropped silently.
_TYPES = {
    "timecode": "TypeTimeCode",
    "keycode": "TypeKeyCode",
    "rational": "TypeRational",
    "vector2i": "TypeVector2i",
    "vectori": "TypeVector3i",
    "vector2i[2]": "TypeBox2i",
    "float2[2]": "TypeBox2",
}


def write_picture(
    path: Path,
    format: str,
    channels: Sequence[str],
    layers: Sequence[Pixels],
    header: Header,
    compression: str,
    depth: str,
    own: Sequence[Attribute],
    exact: int = 0,
) -> None:
    """Write `layers`, each (C, H, W) over `header.data`, as one file at `path`, whatever the path ends in.

    `channels` names all channels in order. `depth` is "half" or "float" as they are, or "8" or "16" clamped
    to 0..1; the last `exact` channels are 32-bit floats whatever the depth, bit for bit. PNG and TIFF hold the
    display window, EXR the data window. NaN is written as 0, and half clamped to ±65504. `own` is written beside
    the header's metadata and wins over it.

    Raises OutputError where a byte is not on the disk at the end.
    """
    if format != "openexr":
        layers = [place(layer, header.data, header.display) for layer in layers]
    pixels = _interleaved(layers, depth, exact)
    spec = _spec(format, channels, pixels.shape, header, compression, depth, own)
    if exact:
        spec.channelformats = (_PIXEL_TYPES[depth],) * (len(channels) - exact) + (oiio.FLOAT,) * exact
    target = oiio.ImageOutput.create(format)
    if target is None:
        raise OutputError(f"{format} cannot be written here: {error_text(oiio)}. Write EXR.")
    good = target.open(str(path), spec) and target.write_image(pixels)
    reason = error_text(target)
    good = target.close() and good
    error_text(target)  # TIFF reports an error after each close, also where the file is whole
    reason = reason or _unfinished(path, format)
    if reason or not good:
        raise OutputError(reason.replace(f' "{path}"', "") or "the file is not complete")


def _unfinished(path: Path, format: str) -> str:
    """Why the file just written is not whole, "" where it is."""
    if format == "openexr":
        return chunks.cut_short(path)
    if format == "png" and not path.read_bytes().endswith(_PNG_END):
        return "it has no end"  # it would decode nevertheless
    source = oiio.ImageInput.open(str(path))
    if source is None:
        return error_text(oiio)
    decoded = source.read_image(oiio.FLOAT)
    reason = error_text(source)
    source.close()
    return reason if decoded is not None else reason or "it does not decode"


def decodes(path: Path) -> bool:
    """Whether every channel of the first part of the file can be read to its end."""
    try:
        first = read_header(path).parts[0]
        read_pixels(path, first.channels, str(first.index))
    except SourceError:
        return False
    return True


def _interleaved(layers: Sequence[Pixels], depth: str, exact: int) -> NDArray[Any]:
    """(H, W, C), contiguous: OpenImageIO refuses other strides by a return value alone."""
    count = sum(len(layer) for layer in layers)
    height, width = layers[0].shape[1:]
    low, high = {"half": (-HALF_MOST, HALF_MOST), "float": (-np.inf, np.inf)}.get(depth, (0.0, 1.0))
    packed = np.empty((height, width, count), np.float16 if depth == "half" and not exact else np.float32)
    every = (channel for layer in layers for channel in layer)
    for index, channel in enumerate(every):
        if index >= count - exact:
            packed[..., index] = channel
            continue
        clamped = np.clip(channel, low, high)
        if not has_no_holes(clamped):
            clamped[np.isnan(clamped)] = 0.0
        copied(clamped, packed[..., index])
    return packed


def _spec(
    format: str,
    channels: Sequence[str],
    shape: tuple[int, ...],
    header: Header,
    compression: str,
    depth: str,
    own: Sequence[Attribute],
) -> Any:
    height, width, count = shape
    spec = oiio.ImageSpec(width, height, count, getattr(oiio, _PIXEL_TYPES[depth]))
    window = header.data if format == "openexr" else header.display
    spec.x, spec.y = (window.x, window.y) if format == "openexr" else (0, 0)
    full = header.display
    spec.full_x, spec.full_y = (full.x, full.y) if format == "openexr" else (0, 0)
    spec.full_width, spec.full_height = full.width, full.height
    spec.channelnames = tuple(channels)
    spec.alpha_channel = channels.index("A") if "A" in channels else -1
    spec.attribute("PixelAspectRatio", header.pixel_aspect)
    spec.attribute("DateTime", "")  # nothing is written then; left out, OpenImageIO writes the time of day
    for entry in (*header.metadata, *own):
        kind = getattr(oiio, _TYPES[entry.type]) if entry.type in _TYPES else oiio.TypeDesc(entry.type)
        spec.attribute(entry.name, kind, tuple(entry.value) if isinstance(entry.value, list) else entry.value)
    if compression:
        spec.attribute("compression", compression)
    premultiplied = any(entry.name == "matte/rgb" and entry.value == "premultiplied" for entry in own)
    spec.attribute("oiio:UnassociatedAlpha", 0 if premultiplied else 1)  # else colour is changed on the way
    if format == "tiff":
        spec.attribute("ImageDescription", json.dumps({entry.name: entry.value for entry in own}, sort_keys=True))
    return spec
