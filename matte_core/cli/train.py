"""`matte train`: a network by a recipe, on procedural data."""

from __future__ import annotations

import time
from pathlib import Path

import click

from matte_core.cli.screen import Screen
from matte_core.engine.engine import pick_device
from matte_core.errors import UsageError


@click.command()
@click.argument("recipe")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of photographs (EXR, HDR) for textures, and of fg/ alpha/ bg/ or image/ mask/ bg/.",
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the run lives. Default: checkpoints/RECIPE.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
@click.option("--json", "machine", is_flag=True, help="One JSON line per event.")
def train(recipe: str, data: Path | None, folder: Path | None, device: str, resume: bool, machine: bool) -> None:
    """Train by RECIPE: a name (net_m_small) or a TOML file.

    The folder gets checkpoints that resume exactly, the learning curve, pictures of the validation set and the
    weights.
    """
    from matte_core.train.loop import train as run_recipe
    from matte_core.train.recipe import RECIPES

    named = {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}
    path = named.get(recipe, Path(recipe))
    if not path.is_file():
        raise UsageError(f"'{recipe}' is no recipe. Choose one of: {', '.join(named)}, or give a TOML file.")
    screen = Screen(machine)
    first: dict[str, tuple[int, float]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        since, started = first.setdefault(stage, (done, time.monotonic()))
        left = (time.monotonic() - started) / max(done - since, 1) * (total - done)
        told = f", about {left / 60:.0f} minutes left" if done > since else ""
        screen.note(f"{stage}: {done} of {total}{told}")

    weights = run_recipe(path, data, pick_device(device), resume, folder or Path("checkpoints") / path.stem, progress)
    screen.end(f"Done: {weights}", weights=str(weights))
