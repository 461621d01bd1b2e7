"""The form of `matte evaluate` that runs models itself, beside pymatting's solvers."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from matte_core import __version__
from matte_core.cli.screen import Screen
from matte_core.engine.engine import Engine, pick_device
from matte_core.errors import OutputError, UsageError
from matte_core.evaluate.asking import Answers, Settings, ask
from matte_core.evaluate.comparison import Comparison, compare
from matte_core.evaluate.methods import CLIPPED, REFERENCE, REFERENCES, check
from matte_core.evaluate.pictures import Picture, folders_in, pictures_of
from matte_core.evaluate.strip import save_strip
from matte_core.evaluate.sweep import sweep
from matte_core.evaluate.tables import markdown, sweep_json, sweep_markdown
from matte_core.models.catalogue import model, names
from matte_core.models.weights import find
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


def sweep_models(
    folders: tuple[Path | None, Path | None, Path | None, Sequence[Path]],
    erosions: str,
    models: Sequence[str],
    settings: Settings,
    out: Path | None,
    machine: bool,
) -> None:
    """Trimaps and joint inference from masks eroded by `erosions` ("20,30,40,50" pixels); print the tables.

    `models` are trimap models and alpha models; without one of a kind, all trimap models and the default alpha model.
    With `out`: sweep.md and sweep.json are written there.
    """
    widths = _erosions(erosions)
    plates, truths, _ = _folders(*folders[:3], [Path()])  # no trimaps are looked for
    pictures = pictures_of(plates, truths, [])
    finders = [name for name in models if model(name).card.answers == "trimap"] or names("trimap", "mask")
    mattes = [name for name in models if model(name).card.answers == "alpha"] or [DEFAULT_MODEL]
    for name in mattes:
        check(name)
    torch.set_num_threads(settings.threads)
    screen = Screen()

    def progress(erosion: int, done: int, total: int) -> None:
        screen.note(f"mask eroded by {erosion} px: {done} of {total}")

    with tempfile.TemporaryDirectory(prefix="matte-evaluate-") as scratch:
        engine = Engine(pick_device(settings.device), find)
        found = sweep(pictures, finders, mattes, engine, Path(scratch), widths, settings.space, progress)
    tables, content = sweep_markdown(found, len(pictures)), json.dumps(sweep_json(found), indent=2)
    if out is not None:
        _make(out)
        _save(out / "sweep.md", tables)
        _save(out / "sweep.json", content + "\n")
    sys.stdout.write(content + "\n" if machine else tables)


def _erosions(text: str) -> list[int]:
    try:
        widths = [int(piece) for piece in text.split(",")]
    except ValueError:
        widths = []
    if not widths or min(widths) < 0:
        raise UsageError(f"'{text}' are no pixels to erode by. Write 20,30,40,50.")
    return widths


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
    _save(out / "report.md", markdown(found, _setting(settings)))
    _save(out / "report.json", json.dumps(_content(found, settings), indent=2) + "\n")
    for picture in pictures:
        for trimaps in picture.trimaps:
            file = out / f"strip_{trimaps}_{picture.name}.png"
            save_strip(file, picture, trimaps, found.methods, answers, settings.space)


def _save(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{file} cannot be written ({error.strerror}). Choose another folder.") from error


def _content(found: Comparison, settings: Settings) -> dict[str, object]:
    machine = {"system": platform.platform(), "matte": __version__}
    return {"settings": {**vars(settings), **machine}, **found.to_json()}


def _setting(settings: Settings) -> str:
    threads = "one processor thread" if settings.threads == 1 else f"{settings.threads} processor threads"
    return f"Device {settings.device}, {threads}, precision {settings.precision}; every method in a process of its own."
