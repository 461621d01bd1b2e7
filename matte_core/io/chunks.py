"""Whether an EXR file is whole, told from its table of chunks without decoding a pixel.

A renderer or a full disk that stops in the middle leaves a file whose header opens. The table that follows
the header says where each chunk of pixels starts. Source: OpenEXR file layout, openexr.com.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

_MAGIC = b"\x76\x2f\x31\x01"
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_LOOK = (1 << 15, 1 << 20, 1 << 26)  # bytes of the file's beginning that are searched for the header's end
_MOST_CHUNKS = 1 << 22


def cut_short(path: Path) -> str:
    """Why the EXR file cannot be whole ("" where nothing speaks against it): chunks never written or cut off.

    Says "" for what it does not understand: other formats, damaged headers, chunks in other than rising order.
    Raises OSError where the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        for look in _LOOK:
            file.seek(0)
            beginning = file.read(look)
            try:
                start, flags = _header_end(beginning)
                break
            except (struct.error, ValueError):
                if look >= size:
                    return "it ends inside its header" if _MAGIC.startswith(beginning[:4]) else ""
        else:
            return ""
        if start < 0:
            return ""
        return _judge_table(file, start, size, flags)


def _judge_table(file: BinaryIO, start: int, size: int, flags: int) -> str:
    entry = _read(file, start, 8)
    if len(entry) < 8:
        return "it ends inside its chunk table"
    (first,) = struct.unpack("<Q", entry)
    if first == 0:
        return "its chunks were never written"
    count, left_over = divmod(first - start, 8)
    if first < start or left_over or not 0 < count <= _MOST_CHUNKS:
        return ""
    if start + 8 * count > size:
        return "it ends inside its chunk table"
    table = np.frombuffer(_read(file, start, 8 * count), "<u8")
    unwritten, last = int(np.count_nonzero(table == 0)), int(table.max())
    if unwritten:
        return f"{unwritten} of {count} chunks were never written"
    if last >= size:
        return f"{int(np.count_nonzero(table >= size))} of {count} chunks are cut off"
    if flags & (_DEEP | _MULTIPART):
        return ""
    lead = 20 if flags & _TILED else 8  # bytes before a chunk's pixels: coordinates, then their size
    chunk = _read(file, last, lead)
    if len(chunk) < lead or last + lead + struct.unpack("<i", chunk[-4:])[0] > size:
        return "its last chunk is cut off"
    return ""


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _header_end(data: bytes) -> tuple[int, int]:
    """Offset of the chunk table and the version's flags; offset -1 where chunks are not in rising order.

    Raises ValueError or struct.error where `data` ends before the header does.
    """
    if data[:4] != _MAGIC[: len(data)]:
        return -1, 0
    (flags,) = struct.unpack_from("<I", data, 4)
    position, rising = 8, True
    while True:
        while data[position : position + 1] != b"\0":
            name_end = data.index(b"\0", position)
            kind_end = data.index(b"\0", name_end + 1)
            (length,) = struct.unpack_from("<i", data, kind_end + 1)
            if length < 0:
                return -1, 0
            if data[position:name_end] == b"lineOrder":
                rising = rising and data[kind_end + 5 : kind_end + 6] == b"\0"
            position = kind_end + 5 + length
            if position >= len(data):
                raise ValueError("the header goes on")
        position += 1
        if not flags & _MULTIPART:
            break
        if data[position : position + 1] == b"\0":
            position += 1
            break
    return (position if rising else -1), flags
