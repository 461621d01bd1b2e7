"""Checkpoints that a run goes on from exactly: network, average, optimiser, random state, curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from matte_core.errors import SourceError

LAST = "last.pt"


@dataclass
class Curve:
    """The learning curve: losses by name at `iterations`, and validation errors at `validated`."""

    iterations: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    validated: list[int] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=dict)

    def add_losses(self, iteration: int, losses: dict[str, float]) -> None:
        """Note the losses at `iteration`."""
        self.iterations.append(iteration)
        for name, value in losses.items():
            self.losses.setdefault(name, []).append(value)

    def add_scores(self, iteration: int, scores: dict[str, float]) -> None:
        """Note the validation errors at `iteration`."""
        self.validated.append(iteration)
        for name, value in scores.items():
            self.scores.setdefault(name, []).append(value)


@dataclass
class Run:
    """A training run as it stands after `iteration` steps: what a checkpoint holds."""

    net: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    iteration: int = 0
    curve: Curve = field(default_factory=Curve)

    def save(self, folder: Path, recipe: str) -> None:
        """Write `last.pt` into `folder`, whole or not at all, with the recipe's text."""
        state = {
            "recipe": recipe,
            "iteration": self.iteration,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "curve": vars(self.curve),
        }
        beside = folder / f"{LAST}.part"
        torch.save(state, beside)
        beside.replace(folder / LAST)

    def resume(self, folder: Path, recipe: str, device: torch.device) -> None:
        """Go on from `last.pt` in `folder`. Raises SourceError where it is missing or of another recipe."""
        state = _load(folder / LAST, device)
        if state["recipe"] != recipe:
            raise SourceError(f"{folder / LAST} was made with another recipe. Train into another folder.")
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"].cpu())
        self.iteration = state["iteration"]
        self.curve = Curve(**state["curve"])


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    if not path.is_file():
        raise SourceError(f"{path} is missing: nothing to resume. Start the run without resuming.")
    return read_tensors(path, device)


def mean_tensors(paths: Sequence[Path], device: torch.device) -> dict[str, Any]:
    """Tensors by name: the mean of those in `paths`; counters are the first file's.

    Raises SourceError where one cannot be read, or is of another network.
    """
    first, *others = (read_tensors(path, device) for path in paths)
    for path, more in zip(paths[1:], others, strict=True):
        if any(name not in more or more[name].shape != tensor.shape for name, tensor in first.items()):
            raise SourceError(f"{path} and {paths[0]} are of different networks. Choose runs of one recipe's network.")
    floats = {name: sum((more[name] for more in others), t) for name, t in first.items() if t.is_floating_point()}
    return {**first, **{name: total / len(paths) for name, total in floats.items()}}


def read_tensors(path: Path, device: torch.device) -> dict[str, Any]:
    """Tensors and plain values by name from a file of `torch.save`; nothing else is unpickled.

    Raises SourceError where it is missing, damaged or holds anything else.
    """
    try:
        read = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged archive ends in nearly any kind of error
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise SourceError(f"{path} cannot be read as a file of tensors ({reason}). Make it again.") from error
    if not isinstance(read, dict):
        raise SourceError(f"{path} holds no tensors by name. Make it again.")
    return read
