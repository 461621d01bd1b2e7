"""Train one network twice, on composites made in linear light and on the same ones made in display light, and measure
both on held-out composites made in linear light: what law 2 of the design is worth.

    scripts/compare_light.py FOLDER [--photographs DIR] [--each 24] [--recipe FILE]

FOLDER keeps banks and both runs (linear/, display/); a run that was stopped goes on. Prints tables by kind of cover
and by contrast. All numbers are mean absolute errors of alpha in the unknown.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import torch

from matte_core.models.net_m.net import NetM
from matte_core.train.checkpoint import read_tensors
from matte_core.train.light_pairs import SOFT, STOPS, STRANDS, Errors, make_banks, make_pair, measure
from matte_core.train.loop import train
from matte_core.train.material import load_material
from matte_core.train.recipe import RECIPES, parse_recipe

SEED = 7_400_000  # far from any seed of a recipe
CPU = torch.device("cpu")


def trained(recipe: Path, folder: Path, photographs: Path | None) -> NetM:
    """The network that the recipe makes of the bank in `folder`."""
    recipe_text = recipe.read_text(encoding="utf-8")

    def told(what: str, done: int, total: int) -> None:
        if done % 100 == 0:
            click.echo(f"{folder.name}: {what} {done} of {total}")

    if not (folder / "net.pt").exists():
        train(recipe, photographs, CPU, (folder / "last.pt").exists(), folder, told)
    net = parse_recipe(recipe_text).make_task().build()
    assert isinstance(net, NetM)
    net.load_state_dict(read_tensors(folder / "net.pt", CPU))
    return net.eval()


def row(name: str, errors: Errors, chosen: np.ndarray) -> str:
    """One line of a table: both errors and their ratio, in all of the unknown and where cover is partial."""
    cells = []
    for where in (chosen, chosen & errors.partial):
        linear, display = errors.mean(where) if where.any() else (np.nan, np.nan)
        cells.append(f"{linear:.4f} | {display:.4f} | {linear / display:.2f}x")
    return f"| {name} | {int(chosen.sum())} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--each", type=int, default=24, help="held-out scenes of each kind")
    parser.add_argument("--recipe", type=Path, default=RECIPES / "net_m_light_study.toml")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    plan, material = parse_recipe(asked.recipe.read_text(encoding="utf-8")).data, load_material(asked.photographs)
    make_banks(asked.folder, plan.seed, plan.shards, plan.size, material.photographs)
    linear, display = (trained(asked.recipe, asked.folder / name, asked.photographs) for name in ("linear", "display"))
    pairs = [
        (kind, make_pair((SEED, number, place), plan.size, kind, material.photographs))
        for number, kind in enumerate((*SOFT, *STRANDS))
        for place in range(asked.each)
    ]
    errors = measure(linear, display, pairs)
    click.echo("| cover | pixels | unknown: linear | display | ratio | partly covered: linear | display | ratio |")
    click.echo("|---|---|---|---|---|---|---|---|")
    soft = np.isin(errors.kind, SOFT)
    for kind in (*SOFT, *STRANDS):
        click.echo(row(kind.replace("_", " "), errors, errors.kind == kind))
    for low, high in pairwise(STOPS):
        within = (errors.stops >= low) & (errors.stops < high)
        click.echo(row(f"soft cover, {low:.0f} to {high:.0f} stops", errors, soft & within))
    click.echo(row("all soft cover", errors, soft))
    click.echo(row("all", errors, soft | ~soft))


if __name__ == "__main__":
    main()
