"""What flows: a frame with its header, and the frame numbers of a shot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_core.errors import UsageError

Pixels = NDArray[np.float32]
Json = Any  # a value that `json.dumps` takes

REMARK = "matte/remark"  # the entry of a frame's header that a person should read
_PIECE = re.compile(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?")
_MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: origin (x, y), y down, may be negative; size in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Attribute:
    """One entry of a file's header: its name, its type as OpenImageIO spells it, its value."""

    name: str
    type: str
    value: Json


@dataclass(frozen=True)
class Header:
    """What a frame's file says besides its pixels: kept on reading and given back on writing.

    `data` is the window that holds pixels, `display` the picture that was meant; they need not overlap.
    `colour_space` is a name of the OCIO configuration in use, or "" where colour has no meaning (mattes).
    `linear` is False where the pixels are display-referred (an 8-bit photograph). `colour_config` is the
    OCIO configuration that the name belongs to, as it was asked for; "" is the default one. `tags` are the
    entries that tell the next reader about the colour space when pictures in it are written.
    """

    data: Window
    display: Window
    pixel_aspect: float = 1.0
    colour_space: str = ""
    linear: bool = True
    metadata: tuple[Attribute, ...] = ()
    colour_config: str = ""
    tags: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> Json | None:
        """Value of the metadata entry `name`, or None."""
        return next((entry.value for entry in self.metadata if entry.name == name), None)

    def with_attributes(self, entries: Iterable[Attribute]) -> Header:
        """The same header with entries added, or replaced where the name is there already."""
        merged = {entry.name: entry for entry in self.metadata}
        merged.update({entry.name: entry for entry in entries})
        return replace(self, metadata=tuple(merged.values()))


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture: `pixels` (C, H, W) float32, read-only, over `header.data`; and its frame number.

    A plate's pixels are in `header.colour_space`, unclamped. A matte's or guide's channels are K layers
    in 0..1, 1 = opaque or selected; a trimap's values are 0, 0.5 and 1.
    """

    pixels: Pixels
    number: int
    header: Header

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.dtype != np.float32:
            raise TypeError(f"a frame is (C, H, W) float32, not {self.pixels.shape} {self.pixels.dtype}")
        if self.pixels.flags.writeable:
            self.pixels.flags.writeable = False

    @property
    def nbytes(self) -> int:
        return int(self.pixels.nbytes)

    def having(self, pixels: Pixels) -> Frame:
        """The same frame number and header with other pixels."""
        return Frame(pixels, self.number, self.header)


class FrameRange(Sequence[int]):
    """Frame numbers of a shot, ascending, each once: "1001-1100", "1001-1100x2", "1001,1005-1007"."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(sorted(set(numbers)))
        self._positions = {number: position for position, number in enumerate(self._numbers)}

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Frame numbers of "1001-1100", "1001-1100x2" (every second) and commas between them.

        Raises UsageError for anything else.
        """
        numbers: list[int] = []
        for piece in text.replace(" ", "").split(","):
            found = _PIECE.fullmatch(piece)
            start, stop, step = (int(part) if part else None for part in found.groups()) if found else (None,) * 3
            if start is None or step == 0 or (stop is not None and stop < start):
                raise UsageError(
                    f"frame range '{text}' is not understood at '{piece}'. "
                    "Write 1001-1100, 1001-1100x2 (every second) or 1001,1005."
                )
            stop = start if stop is None else stop
            if stop - start > _MOST_FRAMES:
                raise UsageError(f"frame range '{text}' spans more than {_MOST_FRAMES} frames. Write a shorter one.")
            numbers.extend(range(start, stop + 1, step or 1))
        return cls(numbers)

    def __contains__(self, number: object) -> bool:
        return number in self._positions

    def __getitem__(self, position: Any) -> Any:
        return self._numbers[position]

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameRange) and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash(self._numbers)

    def position(self, number: int) -> int:
        """Place of `number` in the shot, 0 for the first frame. KeyError if it is not in the shot."""
        return self._positions[number]

    def around(self, number: int, before: int, after: int) -> list[int]:
        """`before + 1 + after` frame numbers around `number`, the shot's ends repeated where it stops."""
        centre, last = self._positions[number], len(self._numbers) - 1
        return [self._numbers[min(max(centre + step, 0), last)] for step in range(-before, after + 1)]

    def __str__(self) -> str:
        pieces: list[str] = []
        run: list[int] = []
        for number in [*self._numbers, None]:
            fits = number is not None and (len(run) < 2 or number - run[-1] == run[1] - run[0])
            if run and not fits:
                pieces.append(_spell(run))
                run = []
            if number is not None:
                run.append(number)
        return ",".join(pieces)

    __repr__ = __str__


def _spell(run: Sequence[int]) -> str:
    if len(run) == 1:
        return str(run[0])
    step = run[1] - run[0]
    if len(run) == 2 and step > 1:
        return f"{run[0]},{run[1]}"
    return f"{run[0]}-{run[-1]}" + (f"x{step}" if step > 1 else "")


def header_to_json(header: Header) -> dict[str, Json]:
    """The header as plain JSON."""
    return {
        "data": [header.data.x, header.data.y, header.data.width, header.data.height],
        "display": [header.display.x, header.display.y, header.display.width, header.display.height],
        "pixel_aspect": header.pixel_aspect,
        "colour_space": header.colour_space,
        "linear": header.linear,
        "metadata": _attributes_to_json(header.metadata),
        "colour_config": header.colour_config,
        "tags": _attributes_to_json(header.tags),
    }


def header_from_json(entry: Mapping[str, Json]) -> Header:
    """The header that `header_to_json` wrote down."""
    return Header(
        Window(*entry["data"]),
        Window(*entry["display"]),
        entry["pixel_aspect"],
        entry["colour_space"],
        entry["linear"],
        _attributes_from_json(entry["metadata"]),
        entry["colour_config"],
        _attributes_from_json(entry["tags"]),
    )


def _attributes_to_json(entries: tuple[Attribute, ...]) -> Json:
    return [[entry.name, entry.type, entry.value] for entry in entries]


def _attributes_from_json(entries: Json) -> tuple[Attribute, ...]:
    return tuple(Attribute(name, kind, value) for name, kind, value in entries)
