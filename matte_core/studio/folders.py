"""Where Studio's files lie, and that no name from the page leads out of there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from matte_core.errors import UsageError
from matte_core.paths import plain

KINDS = ("input", "output", "temp")
_ANNOTATED = re.compile(r"(?P<name>.*?)\s*\[(?P<kind>input|output|temp)\]")


@dataclass(frozen=True)
class Folders:
    """Studio's folders: input, output and user below `base`; `temp` dies with the server."""

    base: Path
    temp: Path

    def make(self) -> None:
        """Makes the folders that are missing."""
        for folder in (self.of("input"), self.of("output"), self.temp, self.user):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def user(self) -> Path:
        return self.base / "user" / "default"

    def of(self, kind: str) -> Path:
        """The folder of the files of a kind. Raises UsageError for any other kind."""
        if kind not in KINDS:
            raise UsageError(f"'{kind}' is no folder of Studio. Choose one of: {', '.join(KINDS)}.")
        return self.temp if kind == "temp" else self.base / kind

    def find(self, name: str, kind: str = "input", subfolder: str = "") -> Path:
        """Path of a file, there or not; "name [temp]" says its kind. Raises UsageError for a name that leads out."""
        annotated = _ANNOTATED.fullmatch(name)
        if annotated:
            name, kind = annotated["name"], annotated["kind"]
        return inside(self.of(kind), subfolder, name)


def inside(base: Path, *names: str) -> Path:
    """`base` joined with names from the page. Raises UsageError where the result, links followed, lies outside."""
    parts = [plain(name) for name in names if name]
    root = base.resolve()
    place = root.joinpath(*parts)
    if not parts or any(part.is_absolute() for part in parts) or not place.resolve().is_relative_to(root):
        raise UsageError(f"'{'/'.join(names)}' is no file in Studio's folders. Use a plain name.")
    return place


def free(place: Path) -> Path:
    """`place`, or the first "name (2)" beside it that is not taken."""
    candidate, count = place, 2
    while candidate.exists():
        candidate, count = place.with_stem(f"{place.stem} ({count})"), count + 1
    return candidate
