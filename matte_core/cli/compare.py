"""The form of `matte evaluate` that runs models itself, beside pymatting's solvers."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from matte_core import __version__
from matte_core.cli.screen import Screen
from matte_core.engine.engine import pick_device
from matte_core.errors import OutputError, UsageError
from matte_core.evaluate.bench import Answers, Settings, ask
from matte_core.evaluate.comparison import Comparison, compare
from matte_core.evaluate.methods import CLIPPED, REFERENCE, REFERENCES, check
from matte_core.evaluate.pictures import Picture, folders_in, pictures_of
from matte_core.evaluate.strip import save_strip
from matte_core.evaluate.tables import markdown
from matte_core.ops import DEFAULT_MODEL
from matte_core.sources import plate_source

NONE = "none"


def compare_models(
    folders: tuple[Path | None, Path | None, Path | None, Sequence[Path]],
    models: Sequence[str],
    references: Sequence[str],
    settings: Settings,
    out: Path | None,
    machine: bool,
) -> None:
    """Run `models` and pymatting's `references` over folders (data, plates, truths, trimaps); print the tables.

    With `out`: report.md, report.json and a picture strip for every picture and set of trimaps are written there.
    """
    pictures = pictures_of(*_folders(*folders))
    named = [REFERENCE + name for name in references if name != NONE] if references else list(REFERENCES)
    if named and _is_linear(pictures[0], settings.space):
        named.append(named[0] + CLIPPED)
    methods = [*named, *(models or [DEFAULT_MODEL])]
    for method in methods:
        check(method)
    settings = Settings(str(pick_device(settings.device)), settings.precision, settings.threads, settings.space)
    if out is not None:
        _make(out)
    screen = Screen()

    def progress(method: str, trimaps: str, done: int, total: int) -> None:
        if done == total:
            screen.note(f"{method}, {trimaps}: {total} of {total}")

    with tempfile.TemporaryDirectory(prefix="matte-evaluate-") as scratch:
        answers = ask(list(dict.fromkeys(methods)), pictures, settings, Path(scratch), progress)
        found = compare(list(dict.fromkeys(methods)), pictures, answers, REFERENCES[0])
        if out is not None:
            _write(out, found, settings, pictures, answers)
    text = json.dumps(_content(found, settings), indent=2) if machine else markdown(found, _setting(settings))
    sys.stdout.write(text + "\n")


def _folders(
    data: Path | None, plates: Path | None, truths: Path | None, trimaps: Sequence[Path]
) -> tuple[Path, Path, list[Path]]:
    if plates is not None and truths is not None and trimaps:
        return plates, truths, list(trimaps)
    if data is None:
        raise UsageError("the pictures are not said. Give DATA, or --plate, --truth and --trimap.")
    return folders_in(data, plates, truths, trimaps)


def _is_linear(picture: Picture, space: str) -> bool:
    return plate_source(str(picture.plate), space=space).header.linear


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}). Choose another folder.") from error


def _write(out: Path, found: Comparison, settings: Settings, pictures: Sequence[Picture], answers: Answers) -> None:
    try:
        (out / "report.md").write_text(markdown(found, _setting(settings)), encoding="utf-8")
        (out / "report.json").write_text(json.dumps(_content(found, settings), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{out} cannot be written to ({error.strerror}). Choose another folder.") from error
    for picture in pictures:
        for trimaps in picture.trimaps:
            file = out / f"strip_{trimaps}_{picture.name}.png"
            save_strip(file, picture, trimaps, found.methods, answers, settings.space)


def _content(found: Comparison, settings: Settings) -> dict[str, object]:
    machine = {"system": platform.platform(), "matte": __version__}
    return {"settings": {**vars(settings), **machine}, **found.to_json()}


def _setting(settings: Settings) -> str:
    threads = "one processor thread" if settings.threads == 1 else f"{settings.threads} processor threads"
    return f"Device {settings.device}, {threads}, precision {settings.precision}; every method in a process of its own."
