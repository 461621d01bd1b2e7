"""The content of a file's header as Attributes: what a picture says about its making, not about its storage."""

from __future__ import annotations

import json
from typing import Any

from matte_core.frame import Attribute, Json

_ALL_OF_FILE = ("matte/", "cryptomatte/", "oiio:", "openexr:", "tiff:", "png:", "jpeg:", "hdr:", "ICCProfile")
_KEPT = ("oiio:ColorSpace", "ICCProfile:profile_description")
_STRUCTURE = {
    "acesImageContainerFlag",  # OpenImageIO then refuses to write anything but a strict ACES container
    "channels",
    "chunkCount",
    "compression",
    "dataWindow",
    "deepImageState",
    "displayWindow",
    "dwaCompressionLevel",
    "lineOrder",
    "maxSamplesPerPixel",
    "multiView",
    "name",
    "PixelAspectRatio",
    "pixelAspectRatio",
    "planarconfig",
    "preview",
    "tiles",
    "type",
    "version",
    "view",
}


def metadata(spec: Any) -> tuple[Attribute, ...]:
    """The content of the header; how the file is stored, and what describes other channels, is left out."""
    entries = []
    for entry in spec.extra_attribs:
        name = entry.name
        if name in _STRUCTURE or (name.startswith(_ALL_OF_FILE) and name not in _KEPT):
            continue
        value = _json(entry.value)
        if value is not None:
            entries.append(Attribute(name, str(entry.type), value))
    return tuple(entries)


def _json(value: Any) -> Json | None:
    """The value as `json.dumps` takes it, or None where it has no such form."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list):
        items = [_json(item) for item in value]
        return None if None in items else items
    return None


def clean(text: str) -> str:
    """Text whose bytes are no UTF-8 read as Latin-1, which is what older software wrote."""
    broken = any("\udc80" <= character <= "\udcff" for character in text)
    return text.encode("utf-8", "surrogateescape").decode("latin-1") if broken else text


def written(spec: Any) -> dict[str, Json]:
    """Matte's own attributes; a TIFF keeps them as JSON in its description."""
    own = {entry.name: _json(entry.value) for entry in spec.extra_attribs if entry.name.startswith("matte/")}
    description = clean(spec.get_string_attribute("ImageDescription"))
    if not own and description.startswith('{"matte/'):
        try:
            found = json.loads(description)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    return own
