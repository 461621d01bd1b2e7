"""What one frame of a size costs with a model: its parameters, what it multiplies, seconds, memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from safetensors import safe_open

from matte_core.engine.engine import pick_precision
from matte_core.evaluate.methods import MeasuredEngine, example
from matte_core.evaluate.operations import counting
from matte_core.models.base import Card
from matte_core.models.catalogue import model
from matte_core.models.weights import cure, find, there

_NOT_LEARNT = ("running_mean", "running_var", "num_batches_tracked", "weight_u", "weight_v")


@dataclass(frozen=True)
class Price:
    """Of one model: `parameters` in its file of weights, `multiplications` (each with its addition) that torch counts,
    `as_in_2021` what papers of that year called FLOPs, `processor` seconds of all threads, `memory` megabytes that
    the process grew by and `device` ones on the graphics card; `note` why there is nothing to show. None: not known."""

    name: str
    parameters: int | None = None
    multiplications: int | None = None
    as_in_2021: int | None = None
    processor: float | None = None
    memory: float | None = None
    device: float | None = None
    note: str = ""

    def columns(self) -> list[str]:
        """The figures as they stand in a table: parameters, then thousand millions, seconds, megabytes."""
        counts = [f"{count / 1e9:.2f}" if count else "-" for count in (self.multiplications, self.as_in_2021)]
        rest = [self.processor, self.memory, self.device]
        parameters = "-" if self.parameters is None else f"{self.parameters:,}"
        return [parameters, *counts, *("-" if value is None else f"{value:.3g}" for value in rest)]


def price(card: Card, height: int, width: int, device: torch.device) -> Price:
    """The cost of one step of the card's model on a picture of a disc, a third of whose height is unknown.

    Classic solvers multiply sparse matrices, which nobody counts: theirs is the time alone.
    """
    if not there(card):
        return Price(card.name, note=f"weights are not here. {cure(card)}")
    chosen, engine = model(card.name), MeasuredEngine(device)
    precision = pick_precision(card, "auto", engine.device_for(card))
    with torch.inference_mode():
        engine.step(chosen, *example(card), None, precision)
        engine.stopwatch.take()
        told = example(card, height, width)
        engine.step(chosen, *told, None, precision)
        cost = engine.stopwatch.take()
        with counting() as counted:
            engine.step(chosen, *told, None, precision)
    on_device = cost.device if engine.device_for(card).type == "cuda" else None
    figures = counted.multiplications, counted.as_in_2021, cost.processor, cost.rise, on_device
    return Price(card.name, _parameters(find(card)), *figures)


def _parameters(weights: Path | None) -> int:
    if weights is None:
        return 0
    with safe_open(weights, "pt") as file:
        names = [name for name in file.keys() if not name.endswith(_NOT_LEARNT)]  # noqa: SIM118
        return sum(prod(file.get_slice(name).get_shape()) for name in names)
