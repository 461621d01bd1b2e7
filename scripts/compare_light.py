"""Train one network twice, on composites made in linear light and on the same ones made in display light, and measure
both on held-out composites made in linear light: what law 2 of the design is worth.

    scripts/compare_light.py FOLDER [--photographs DIR] [--each 12] [--recipe FILE]

Both start from the same weights, those that net_m-small ships with. FOLDER keeps banks and both runs (linear/,
display/); a run that was stopped goes on. Prints tables by kind of cover, contrast, background and focus: mean absolute
errors of alpha in the unknown, and mean squared ones. Every scene counts alike.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import torch

from matte_core.models.net_m import SHARP
from matte_core.models.net_m.net import NetM
from matte_core.models.weights import find, load_into, required
from matte_core.train.checkpoint import read_tensors
from matte_core.train.light_pairs import KINDS, STOPS, Errors, make_banks, make_pair, measure
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
    for where, power, unit in ((chosen, 1, 1.0), (chosen & errors.partial, 1, 1.0), (chosen, 2, 1000.0)):
        linear, display = (unit * e for e in errors.mean(where, power)) if where.any() else (np.nan, np.nan)
        cells.append(f"{linear:.4g} | {display:.4g} | {linear / display:.2f}x")
    return f"| {name} | {len(np.unique(errors.scene[chosen]))} | {' | '.join(cells)} |"


def table(errors: Errors) -> list[str]:
    """Rows by kind of cover, contrast of the pixels, background and focus, then of everything."""
    rows = [
        "| | scenes | unknown: linear | display | ratio | partly covered: linear | display | ratio "
        "| squared e-3: linear | display | ratio |",
        "|---" * 11 + "|",
        *(row(kind.replace("_", " "), errors, errors.kind == kind) for kind in KINDS),
    ]
    for low, high in pairwise(STOPS):
        rows.append(row(f"{low:.0f} to {high:.0f} stops", errors, (errors.stops >= low) & (errors.stops < high)))
    rows.append(row("background in focus", errors, errors.in_focus))
    rows.append(row("background out of focus", errors, ~errors.in_focus))
    rows.append(row("background far above 1", errors, errors.bright))
    rows.append(row("other backgrounds", errors, ~errors.bright))
    return [*rows, row("all", errors, np.ones_like(errors.bright))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--each", type=int, default=12, help="held-out scenes of each kind")
    parser.add_argument("--recipe", type=Path, default=RECIPES / "net_m_light_study.toml")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    plan, material = parse_recipe(asked.recipe.read_text(encoding="utf-8")).data, load_material(asked.photographs)
    for done in make_banks(asked.folder, plan.seed, plan.shards, plan.size, material.photographs):
        click.echo(f"banks: {done} of {plan.shards}")
    start = asked.folder / "start.pt"
    if not start.exists():
        shipped = load_into(NetM(SHARP.settings), required(find(SHARP.card), SHARP.card), CPU)
        torch.save(shipped.state_dict(), start)
    linear, display = (trained(asked.recipe, asked.folder / name, asked.photographs) for name in ("linear", "display"))
    pairs = [
        (kind, make_pair((SEED, number, place), plan.size, kind, material.photographs))
        for number, kind in enumerate(KINDS)
        for place in range(asked.each)
    ]
    for line in table(measure(linear, display, pairs)):
        click.echo(line)


if __name__ == "__main__":
    main()
