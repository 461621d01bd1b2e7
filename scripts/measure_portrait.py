"""Measure the Portrait networks: what refinement brings, what it costs, how cost grows with the picture.

    scripts/measure_portrait.py quality --folder DIR [--photographs DIR]   held-out procedural pictures, SAD and Grad
    scripts/measure_portrait.py share                                      extra processor time by unknown share
    scripts/measure_portrait.py sizes                                      seconds and memory from 1 to 33 megapixels

One thread, processor seconds. Cells are set by hand in the last two, as a band about an ellipse, the way hair and an
outline lie.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from matte_core.evaluate.cost import Stopwatch
from matte_core.evaluate.metrics import gradient, sad
from matte_core.models.layers.spectral import fold
from matte_core.models.portrait import PORTRAIT, PORTRAIT_SMALL, PORTRAIT_SMALL_BUDGET
from matte_core.models.portrait.model import PortraitModel
from matte_core.models.portrait.net import Portrait
from matte_core.models.portrait.regions import CELL, paste
from matte_core.models.weights import find
from matte_core.train.bank import load_shards
from matte_core.train.material import load_material
from matte_core.train.portraits import Portraits
from matte_core.train.subjects import make_pictures

SEED = 8_100_000  # far from any seed of a recipe, and from those that a training is validated with
COUNT, SIDE, TIMES = 48, 512, 7
SHARES = (0.0, 0.05, 0.1, 0.15, 0.25)
SIZES = ((1152, 896), (1792, 1152), (3456, 2304), (7680, 4352))
CELLS = (0, 1000, 4000, 16_000)
CPU = torch.device("cpu")


def band(height: int, width: int, count: int) -> Tensor:
    """(count, 3) the cells nearest to an ellipse in a picture of so many cells."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    away = (torch.hypot(rows / height - 0.5, columns / width - 0.5) - 0.25).abs().flatten()
    chosen = away.argsort()[:count].sort().values
    return torch.stack([torch.zeros_like(chosen), chosen // width, chosen % width], 1)


def small(model: PortraitModel = PORTRAIT_SMALL) -> Portrait:
    return model.load(find(model.card), CPU)


def spent(net: Portrait, picture: Tensor, cells: Tensor | None) -> float:
    begun = time.process_time()
    net(picture, cells)
    return time.process_time() - begun


def quality(folder: Path, photographs: Path | None) -> None:
    make_pictures(Portraits, folder, SEED, 1, SIDE, load_material(photographs), count=COUNT)
    (held_out,) = load_shards(folder, Portraits)
    for model in (PORTRAIT_SMALL, PORTRAIT_SMALL_BUDGET):
        compared(model, held_out)


def compared(model: PortraitModel, held_out: Portraits) -> None:
    net, rows = small(model), []
    for pixels, alpha in zip(held_out.pixels, held_out.alpha, strict=True):
        picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        truth, everywhere = alpha / np.float32(255), np.ones(alpha.shape, bool)
        answer = net(picture)
        none = answer.cells[:0]
        times = np.array([[spent(net, picture, cells) for cells in (none, None)] for _ in range(3)]).min(0)
        found = [values[0, 0].numpy() for values in (answer.coarse, answer.alpha)]
        errors = [measure(each, truth, everywhere) for measure in (sad, gradient) for each in found]
        refined = paste(torch.zeros(1, 1, SIDE, SIDE), answer.cells, torch.ones(1))[0, 0].bool().numpy()
        inside = [sad(each, truth, refined) for each in found]
        share = len(answer.cells) / (SIDE // CELL) ** 2
        rows.append([*errors, *times, share, sad(0 * truth, truth, everywhere), *inside])
    every = np.array(rows)
    mean = every.mean(0)
    click.echo(
        f"{model.card.name}: {COUNT} pictures of {SIDE} pixels, look {net.settings.look}, refined cells {mean[6]:.1%}"
    )
    click.echo(f"SAD: empty {mean[7]:.2f}, coarse {mean[0]:.3f}, refined {mean[1]:.3f}, better in {_won(every, 0)}")
    click.echo(f"SAD within refined cells: coarse {mean[8]:.3f}, refined {mean[9]:.3f}, better in {_won(every, 8)}")
    click.echo(f"Grad: coarse {mean[2]:.3f}, refined {mean[3]:.3f}, better in {_won(every, 2)}")
    click.echo(f"processor s: coarse {mean[4]:.4f}, refined {mean[5]:.4f}: {mean[5] / mean[4] - 1:.1%} more")


def _won(every: np.ndarray, place: int) -> int:
    return int((every[:, place + 1] < every[:, place]).sum())


def share() -> None:
    net = small()
    for width, height in ((512, 512), (1024, 1024), (1920, 1080), (3840, 2160)):
        picture, rows, columns = torch.rand(1, 3, height, width), height // CELL, width // CELL
        counts = {f"{each:.0%}": int(each * rows * columns) for each in SHARES} | {"budget": 2 * (rows + columns)}
        times: dict[str, list[float]] = {name: [] for name in counts}
        for _ in range(TIMES):
            for name, count in counts.items():
                times[name].append(spent(net, picture, band(rows, columns, count)))
        least = {name: min(values) for name, values in times.items()}
        told = ", ".join(f"{name} {value / least['0%'] - 1:.0%}" for name, value in least.items())
        click.echo(f"{width}x{height}: coarse {least['0%']:.3f} s; more at {told}")


def sizes() -> None:
    paper = Portrait(PORTRAIT.settings).eval()
    fold(paper)
    watch = Stopwatch(CPU)
    for name, net in (("portrait-small", small()), ("portrait", paper)):
        for width, height in SIZES:
            picture, told = torch.rand(1, 3, height, width), []
            with watch.running():
                scales = net.seen(picture)
            cost = watch.take()
            for count in CELLS:
                with watch.running():
                    net.compose(picture, scales, band(height // CELL, width // CELL, count))
                more = watch.take()
                told.append(f"{count}: {more.processor:.2f} s {more.rise or 0:.0f} MB")
            click.echo(
                f"{name} {width}x{height}: coarse {cost.processor:.2f} s {cost.rise or 0:.0f} MB; {'; '.join(told)}"
            )


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "share", "sizes"])
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("output/portrait"), help="keeps the pictures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.what == "quality":
        quality(arguments.folder, arguments.photographs)
    else:
        {"share": share, "sizes": sizes}[arguments.what]()


if __name__ == "__main__":
    main()
