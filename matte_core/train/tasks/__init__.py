"""What the loop can train: one task per kind of network, found by the name its recipes give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, cast

import torch
from torch import Tensor, nn

from matte_core.errors import UsageError
from matte_core.train.material import Material

TASKS = {
    "net_m": "matte_core.train.tasks.net_m:NetMTask",
    "net_t": "matte_core.train.tasks.net_t:NetTTask",
    "maggie": "matte_core.train.tasks.maggie:MaggieTask",
    "portrait": "matte_core.train.tasks.portrait:PortraitTask",
    "adaption": "matte_core.train.tasks.adaption:AdaptionTask",
    "dvm": "matte_core.train.tasks.dvm:DVMTask",
    "propagation": "matte_core.train.tasks.propagation:PropagationTask",
    "hstsg": "matte_core.train.tasks.hstsg:HstsgTask",
}
Progress = Callable[[str, int, int], None]


class Batch(Protocol):
    """What one iteration learns from: tensors that go to a device together."""

    def to(self, device: torch.device) -> Self: ...


class Task(Protocol):
    """One kind of network: its recipe's tables, its data, its loss, and how well it does.

    A task is made from a recipe's tables. The loop calls `prepare` once, then draws a batch per iteration, has it
    answered (where asked, in half the bits), and scored. What a batch holds is decided by seed and iteration alone.
    """

    network: ClassVar[type[Any]]  # the dataclasses of the recipe's tables [network], [data] and [losses]
    data: ClassVar[type[Any]]
    losses: ClassVar[type[Any]]
    rates: ClassVar[Mapping[str, float]]  # share of the recipe's rate by how a parameter's name begins; {} for all

    def __init__(self, network: Any, data: Any, losses: Any) -> None: ...

    def build(self) -> nn.Module:
        """A fresh network."""
        ...

    def prepare(self, folder: Path, material: Material, progress: Progress) -> None:
        """Make the data in the run's folder, where it is not there yet, and load it."""
        ...

    def draw(self, seed: int, iteration: int, count: int) -> Any:
        """The Batch of `count` examples that belongs to an iteration."""
        ...

    def answer(self, net: nn.Module, batch: Any) -> Any:
        """What the network says about a batch."""
        ...

    def loss(self, answer: Any, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The loss, and its parts by name."""
        ...

    def look(self, net: nn.Module, folder: Path, iteration: int, device: torch.device) -> dict[str, float]:
        """Errors on the validation set for the learning curve, by name; a table and pictures of it go to `folder`."""
        ...


def find_task(name: str) -> type[Task]:
    """The task called `name`. Raises UsageError that lists the tasks there are."""
    if name not in TASKS:
        raise UsageError(f"the recipe's task '{name}' is not known. Choose one of: {', '.join(TASKS)}.")
    module, _, attribute = TASKS[name].partition(":")
    return cast(type[Task], getattr(import_module(module), attribute))
