"""Which files a workflow may touch: a workflow file is untrusted input."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matte_core.errors import SourceError, UsageError

_DRIVE = re.compile(r"[A-Za-z]:")
_NUMBERING = re.compile(r"(?:-?\d[\d,:x-]*)?(?:#+|@+)|%0?\d*d|\$F\d*")  # ####, @@@@, 1001-1100#, %04d, $F4
_BUILT_IN = re.compile(r"ocio://[\w.-]+")  # a colour configuration inside the library, no file
_EXPANDED = re.compile(r"\$[A-Za-z_{(]|%\w+%|%[0-9A-Fa-f]{2}")  # what a shell, Windows or a browser would replace
_DEVICES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"}) | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"
}
_LONGEST_NAME, _LONGEST_PATH = 255, 4096


@dataclass(frozen=True)
class Roots:
    """Folders that may be read and folders that may be written, each with everything below it.

    A relative path is looked up in `read` in order, and written below the first of `write`.
    """

    read: tuple[Path, ...]
    write: tuple[Path, ...]

    @staticmethod
    def of(read: Iterable[Path | str], write: Iterable[Path | str]) -> Roots:
        """Roots with every folder made absolute, each once; what may be written may be read as well."""
        written = [_absolute(folder) for folder in write]
        return Roots(
            tuple(dict.fromkeys([*(_absolute(folder) for folder in read), *written])), tuple(dict.fromkeys(written))
        )

    def reading(self, text: str) -> str:
        """The absolute path of the file, sequence or folder that `text` names inside the readable folders.

        Raises UsageError where it lies elsewhere, SourceError where there is no such file.
        """
        if _BUILT_IN.fullmatch(text):
            return text
        path = plain(text)
        places = [_inside(path, self.read, "read")] if path.is_absolute() else [root / path for root in self.read]
        for place in places:
            _refuse_links_out(place if place.is_dir() else place.parent, text, self.read, "read")
            found = files(place)
            for link in (file for file in (place, *found) if file.is_symlink()):
                _refuse_links_out(link, text, self.read, "read")
            if found:
                return str(place)
        raise SourceError(f"{text} is not there. Put it into one of: {_spell(self.read)}.")

    def writing(self, text: str) -> str:
        """The absolute path to write `text` to, inside the writable folders. Raises UsageError elsewhere."""
        path = plain(text)
        if not self.write:
            raise UsageError(f"{text} cannot be written: no folder is open for writing. Name one.")
        place = _inside(path, self.write, "write") if path.is_absolute() else self.write[0] / path
        _refuse_links_out(place, text, self.write, "write")
        for link in (file for file in files(place) if file.is_symlink()):
            _refuse_links_out(link, text, self.write, "write")
        return str(place)


def plain(text: str) -> Path:
    """`text` as a path, read alike on every system; nothing in it is expanded or decoded.

    Raises UsageError for what is no plain path: '..', '~', a variable, an escape, a drive of another system, a
    stream, a device, a name that Windows would change.
    """
    slashed = text.strip().replace("\\", "/")
    if not slashed or any(ord(character) < 32 or ord(character) == 127 for character in slashed):
        raise UsageError(f"{_short(text)!r} is no file name. Write a path such as plate/plate.####.exr.")
    fault = _fault(slashed)
    if fault:
        raise UsageError(f"{_short(text)} {fault}")
    return Path(slashed)


def _fault(slashed: str) -> str:
    """What is wrong with a path, and the cure; "" for a plain path."""
    pieces = slashed.split("/")
    if len(slashed) > _LONGEST_PATH or max(map(len, pieces)) > _LONGEST_NAME:
        return "is too long for a path. Write a shorter one."
    named = [*pieces[:-1], _NUMBERING.sub("_", pieces[-1])]  # the frame number's place may hold %, $ and :
    if os.name == "nt" and _DRIVE.fullmatch(named[0]):
        named = named[1:]
    elif Path(slashed).anchor and not Path(slashed).is_absolute():
        return "names a drive of another system. Write a path relative to an allowed folder."
    if ".." in pieces:
        return "goes up a folder with '..'. Write the path without it."
    if slashed.startswith("~"):
        return "begins with '~', which is not expanded. Write the folder itself."
    if any(_EXPANDED.search(piece) for piece in named):
        return "holds a variable or an escape, which is not expanded. Write the folder itself."
    if any(":" in piece for piece in named):
        return "names a drive of another system, an address or a stream. Write a path relative to an allowed folder."
    if any(piece.partition(".")[0].rstrip().lower() in _DEVICES for piece in named):
        return "names a device of Windows, not a file. Choose another name."
    if any(piece.endswith((" ", ".")) and piece != "." for piece in named):
        return "has a name that ends in a dot or a space, which Windows drops. Rename it."
    return ""


def _short(text: str, most: int = 200) -> str:
    return text.strip() if len(text) <= most else text.strip()[:most] + "…"


def _inside(path: Path, roots: tuple[Path, ...], action: str) -> Path:
    """`path` if it is spelt inside a root; decided before anything on it is touched."""
    if not any(path.is_relative_to(root) or path.is_relative_to(root.resolve()) for root in roots):
        raise UsageError(_refusal(str(path), roots, action))
    return path


def _refuse_links_out(place: Path, text: str, roots: tuple[Path, ...], action: str) -> None:
    try:
        target = place.resolve()
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        raise UsageError(f"{text} cannot be followed ({error}). Remove the link.") from None
    if not any(target.is_relative_to(root.resolve()) for root in roots):
        raise UsageError(_refusal(text, roots, action))


def _refusal(text: str, roots: tuple[Path, ...], action: str) -> str:
    return (
        f"{text} lies outside the folders that a workflow may {action} ({_spell(roots)}). "
        "Move it there, or allow its folder: MATTE_ALLOWED_ROOTS in ComfyUI, --allow or --read for matte run."
    )


def files(place: Path) -> list[Path]:
    """What `place` names: the file itself, what lies in the folder, or the files of a numbered sequence."""
    try:
        if place.is_dir():
            return [place, *place.iterdir()]
        if os.path.lexists(place):
            return [place]
        if not _NUMBERING.search(place.name) or not place.parent.is_dir():
            return []
        wanted = _name_pattern(place.name)
        with os.scandir(place.parent) as entries:
            return [Path(entry.path) for entry in entries if wanted.fullmatch(entry.name)]
    except OSError as error:
        raise SourceError(f"{place} cannot be looked at ({error.strerror}). Check its folder.") from None


def _name_pattern(name: str) -> re.Pattern[str]:
    """A pattern for the names of the files of the sequence "plate.####.exr", "plate.%04d.exr" or "plate.@@@@.exr"."""
    pieces, end = [], 0
    for found in _NUMBERING.finditer(name):
        pieces += [re.escape(name[end : found.start()]), r"-?\d+"]
        end = found.end()
    return re.compile("".join([*pieces, re.escape(name[end:])]))


def _absolute(folder: Path | str) -> Path:
    return Path.cwd() / folder  # not resolved: a link that the user chose as a root stays as it is spelt


def _spell(roots: tuple[Path, ...]) -> str:
    return ", ".join(str(root) for root in roots) or "none are open"
