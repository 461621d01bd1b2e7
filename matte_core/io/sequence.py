"""Frames of a shot on disk: which files a pattern means, which of them are there, which are missing.

A pattern has one place for the frame number, in the file's name and never in its folder: `####`, `@@@@`,
`%04d` or `$F4`, with a range before it if wanted (`shot.1001-1100x2####.exr`). `####` means four digits,
and so does a single `#`. All other digits of a name are left alone.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from matte_core.errors import SourceError, UsageError
from matte_core.frame import FrameRange

Missing = Literal["error", "hold", "skip"]

PICTURES = (".exr", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".dpx", ".hdr")

_PLACE = re.compile(r"#+|@+|%(?:0\d+)?d|\$F\d*")
_SPAN = r"-?\d+--?\d+(?:[x:]\d+)?"
_RANGE = re.compile(rf"(?:^|(?<=[._])){_SPAN}(?:,(?:{_SPAN}|-?\d+))*$")
_NUMBERED = re.compile(r"(.*\D|)(\d+)(\.\w+)", re.DOTALL)
_VERSION = re.compile(r"(?:^|[._-])[vV]$")
_MOST_FRAMES = 1_000_000
_STILL = 0  # the frame number of a picture whose name has none


@dataclass(frozen=True)
class Pattern:
    """File names of a sequence: `prefix`, the number with at least `padding` digits, `suffix`.

    `padding` is 0 for a single file without a number.
    """

    folder: str
    prefix: str
    suffix: str
    padding: int

    @property
    def name(self) -> str:
        """The pattern without its folder: "shot.####.exr"."""
        place = {0: "", 1: "%d"}.get(self.padding, "#" * self.padding)
        return f"{self.prefix}{place}{self.suffix}"

    def file_name(self, number: int) -> str:
        """Name of the file of frame `number`; longer numbers than the padding are written out."""
        if self.padding == 0:
            return self.prefix + self.suffix
        sign = "-" if number < 0 else ""
        return f"{self.prefix}{sign}{abs(number):0{self.padding}d}{self.suffix}"

    def number(self, name: str) -> int | None:
        """Frame number of the file called `name`, or None where it is not one of this sequence."""
        digits = name[len(self.prefix) : len(name) - len(self.suffix)]
        if not (name.startswith(self.prefix) and name.endswith(self.suffix)):
            return None
        negative = digits.startswith("-") and self.prefix[-1:] in ("", ".", "_")
        digits = digits[1:] if negative else digits
        if not (digits.isascii() and digits.isdigit()):
            return None
        padded = len(digits) == self.padding or (len(digits) > self.padding and digits[0] != "0")
        if negative:
            padded = padded or len(digits) + 1 == self.padding
        return (-int(digits) if negative else int(digits)) if padded else None


@dataclass(frozen=True)
class Found:
    """A sequence on disk: the file behind every number that is there, and the numbers asked for."""

    pattern: Pattern
    names: Mapping[int, str]
    wanted: FrameRange
    still: bool = False

    @property
    def on_disk(self) -> FrameRange:
        return FrameRange(self.names)

    @property
    def missing(self) -> FrameRange:
        """Numbers asked for that have no file."""
        return FrameRange(number for number in self.wanted if number not in self.names)

    def file_for(self, number: int) -> Path:
        """The file of frame `number`. KeyError where there is none."""
        return Path(self.pattern.folder) / self.names[number]

    def without(self, numbers: Iterable[int]) -> Found:
        """The same sequence as if the files of `numbers` were not there."""
        dropped = set(numbers)
        return replace(self, names={number: name for number, name in self.names.items() if number not in dropped})

    def settle(self, missing: Missing) -> dict[int, int]:
        """The number whose file stands for each frame of the shot, ascending.

        "error" raises SourceError for a gap; "hold" takes the nearest earlier file (the nearest later one
        at the very start); "skip" leaves the number out.
        """
        gaps = self.missing
        there = sorted(self.names)
        if (gaps and missing == "error") or not there:
            first = self.pattern.file_name((gaps or self.wanted)[0])
            listed = f"{len(gaps)} of {len(self.wanted)} frames: {str(gaps).replace(',', ', ')}"
            raise SourceError(f"{first} is missing ({listed}). Render it again or use --missing hold.")
        held = {number: number for number in self.wanted if number in self.names}
        if missing == "hold":
            for number in gaps:
                held[number] = max((other for other in there if other < number), default=there[0])
        if not held:
            raise SourceError(f"{self.pattern.name} has none of the frames {self.wanted}. Ask for others.")
        return dict(sorted(held.items()))


def find(pattern: str, frames: str | None = None) -> Found:
    """The sequence, single file or folder with one sequence that `pattern` names, looked up on disk.

    `frames` ("1001-1100", "1001-1100x2") is the range asked for; without it, and without a range in the
    pattern, every number from the first file to the last (every second where the files are every second).
    A picture without a number in its name is one frame, number 0, `still`.

    Raises SourceError where nothing matches, UsageError where the range is outside the shot.
    """
    path = Path(pattern)
    if path.is_dir():
        return _asked(_only_sequence(path), frames)
    if path.is_file():
        return _asked(_single(path), frames)
    parsed, inside = parse(pattern)
    names = _listing(parsed)
    numbered = {number: name for name in sorted(names) if (number := parsed.number(name)) is not None}
    if not numbered:
        there = _nearest(parsed.name, names)
        raise SourceError(f"{parsed.name} is not in {parsed.folder}. {there}")
    return _asked(Found(parsed, dict(sorted(numbered.items())), FrameRange(())), frames or inside)


def parse(pattern: str) -> tuple[Pattern, str | None]:
    """The pattern taken apart, and the frame range that stood in it, if any.

    Raises UsageError where there is more than one place for the frame number.
    """
    folder, base = os.path.split(pattern)
    folder = str(Path(folder).absolute())
    places = list(_PLACE.finditer(base))
    if not places:
        return Pattern(folder, Path(base).stem, Path(base).suffix, 0), None
    if len(places) > 1:
        raise UsageError(f"'{base}' has {len(places)} places for the frame number. Leave one, such as ####.")
    before, place, after = base[: places[0].start()], places[0].group(), base[places[0].end() :]
    span = _RANGE.search(before)
    prefix = before[: span.start()] if span else before
    return Pattern(folder, prefix, after, _digits(place)), span.group() if span else None


def output_file(pattern: str, number: int) -> Path:
    """The file that frame `number` is written to.

    A pattern without a place for the number is that file itself (see `one_file`). Raises UsageError where
    the pattern carries a frame range or two places.
    """
    parsed, inside = parse(pattern)
    if inside:
        raise UsageError(f"'{Path(pattern).name}' carries a frame range. Write {parsed.name} and use --frames.")
    return Path(parsed.folder) / parsed.file_name(number)


def one_file(pattern: str) -> bool:
    """Whether the pattern has no place for a frame number, so that it can hold one frame only."""
    return parse(pattern)[0].padding == 0


def with_part(pattern: str, part: str) -> str:
    """The pattern with `_part` in its name: "shot.####.exr" becomes "shot_straight.####.exr"."""
    folder, base = os.path.split(pattern)
    place = _PLACE.search(base)
    stem = base[: place.start()] if place else Path(base).stem
    body = stem.rstrip("._-") if place else stem
    joined = f"{body}_{part}" if body else part
    separator = stem[len(body) :] or ("." if place and not body else "")
    return str(Path(folder) / f"{joined}{separator}{base[len(stem) :]}")


def _digits(place: str) -> int:
    if place == "#":
        return 4
    if place[0] in "#@":
        return len(place)
    return int(place.strip("%d$F") or 1)


def _listing(pattern: Pattern) -> list[str]:
    try:
        return [entry.name for entry in Path(pattern.folder).iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be listed ({error.strerror})"
        raise SourceError(
            f"{pattern.name} cannot be read: the folder {pattern.folder} {reason}. Check the path."
        ) from error


def _asked(found: Found, frames: str | None) -> Found:
    there = found.on_disk
    if frames is None:
        return replace(found, wanted=_every(found, there))
    wanted = FrameRange.parse(frames)
    outside = FrameRange(number for number in wanted if number < there[0] or number > there[-1])
    if outside and not found.still:
        raise UsageError(f"{found.pattern.name} has frames {there}, but {outside} was asked for. Ask within the shot.")
    return replace(found, wanted=there if found.still else wanted)


def _every(found: Found, there: FrameRange) -> FrameRange:
    first, last = there[0], there[-1]
    if last - first > _MOST_FRAMES:
        raise UsageError(f"{found.pattern.name} reaches from {first} to {last}. Say which frames with --frames.")
    gaps = {later - earlier for earlier, later in itertools.pairwise(there)}
    step = gaps.pop() if len(gaps) == 1 and len(there) > 2 else 1
    return FrameRange(range(first, last + 1, step))


def _numbered(name: str) -> tuple[str, str, str] | None:
    """(prefix, digits, suffix) where a file's name ends in a frame number; a version (v003) is none."""
    found = _NUMBERED.fullmatch(name)
    if found is None:
        return None
    prefix, digits, suffix = found.groups()
    after_separator = prefix == "" or prefix.endswith(".")
    if after_separator or (len(digits) >= 3 and not _VERSION.search(prefix)):
        return prefix, digits, suffix
    return None


def _single(path: Path) -> Found:
    folder, parts = str(path.parent.absolute()), _numbered(path.name)
    if parts is None:
        return Found(Pattern(folder, path.stem, path.suffix, 0), {_STILL: path.name}, FrameRange(()), still=True)
    prefix, digits, suffix = parts
    return Found(Pattern(folder, prefix, suffix, len(digits)), {int(digits): path.name}, FrameRange(()))


def _sequences(folder: str, names: Iterable[str]) -> list[Found]:
    """Every sequence and still picture among file names, by name."""
    grouped: dict[tuple[str, str], dict[int, dict[int, str]]] = {}
    stills: list[Found] = []
    pictures = [name for name in names if Path(name).suffix.lower() in PICTURES]
    for name in sorted(pictures, key=lambda name: (len(name), name)):
        parts = _numbered(name)
        if parts is None:
            stills.append(_single(Path(folder) / name))
            continue
        prefix, digits, suffix = parts
        paddings = grouped.setdefault((prefix, suffix), {})
        joins = digits[0] != "0" and any(padding < len(digits) for padding in paddings)
        padding = min(paddings) if joins else len(digits)
        paddings.setdefault(padding, {})[int(digits)] = name
    sequences = [
        Found(Pattern(folder, prefix, suffix, padding), dict(sorted(members.items())), FrameRange(()))
        for (prefix, suffix), paddings in grouped.items()
        for padding, members in paddings.items()
    ]
    return sorted(sequences + stills, key=lambda found: found.pattern.name)


def _only_sequence(folder: Path) -> Found:
    place = str(folder.absolute())
    found = _sequences(place, _listing(Pattern(place, "", "", 0)))
    if len(found) == 1:
        return found[0]
    if not found:
        raise SourceError(f"The folder {place} holds no pictures ({', '.join(PICTURES)}). Check the path.")
    raise SourceError(f"The folder {place} holds more than one sequence: {_spelled(found)}. Name one of them.")


def _nearest(name: str, names: Iterable[str]) -> str:
    found = _sequences("", names)
    if not found:
        return "The folder holds no pictures. Check the path."
    close = sorted(found, key=lambda each: -difflib.SequenceMatcher(None, name, each.pattern.name).ratio())
    return f"The folder holds {_spelled(close)}. Check the name."


def _spelled(found: list[Found], most: int = 5) -> str:
    named = [each.pattern.name + ("" if each.still else f" {each.on_disk}") for each in found[:most]]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(named) + more
