"""Measure what MaGGIe costs at 1024x576, in processor seconds of one thread: a clip, ten instances, refinement.

    scripts/measure_instance_cost.py [clip] [instances] [refinement] [--models maggie-small-video,maggie-video]

clip        a clip frame by frame against every window of three frames by itself, one for each frame, and how far
            their answers lie apart
instances   the dense part (trunk and coarse alphas) for ten instances against one: time and memory
refinement  gathered sites against masked maps by the share of pixels that is refined, and how far they lie apart

The published networks are measured on weights drawn by chance: their answers mean nothing, their cost is what it is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import click
import torch
from torch import Tensor

from matte_core.evaluate.cost import Stopwatch
from matte_core.models.catalogue import model
from matte_core.models.maggie import MaggieModel
from matte_core.models.maggie.net import Maggie, normalised
from matte_core.models.maggie.normed import fold
from matte_core.models.maggie.stream import step, window_by_window
from matte_core.models.weights import find, there

HEIGHT, WIDTH = 576, 1024
SHARES = (0.05, 0.1, 0.2, 0.3, 0.35, 0.4)


def net_of(name: str) -> Maggie:
    """The network called `name`, with weights drawn by chance where its own are not here."""
    chosen = model(name)
    assert isinstance(chosen, MaggieModel)
    if there(chosen.card):
        return chosen.load(find(chosen.card), torch.device("cpu"))
    torch.manual_seed(0)
    net = Maggie(chosen.settings)
    net.decoder.refine_OS8.decoder_norm.weight.data *= 20  # else everything would be uncertain
    fold(net)
    return net


def discs(frames: int, count: int, moving: float) -> tuple[Tensor, Tensor]:
    """Pictures (T, 3, H, W), as networks see them, and masks (T, N, H, W) of soft discs that move to the right."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    grain = torch.Generator().manual_seed(1)
    masks = torch.zeros(frames, count, HEIGHT, WIDTH)
    pictures = torch.rand(frames, 3, HEIGHT, WIDTH, generator=grain) * 0.3
    radius = 140 if count < 4 else 40
    for frame in range(frames):
        for place in range(count):
            centre = (place + 0.75) * WIDTH / (count + 0.5) + moving * frame
            away = torch.hypot(rows - HEIGHT / 2, columns - centre)
            masks[frame, place] = away < radius
            pictures[frame, place % 3] += 0.6 * ((radius + 10 - away) / 12).clamp(0, 1)
    return normalised(pictures.clamp(0, 1)), masks


def timed(made: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what was made."""
    started = time.process_time()
    found = made()
    return time.process_time() - started, found


def measure_clip(name: str, net: Maggie, frames: int) -> None:
    """A clip both ways; frame by frame, of the frames in the middle, for which all is made that a long clip needs."""
    pictures, masks = discs(frames, 2, 8.0)
    passed, made, each = None, [], []
    for place in range(frames):
        window = slice(max(place - 1, 0), place + 3)
        seconds, (answer, passed) = timed(partial(step, net, pictures[window], masks[window], passed))
        made.append(answer)
        each.append(seconds)
    once = sum(each[2:-2]) / len(each[2:-2])
    plain, wanted = timed(partial(window_by_window, net, pictures, masks))
    plain /= frames - 2
    apart = float((torch.stack(made) - wanted).abs().max())
    click.echo(
        f"{name}: {once:.2f} s a frame, {plain:.2f} for a window by itself: {once / plain:.2f}x; {apart:.1e} apart"
    )


def measure_instances(name: str, net: Maggie) -> None:
    """The dense part for one instance and for ten, the least of three times each."""
    seconds: dict[int, float] = {}
    memory: dict[int, float] = {}
    for count in (1, 10) * 3:
        pictures, masks = discs(1, count, 0)
        watch = Stopwatch(torch.device("cpu"))
        with watch.running():
            net.decoded(net.trunk(pictures, masks), masks)
        cost = watch.take()
        seconds[count] = min(seconds.get(count, cost.processor), cost.processor)
        memory[count] = max(memory.get(count, 0.0), cost.rise or 0.0)
    click.echo(
        f"{name}, dense part: {seconds[1]:.2f} s and {memory[1]:.0f} MB for one instance, {seconds[10]:.2f} and "
        f"{memory[10]:.0f} for ten: {seconds[10] / seconds[1]:.2f}x and {memory[10] / memory[1]:.2f}x"
    )


def measure_refinement(name: str, net: Maggie) -> None:
    """Both ways to refine, the least of two times each."""
    pictures, masks = discs(1, 2, 0)
    trunk = net.trunk(pictures, masks)
    for share in SHARES:
        region = torch.zeros(1, 2, HEIGHT, WIDTH, dtype=torch.bool)
        region[:, :, : round(HEIGHT * share)] = True
        ways = [[timed(partial(net.head, trunk, masks, way, region=region)) for _ in range(2)] for way in (False, True)]
        gathered, masked = (min(seconds for seconds, _ in way) for way in ways)
        one, other = (way[0][1] for way in ways)
        maps = ((one.alphas, other.alphas), (one.quarter, other.quarter), (one.full, other.full))
        apart = max(float((left - right).abs().max()) for left, right in maps)
        click.echo(f"{name}, {share:.2f} active: gathered {gathered:.2f} s, masked {masked:.2f}; {apart:.1e} apart")


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=[], help="clip, instances, refinement; all of them by default")
    parser.add_argument("--models", default="maggie-small-video,maggie-video")
    parser.add_argument("--frames", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    what = given.what or ["clip", "instances", "refinement"]
    with torch.inference_mode():
        for name in given.models.split(","):
            net = net_of(name)
            if "clip" in what and net.settings.temporal:
                measure_clip(name, net, given.frames)
            if "instances" in what:
                measure_instances(name, net)
            if "refinement" in what:
                measure_refinement(name, net)


if __name__ == "__main__":
    main()
