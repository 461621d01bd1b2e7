"""`matte bench`: how fast models are here, EXR to EXR."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import click
import torch

from matte_core import __version__
from matte_core.cli.screen import Screen
from matte_core.cli.work import return_freed_memory
from matte_core.engine.engine import pick_device
from matte_core.engine.room import parse_bytes
from matte_core.errors import MatteError, OutputError, UsageError
from matte_core.evaluate.speed.clip import make_clip
from matte_core.evaluate.speed.measure import Asked, Measured, measure
from matte_core.evaluate.speed.table import content, markdown, save_plot
from matte_core.models.base import Card
from matte_core.models.catalogue import cards, model
from matte_core.models.weights import there, usable

SIZES = {"540p": (540, 960), "1080p": (1080, 1920), "4k": (2160, 3840)}


@click.command()
@click.option("--model", "models", multiple=True, metavar="NAME", help="Default: every model whose weights are here.")
@click.option("--size", "sizes", multiple=True, default=["1080p"], show_default=True, help="540p, 1080p, 4k or WxH.")
@click.option("--frames", "count", default=4, show_default=True, type=click.IntRange(1, 1000), help="Of the shot.")
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1, 100), help="Times each way, in turns.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")
@click.option("--memory", default="", metavar="6GB", help="The most memory to take. Default: what there is.")
@click.option("--no-reference", is_flag=True, help="Leave pymatting out: it takes long on large pictures.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for bench.md, bench.json and bench.png.")
@click.option("--json", "machine", is_flag=True, help="The same as JSON.")
def bench(
    models: tuple[str, ...],
    sizes: tuple[str, ...],
    count: int,
    rounds: int,
    device: str,
    precision: str,
    memory: str,
    no_reference: bool,
    out: Path | None,
    machine: bool,
) -> None:
    """Measure models on this machine, from EXR files to EXR files, on a made-up shot with hair.

    Each model and size runs in a process of its own, a plain read-infer-write loop and Matte's lanes in turns:
    seconds of every stage, frames per second, memory, how much faster than the plain loop and than pymatting on
    the same frames, and how near to what the machine could do at best.
    """
    used, screen = str(pick_device(device)), Screen()
    budget = parse_bytes(memory) if memory else None
    benched = [card for card in cards() if card.answers in ("alpha", "trimap") and not card.propagates]
    names = models or [card.name for card in benched if there(card)]
    wanted = [(_card(name), _size(size)) for size in sizes for name in names]
    if out is not None:
        _make(out)
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="matte-bench-") as scratch:
        for card, (height, width) in wanted:
            folder = Path(scratch) / f"{card.name}_{width}x{height}"
            asked = Asked(
                card.name, folder, height, width, count, rounds, used,
                precision if precision in ("auto", *card.precisions) else "auto", budget, not no_reference,
            )  # fmt: skip
            found.append(_alone(asked))
            screen.note(f"{card.name}, {width}x{height}: {_said(found[-1])}")
    threads = torch.get_num_threads()
    settings = {
        "device": used, "threads": threads, "frames": count, "rounds": rounds, "system": platform.platform(),
        "torch": torch.__version__, "matte": __version__,
    }  # fmt: skip
    text = json.dumps(content(found, settings), indent=2) + "\n"
    table = markdown(found, f"Device {used}, {threads} processor threads, {count} frames, {rounds} rounds.")
    if out is not None:
        _save(out / "bench.json", text)
        _save(out / "bench.md", table)
        save_plot(found, out / "bench.png")
    sys.stdout.write(text if machine else table)


def _card(name: str) -> Card:
    card = usable(model(name).card)
    if card.propagates:
        raise UsageError(f"{name} carries trimaps from keyframes, which is not timed here. See: matte models --cost")
    return card


def _size(text: str) -> tuple[int, int]:
    """Height and width of "1080p" or "1920x1080"."""
    width, mark, height = text.partition("x")
    if text in SIZES:
        return SIZES[text]
    if not (mark and width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 64):
        raise UsageError(f"'{text}' is no size. Write {', '.join(SIZES)}, or 1920x1080 (64 pixels at least).")
    return int(height), int(width)


def _alone(asked: Asked) -> Measured:
    """`measure` in a process of its own; what goes wrong there costs this row alone."""
    failure = "its process died, most likely for want of memory"
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as executor:
            return executor.submit(_measured, asked).result()
    except MatteError as error:
        failure = str(error)
    except BrokenProcessPool:
        pass
    return Measured(asked.model, asked.height, asked.width, failure=failure)


def _measured(asked: Asked) -> Measured:
    return_freed_memory()  # as `matte sequence` does
    asked.folder.mkdir(parents=True)
    make_clip(asked.folder, asked.height, asked.width, asked.count)
    return measure(asked)


def _said(row: Measured) -> str:
    return row.failure or f"{1 / row.lanes:.3g} frames/s, {row.ratio:.2f}x the plain loop"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}). Choose another folder.") from error


def _save(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{file} cannot be written ({error.strerror}). Choose another folder.") from error
