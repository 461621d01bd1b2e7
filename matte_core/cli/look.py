"""`matte models`, `matte info`, `matte doctor`: what there is, what a file says, what is missing."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.table import Table

from matte_core import __version__
from matte_core.colour import load_config, resolve_space
from matte_core.engine.engine import pick_device
from matte_core.errors import MatteError, UsageError
from matte_core.frame import Header
from matte_core.io.image import read_header
from matte_core.models.base import Card, Weights
from matte_core.models.catalogue import cards
from matte_core.models.weights import PACKAGED, models_folder, paid_work_only

_LEAST = 64  # pixels a side of the picture that costs are measured on
LIBRARIES = ("torch", "numpy", "opencv-python", "OpenImageIO", "opencolorio", "pymatting", "safetensors")


def _show(table: Table) -> None:
    Console(highlight=False, soft_wrap=True).print(table)


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


@click.command()
@click.option(
    "--commercial-only",
    is_flag=True,
    help="Leave out models whose weights may not be used for paid work, as MATTE_COMMERCIAL_ONLY=1 does everywhere.",
)
@click.option("--cost", is_flag=True, help="Run each on one picture: parameters, multiplications, seconds, memory.")
@click.option("--size", default="1280x720", show_default=True, metavar="WIDTHxHEIGHT", help="Of that picture.")
@click.option("--json", "machine", is_flag=True, help="The same as JSON.")
def models(commercial_only: bool, cost: bool, size: str, machine: bool) -> None:
    """List the models: what each needs, its weights, their licence, commercial use; or what they cost."""
    only = commercial_only or paid_work_only()
    shown = [card for card in cards() if not only or card.weights is None or card.weights.commercial]
    if cost:
        _costs(shown, size, machine)
        return
    rows = [_row(card) for card in shown]
    if machine:
        _say(rows)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "what it is", "needs", "weights", "licence", "commercial use"):
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("name", "title", "needs", "weights", "licence", "commercial_use")))
    _show(table)


def _costs(shown: Sequence[Card], size: str, machine: bool) -> None:
    from matte_core.evaluate.price import price  # loads every solver

    parts = size.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) >= _LEAST for part in parts):
        raise UsageError(f"'{size}' is no size. Write WIDTHxHEIGHT, at least {_LEAST} a side, such as 1920x1080.")
    width, height = map(int, parts)
    prices = [price(card, height, width, pick_device()) for card in shown]
    if machine:
        _say([dataclasses.asdict(each) for each in prices])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "parameters", "GMAC", "GFLOPs as in 2021", "processor s", "memory MB", "device MB", ""):
        table.add_column(column, justify="left" if column in ("name", "") else "right", no_wrap=column == "name")
    for each in prices:
        table.add_row(each.name, *each.columns(), each.note)
    _show(table)


def _row(card: Card) -> dict[str, str]:
    weights = card.weights
    return {
        "name": card.name,
        "title": card.title,
        "answers": card.answers,
        "needs": ", ".join(card.guides) or "nothing",
        "weights": "none needed" if weights is None else f"{weights.file}, {weights.megabytes:.1f} MB, {_where(card)}",
        "licence": "Apache-2.0" if weights is None else weights.licence,
        "commercial_use": "yes" if weights is None or weights.commercial else "no",
        "origin": "" if weights is None else weights.origin,
        "note": card.note,
    }


def _where(card: Card) -> str:
    if card.weights is None or (PACKAGED / card.weights.file).is_file():
        return "in the package"
    verb = "convert" if card.weights.convert else "fetch"
    here = (models_folder() / card.weights.file).is_file()
    return f"{verb}ed" if here else f"{verb}: matte weights {verb} {card.name}"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "machine", is_flag=True, help="The same as JSON.")
def info(file: Path, machine: bool) -> None:
    """Show what FILE says: windows, channels, colour, timecode, Matte's own stamp."""
    said = read_header(file)
    facts = {**said.facts(), **_meaning(said.parts[0].header, file)}
    if machine:
        _say(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if isinstance(value, dict):
            for key, entry in value.items():
                table.add_row(key, str(entry))
        else:
            table.add_row(name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
    _show(table)


def _meaning(header: Header, file: Path) -> dict[str, Any]:
    """What the header's numbers mean: the colour space and why, the timecode in hours to frames."""
    meaning: dict[str, Any] = {}
    resolved = resolve_space(load_config(), header, str(file))
    meaning["colour space"] = f"{resolved.space} ({resolved.why})"
    code = header.attribute("smpte:TimeCode")
    if code:
        # SMPTE 12M packs two decimal digits into each byte, with flags in the highest bits.
        masks = ((24, 0x3F), (16, 0x7F), (8, 0x7F), (0, 0x3F))
        meaning["timecode"] = ":".join(f"{code[0] >> shift & mask:02x}" for shift, mask in masks)
    return meaning


@click.command()
@click.option("--json", "machine", is_flag=True, help="The same as JSON.")
def doctor(machine: bool) -> int:
    """Check devices, libraries, colour configuration and weights; say what is missing and how to get it."""
    checks = [*_libraries(), *_devices(), _colour(), *_weights()]
    if machine:
        _say([{"what": what, "ok": ok, "found": found} for what, ok, found in checks])
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for what, ok, found in checks:
            table.add_row("[green]ok[/]" if ok else "[red]missing[/]", what, found)
        _show(table)
    return 0 if all(ok for _, ok, _ in checks) else 1


def _libraries() -> list[tuple[str, bool, str]]:
    rows = [("Matte", True, f"{__version__}, Python {platform.python_version()}")]
    for name in LIBRARIES:
        try:
            rows.append((name, True, metadata.version(name)))
        except metadata.PackageNotFoundError:
            known = {dist.metadata["Name"].lower() for dist in metadata.distributions() if dist.metadata["Name"]}
            headless = name == "opencv-python" and known & {"opencv-python-headless", "opencv-contrib-python"}
            rows.append((name, bool(headless), "another build is there" if headless else f"pip install {name}"))
    return rows


def _devices() -> list[tuple[str, bool, str]]:
    rows = [("processor", True, f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()}")]
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        rows.append((f"cuda:{index}", True, f"{card.name}, {card.total_memory / 1e9:.0f} GB"))
    rows.append(("device used", True, str(pick_device("auto"))))
    return rows


def _colour() -> tuple[str, bool, str]:
    try:
        config = load_config("")
    except MatteError as error:
        return ("colour configuration", False, str(error))
    return ("colour configuration", True, config.identity)


def _weights() -> list[tuple[str, bool, str]]:
    rows = []
    for card in cards():
        if card.weights is not None:
            found = _where(card)
            rows.append((f"weights of {card.name}", ":" not in found or not _ships(card.weights), found))
    return rows


def _ships(weights: Weights) -> bool:
    return not weights.repository and not weights.convert
