"""Train the small DVM again and again, each time without one of the paper's losses or with another window, and measure.

    scripts/ablate_dvm.py FOLDER [--data DIR] [--iterations 150] [--batch 2] [--seeds 61,62]

All runs are as long, start from nothing, and with one seed see the same clips in the same order: those of recipe
dvm_small, which are made in FOLDER and kept, with alphas as they are, not smoothed. They are far shorter than the
training of the weights that ship: what they tell is which way a loss pulls. Prints SAD and dtSSD on the held-out clips,
each over that of the first alphas: the mean over the seeds, and every seed. A row that is in FOLDER is not run again.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import click
import torch

from matte_core.train.loop import train
from matte_core.train.recipe import RECIPES

ROWS: dict[str, dict[str, str]] = {
    "n = 2, all five losses": {},
    "n = 1, all five losses": {"reach": "1"},
    "without coherence": {"coherence": "0.0"},
    "without divergence": {"divergence": "0.0"},
    "without gradient": {"gradient": "0.0"},
    "without composition": {"composition": "0.0"},
    "without difference": {"difference": "0.0"},
    "difference alone": {"composition": "0.0", "gradient": "0.0", "divergence": "0.0", "coherence": "0.0"},
}


def recipe_with(changes: dict[str, str], text: str) -> str:
    """The recipe `text` with other values; every name must be there once."""
    for name, value in changes.items():
        text, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        if found != 1:
            raise ValueError(f"{name} stands {found} times in the recipe")
    return text


def run(folder: Path, name: str, text: str, data: Path | None, shared: Path) -> list[float]:
    """SAD and dtSSD over those of the first alphas after the run called `name`."""
    place = folder / re.sub(r"\W+", "_", name)
    place.mkdir(parents=True, exist_ok=True)
    for kept in ("bank", "validation"):
        (shared / kept).mkdir(parents=True, exist_ok=True)
        if not (place / kept).exists():
            (place / kept).symlink_to((shared / kept).resolve())
    recipe = place / "recipe.toml"
    if not (place / "net.pt").exists():
        (place / "last.pt").unlink(missing_ok=True)
        recipe.write_text(text, encoding="utf-8")
        train(recipe, data, torch.device("cpu"), False, place, lambda *told: None)
    (scores,) = place.glob("scores_*.txt")
    rows = scores.read_text(encoding="utf-8").splitlines()
    sad, first_sad, dt_ssd, first_dt_ssd = map(float, next(row for row in rows if row.startswith("all ")).split()[1:])
    return [sad / first_sad, dt_ssd / first_dt_ssd]


def main() -> None:
    """Run and measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clips", type=Path, help="a folder with bank and validation that are made already")
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seeds", default="61,62")
    parser.add_argument("--rows", type=int, default=len(ROWS), help="so many of the table, from the top")
    given = parser.parse_args()
    torch.set_num_threads(1)
    every = dict.fromkeys(("iterations", "validate", "save"), str(given.iterations))
    every |= {"batch": str(given.batch), "average": "0.97", "note": "20", "warm_up": "10"}
    told = recipe_with(every, (RECIPES / "dvm_small.toml").read_text(encoding="utf-8"))
    click.echo(f"{'':26s}{'SAD':>8s}{'dtSSD':>8s}   over Net-M's, {given.iterations} iterations of {given.batch}")
    for name, changes in list(ROWS.items())[: given.rows]:
        found = []
        for seed in given.seeds.split(","):
            text = re.sub("(?m)^seed = .*$", f"seed = {seed}", recipe_with(changes, told), count=1)
            found.append(run(given.folder / seed, name, text, given.data, given.clips or given.folder))
        means = [sum(each) / len(found) for each in zip(*found, strict=True)]
        every_seed = "  ".join(f"{sad:.3f} {steady:.3f}" for sad, steady in found)
        click.echo(f"{name:26s}{means[0]:8.3f}{means[1]:8.3f}   each seed: {every_seed}")


if __name__ == "__main__":
    main()
