"""Which pictures are measured: plates, true alphas and trimaps in folders, paired by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matte_core.errors import SourceError, UsageError
from matte_core.io.image import FORMATS

PLATES = ("input", "image", "plate", "comp", "merged", "original")  # how folders of public sets begin
TRUTHS = ("gt", "alpha", "truth")
TRIMAPS = ("trimap",)


@dataclass(frozen=True)
class Picture:
    """One picture: files of its plate, its true alpha, and its trimap in every set of trimaps."""

    name: str
    plate: Path
    truth: Path
    trimaps: Mapping[str, Path]


def folders_in(
    data: Path, plates: Path | None = None, truths: Path | None = None, trimaps: Sequence[Path] = ()
) -> tuple[Path, Path, list[Path]]:
    """The folders of plates, of true alphas and of trimaps inside `data`, known by how their names begin.

    What is given is not looked for. Raises SourceError where `data` is no folder, UsageError where plates or
    truths are missing or stand there twice, or where there are no trimaps.
    """
    if not data.is_dir():
        raise SourceError(f"{data} is no folder. Give one that holds folders of plates, true alphas and trimaps.")
    inside = sorted(path for path in data.iterdir() if path.is_dir())
    found = list(trimaps) or _beginning(inside, TRIMAPS)
    if not found:
        raise UsageError(f"{data} holds no trimaps. Say which folder with --trimap.")
    plates = plates or _only(data, inside, PLATES, "plates", "--plate")
    return plates, truths or _only(data, inside, TRUTHS, "true alphas", "--truth"), found


def _beginning(folders: Sequence[Path], beginnings: tuple[str, ...]) -> list[Path]:
    return [folder for folder in folders if folder.name.lower().startswith(beginnings)]


def _only(data: Path, folders: Sequence[Path], beginnings: tuple[str, ...], what: str, option: str) -> Path:
    found = _beginning(folders, beginnings)
    if len(found) != 1:
        seen = f"{len(found)} folders of {what} ({', '.join(f.name for f in found)})" if found else f"no {what}"
        raise UsageError(f"{data} holds {seen}. Say which folder with {option}.")
    return found[0]


def pictures_of(plates: Path, truths: Path, trimaps: Sequence[Path]) -> list[Picture]:
    """The pictures of a folder of plates, in name order; what other folders hold besides is passed over.

    Raises SourceError where a folder cannot be read, UsageError where a plate has no truth or no trimap.
    """
    found, known = _named(plates), _named(truths)
    guides = {folder.name: _named(folder) for folder in trimaps}
    if len(guides) < len(trimaps):
        raise UsageError("two folders of trimaps have one name. Rename one: the table tells them apart by it.")
    if not found:
        raise SourceError(f"{plates} holds no pictures ({', '.join(FORMATS)}). Check the folder.")
    for folder, files in ((truths, known), *((folder, guides[folder.name]) for folder in trimaps)):
        missing = [name for name in found if name not in files]
        if missing:
            raise UsageError(
                f"{folder} has nothing called {missing[0]} ({len(missing)} of {len(found)} plates lack theirs). "
                "Name the files as the plates are."
            )
    return [
        Picture(name, path, known[name], {folder: files[name] for folder, files in guides.items()})
        for name, path in found.items()
    ]


def _named(folder: Path) -> dict[str, Path]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder} cannot be listed ({error.strerror}). Check the path.") from error
    return {path.stem: path for path in files if path.suffix.lower() in FORMATS}
