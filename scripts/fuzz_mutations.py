"""Damage: bytes and JSON changed at random, towards what readers are known to stumble over."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

NUMBERS = (0, 1, -1, 2, 7, 127, 128, 255, 256, 32767, 65535, 1 << 20, 1 << 24, (1 << 31) - 1, -(1 << 31), 1 << 32)
PATHS = (
    "../secret/key.exr",
    "plate/../../secret/key.exr",
    "/etc/passwd",
    "//server/share/a.exr",
    "C:\\secret\\key.exr",
    "file:///etc/passwd",
    "~/key.exr",
    "$HOME/key.####.exr",
    "%2e%2e/secret/key.exr",
    "link/key.exr",
    "link/new.####.exr",
    "plate/plate.exr\x00.png",
    "plate/plate.1001-99999999####.exr",
    "plate/####.####.exr",
    "####",
    "%010000000d.exr",
    "$F999999999.exr",
    "a/" * 3000,
    "1" * 100_000,
    "",
    ".",
)
TEXTS = (
    "*" * 40,
    "*a" * 30 + "b",
    "?" * 400,
    "\ud7ff\U0010ffff",
    "0" * 5000,
    "1001-2000000",
    "1-9999999999999",
    "1001-1100x0",
    "-5--1",
    ",".join("1001" for _ in range(5000)),
    "{{}}%s%n",
    "(a+)+$",
    "NaN",
    "__class__",
    "ocio://nothing",
)


def bytes_changed(random_: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """`data` with one to eight changes, most of them near its beginning, where a file's header is."""
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 1, 2, 3, 8))):
        if not changed:
            break
        reach = len(changed) if random_.random() < 0.3 else min(len(changed), random_.choice((64, 400, 2000)))
        random_.choice(_BYTE_CHANGES)(random_, changed, random_.randrange(reach), others)
    return bytes(changed)


def _flip(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    data[at] ^= 1 << random_.randrange(8)


def _set(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    data[at] = random_.choice((0, 1, 0x20, 0x7F, 0x80, 0xFF, random_.randrange(256)))


def _number(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    width = random_.choice((2, 4, 8))
    value = random_.choice(NUMBERS) & ((1 << 8 * width) - 1)
    data[at : at + width] = value.to_bytes(width, random_.choice(("little", "little", "big")))


def _cut(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    del data[at : at + random_.choice((1, 2, 8, 100, 10_000))]


def _end(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    del data[random_.randrange(len(data)) :]


def _again(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    piece = data[at : at + random_.choice((1, 4, 30, 400))]
    data[at:at] = piece * random_.choice((1, 2, 50))


def _noise(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    length = random_.choice((1, 4, 16, 200))
    data[at : at + length] = random_.randbytes(length)


def _other(random_: random.Random, data: bytearray, at: int, others: Sequence[bytes]) -> None:
    other = random_.choice(others)
    start = random_.randrange(max(len(other), 1))
    data[at : at + random_.choice((8, 60, 500))] = other[start : start + random_.choice((8, 60, 500))]


_BYTE_CHANGES: tuple[Callable[[random.Random, bytearray, int, Sequence[bytes]], None], ...] = (
    _flip, _flip, _set, _number, _number, _cut, _end, _again, _noise, _other,
)  # fmt: skip


def json_changed(random_: random.Random, value: Any) -> Any:
    """The JSON value with one to six of its parts replaced, left out, doubled or exchanged; itself is not changed."""
    changed = json.loads(json.dumps(value))
    for _ in range(random_.choice((1, 1, 2, 3, 6))):
        places = list(_places(changed))
        if not places:
            break
        holder, key = random_.choice(places)
        fate = random_.random()
        if fate < 0.6:
            holder[key] = _nasty(random_)
        elif fate < 0.75:
            del holder[key]
        elif fate < 0.9:
            other, place = random_.choice(places)
            holder[key] = json.loads(json.dumps(other[place])) if _has(other, place) else None
        elif isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        else:
            holder[str(_nasty(random_))[:200]] = holder[key]
    return changed


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) inside a JSON value."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        holder = pending.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        found.extend((holder, key) for key in keys)
        pending.extend(holder[key] for key in keys)
    return found


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _nasty(random_: random.Random) -> Any:
    kind = random_.randrange(6)
    if kind == 0:
        return random_.choice(PATHS)
    if kind == 1:
        return random_.choice(TEXTS)
    if kind == 2:
        return random_.choice((*NUMBERS, 1e308, -1e-308, 0.5, 10**400))
    if kind == 3:
        return random_.choice((None, True, False, [], {}, [[]], {"": None}, [0, 0], ["1", 0], ["1", -1], ["1", 1e9]))
    if kind == 4:
        return nested(random_.choice((3, 60, 3000)))
    return "".join(chr(random_.randrange(1, 0xD800)) for _ in range(random_.choice((1, 5, 300))))


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    value: Any = []
    for _ in range(min(depth, 400)):  # json itself refuses to write deeper ones; bytes are changed as well
        value = [value]
    return value


def safetensors_changed(random_: random.Random, data: bytes) -> bytes:
    """A safetensors file with its JSON header changed and the header's length kept true."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.dumps(json_changed(random_, json.loads(data[8 : 8 + length]))).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + data[8 + length :]
