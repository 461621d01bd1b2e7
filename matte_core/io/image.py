"""Headers and pixels of picture files, read through OpenImageIO with every return checked.

ImageInput alone is used: ImageBuf hands out pixels of files it could not decode. What OpenImageIO does
silently and wrongly for us (deep files read as noise, integer ids scaled, straight PNG colour multiplied by
its alpha) is refused or undone here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matte_core.errors import SourceError, UsageError
from matte_core.frame import Header, Json, Pixels, Window
from matte_core.io import chunks
from matte_core.io.attributes import clean, metadata, written
from matte_core.io.windows import spell
from matte_core.late import late

oiio = late("OpenImageIO")

FORMATS = {
    ".exr": "openexr",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".dpx": "dpx",
    ".hdr": "hdr",
}

# Samples (pixels x channels) decoded at once: 4 GiB of float32, 16384 x 16384 RGBA. A damaged header can
# claim any size, so it is held against this before memory is taken.
MOST_SAMPLES = 1 << 30


@dataclass(frozen=True)
class Part:
    """One part of a file: its channels in OpenImageIO's order, their pixel types, how they are stored."""

    index: int
    name: str
    channels: tuple[str, ...]
    types: tuple[str, ...]  # "half", "float", "uint", "uint8", "uint16" … per channel
    compression: str
    tiled: bool
    deep: bool
    header: Header


@dataclass(frozen=True)
class FileInfo:
    """What a file says about itself: its format, its parts, and what Matte once wrote into it."""

    file: str
    format: str
    parts: tuple[Part, ...]
    written: dict[str, Json]  # matte/… attributes: stamp, settings, recipe

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers (what stands before a channel's last dot), each once."""
        return tuple(dict.fromkeys(name.rpartition(".")[0] for part in self.parts for name in part.channels))

    def facts(self) -> dict[str, Json]:
        """What a person asks of a file, as plain JSON: of its first part, and the other parts' names."""
        first = self.parts[0]
        header = first.header
        return {
            "file": self.file,
            "format": self.format,
            "parts": [part.name or str(part.index) for part in self.parts],
            "channels": [name for part in self.parts for name in part.channels],
            "layers": [layer for layer in self.layers if layer],
            "alpha": any({"A", "R"} <= set(part.channels) for part in self.parts),
            "pixel_type": list(dict.fromkeys(first.types)),
            "compression": first.compression,
            "tiled": first.tiled,
            "deep": first.deep,
            "data_window": spell(header.data),
            "display_window": spell(header.display),
            "pixel_aspect": header.pixel_aspect,
            "scene_referred": header.linear,
            "metadata": {entry.name: entry.value for entry in header.metadata},
            "matte": self.written,
        }

    def part(self, wanted: str) -> Part:
        """The part called `wanted`, or counted from 0 by it. Raises UsageError that lists the parts."""
        for part in self.parts:
            if part.name == wanted:
                return part
        if wanted.isdigit() and int(wanted) < len(self.parts):
            return self.parts[int(wanted)]
        listed = ", ".join(part.name or str(part.index) for part in self.parts)
        raise UsageError(f"{self.file} has no part '{wanted}'. Its parts are: {listed}.")


def read_header(path: Path, number: int | None = None) -> FileInfo:
    """Everything the file at `path` says besides its pixels; no pixel is decoded.

    `number` is the frame, for the sentence of an error. Raises SourceError where the file is not there, is
    empty, is no picture, has a damaged header, or keeps its colour at half resolution.
    """
    with _opened(path, number) as source:
        specs = _specs(source)
        parts = tuple(_part(index, spec, source.format_name()) for index, spec in enumerate(specs))
        return FileInfo(path.name, source.format_name(), parts, written(specs[0]))


def read_attributes(path: Path, beginning: str, number: int | None = None) -> dict[str, Json]:
    """Entries of the headers of all parts whose names begin with `beginning`. Raises SourceError as `read_header`."""
    with _opened(path, number) as source:
        entries = [entry for spec in _specs(source) for entry in spec.extra_attribs]
        return {entry.name: entry.value for entry in entries if entry.name.startswith(beginning)}


def read_pixels(
    path: Path, channels: Sequence[str], part: str = "", number: int | None = None
) -> tuple[Pixels, Header]:
    """Pixels (C, H, W) float32 over the data window, in the order of `channels` (one may be asked for twice).

    As they are in the file: half and float scene-referred and unclamped, NaN and infinity included; 8- and
    16-bit as 0..1; an EXR's integer channels as their true numbers (exact below 2^24). Colour is never
    multiplied by alpha. `part` is a name or an index; "" is the first part that has the channels.

    Raises SourceError where the file cannot be read or decoded to its end, or lacks a channel.
    """
    where = _where(path, number)
    with _opened(path, number) as source:
        index, spec = _find_part(source, where, channels, part)
        if spec.deep:
            raise SourceError(f"{where} holds deep samples. Flatten it (DeepToImage in Nuke) and read the result.")
        if spec.depth > 1:
            raise SourceError(f"{where} is a volume of {spec.depth} slices. Matte reads flat pictures.")
        positions = [list(spec.channelnames).index(name) for name in channels]
        runs = _runs(spec, positions, where)
        pixels = np.empty((len(channels), spec.height, spec.width), np.float32)
        for begin, end, kind in runs:
            decoded = source.read_image(index, 0, begin, end, kind)
            reason = error_text(source)
            if decoded is None or reason or decoded.shape != (spec.height, spec.width, end - begin):
                lost = chunks.cut_short(path) or reason or "it does not decode"
                raise SourceError(f"{where} is cut short or damaged: {lost}. Render it again.")
            for row, position in enumerate(positions):
                if begin <= position < end:
                    copied(decoded[..., position - begin], pixels[row])
        return pixels, _header(spec, source.format_name())


def copied(source: NDArray[Any], target: NDArray[Any]) -> None:
    """Copies a channel (H, W) into `target`, rounded to its type; torch turns half into float and back in a third of
    numpy's time, to the same bits."""
    if np.float16 in (source.dtype, target.dtype):
        torch.from_numpy(target).copy_(torch.from_numpy(source))
    else:
        target[...] = source


def scrub(pixels: Pixels) -> tuple[Pixels, int]:
    """The pixels with NaN as 0 and infinities as ±65504, and how many there were."""
    if has_no_holes(pixels):
        return pixels, 0
    count = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
    if count == 0:
        return pixels, 0
    return np.nan_to_num(pixels, nan=0.0, posinf=65504.0, neginf=-65504.0), count


def has_no_holes(pixels: NDArray[np.floating[Any]]) -> bool:
    """Whether a quick sum proves every value finite; False may be a false alarm (a sum that overflows)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(pixels.sum()))


def _where(path: Path, number: int | None) -> str:
    return path.name if number is None else f"{path.name} (frame {number})"


@contextmanager
def _opened(path: Path, number: int | None) -> Iterator[Any]:
    where = _where(path, number)
    expected = FORMATS.get(path.suffix.lower())
    if expected is None:
        raise SourceError(f"{where} is not a picture that Matte reads. Use one of {', '.join(FORMATS)}.")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SourceError(f"{where} cannot be read from {path.parent}: {error.strerror}. Check the path.") from error
    if size == 0:
        raise SourceError(f"{where} is empty (0 bytes). Render it again.")
    straight = oiio.ImageSpec()
    straight.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), straight)
    if source is None:
        reason = error_text(oiio)
        if "ubsampled" in reason and "(channel" in reason:
            raise SourceError(
                f"{where} keeps its colour at half resolution (luminance and chroma channels). Render it as RGB."
            )
        raise SourceError(f"{where} cannot be opened, its header is damaged: {reason}. Render it again.")
    try:
        if source.format_name() != expected:
            raise SourceError(f"{where} is a {source.format_name()} file under a wrong name. Rename or convert it.")
        yield source
    finally:
        error_text(source)  # an error left unread would be printed when the reader is destroyed
        source.close()


def library_threads(count: int) -> None:
    """From now on OpenImageIO decodes and encodes each file in `count` threads; 0 is one for each core."""
    oiio.attribute("threads", count)


def error_text(source: Any) -> str:
    """The first line of OpenImageIO's pending error, "" if none; damaged files put bytes in it that are no text."""
    try:
        lines = str(source.geterror()).strip().splitlines()
    except UnicodeDecodeError:
        return "its header holds no text where names should be"
    first = lines[0].strip().rstrip(".") if lines else ""
    head, mark, rest = first.partition("): ")
    return (rest if mark and head.startswith("EXR Error (") else first)[:400]


def _specs(source: Any) -> list[Any]:
    first = source.spec()
    count = first.get_int_attribute("oiio:subimages", 1)
    return [first, *(source.spec(index, 0) for index in range(1, count))]


def _find_part(source: Any, where: str, channels: Sequence[str], part: str) -> tuple[int, Any]:
    specs = _specs(source)
    looked_in = list(range(len(specs)))
    if part:
        looked_in = [index for index in looked_in if specs[index].get_string_attribute("oiio:subimagename") == part]
        looked_in = looked_in or [index for index in range(len(specs)) if str(index) == part]
    for index in looked_in:
        if set(channels) <= set(specs[index].channelnames):
            return index, specs[index]
    there = ", ".join(dict.fromkeys(name for index in looked_in for name in specs[index].channelnames)) or "none"
    place = f" in part '{part}'" if part else ""
    raise SourceError(f"{where} has no {', '.join(channels)}{place}. Its channels are: {there}.")


def _runs(spec: Any, positions: Sequence[int], where: str) -> list[tuple[int, int, Any]]:
    """Spans of neighbouring channels of one pixel type that cover `positions`, and what to decode them as."""
    formats = list(spec.channelformats) or [spec.format] * spec.nchannels
    runs: list[tuple[int, int, Any]] = []
    for position in sorted(set(positions)):
        kind = _decode_as(formats[position])
        if runs and position - runs[-1][1] < 4 and all(_decode_as(f) == kind for f in formats[runs[-1][0] : position]):
            runs[-1] = (runs[-1][0], position + 1, kind)
        else:
            runs.append((position, position + 1, kind))
    samples = spec.width * spec.height * max(len(positions), max(end - begin for begin, end, _ in runs))
    if not 0 < samples <= MOST_SAMPLES:
        raise SourceError(
            f"{where} claims {spec.width} x {spec.height} pixels, more than can be read at once. "
            "Its header is damaged, or it must be rendered in pieces."
        )
    return runs


def _decode_as(format: Any) -> Any:
    if format.basetype == oiio.UINT32:
        return oiio.UINT32  # asked for as float it would come scaled by 2^-32
    return oiio.HALF if format.basetype == oiio.HALF else oiio.FLOAT


def _part(index: int, spec: Any, format: str) -> Part:
    types = [str(each) for each in spec.channelformats] or [str(spec.format)] * spec.nchannels
    return Part(
        index,
        clean(spec.get_string_attribute("oiio:subimagename")),
        tuple(spec.channelnames),
        tuple(types),
        spec.get_string_attribute("compression"),
        spec.tile_width > 0,
        bool(spec.deep),
        _header(spec, format),
    )


def _header(spec: Any, format: str) -> Header:
    data = Window(spec.x, spec.y, spec.width, spec.height)
    display = Window(spec.full_x, spec.full_y, spec.full_width, spec.full_height)
    scene = format == "openexr" or spec.format.basetype in (oiio.HALF, oiio.FLOAT, oiio.DOUBLE)
    aspect = spec.get_float_attribute("PixelAspectRatio", 1.0)
    return Header(data, display, aspect if aspect > 0 else 1.0, "", scene, metadata(spec))
