"""Recipes: everything that decides a training run, in one TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from matte_core.errors import UsageError
from matte_core.train.tasks import Task, find_task

RECIPES = Path(__file__).parent / "recipes"
T = TypeVar("T")


@dataclass(frozen=True)
class Optimisation:
    """AdamW with `betas` (with `decay` 0 it is Adam), a warm-up, and a cosine down to a fiftieth or a tenth of the rate
    from each of `drops` on; `average` is the decay of the averaged weights; with `precision` "bf16" the network's
    convolutions run in half the bits, its weights stay in float32."""

    iterations: int = 2000
    batch: int = 8
    rate: float = 2e-3
    decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    warm_up: int = 50
    clip: float = 1.0
    drops: tuple[int, ...] = ()
    average: float = 0.998
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass(frozen=True)
class Pace:
    """How many iterations between notes of the loss, validations (and pictures), and checkpoints."""

    note: int = 20
    validate: int = 250
    save: int = 50


@dataclass(frozen=True)
class Recipe:
    """One training run: which task, seed, network, data, losses and schedule.

    `task` names an entry of `train.tasks`, whose own dataclasses `network`, `data` and `losses` are. `start` names
    weights to start from (a net.pt beside the run's folder; several joined by + stand for their mean), "" for none.
    """

    name: str
    network: Any
    data: Any
    losses: Any
    task: str = "net_m"
    seed: int = 0
    start: str = ""
    optimisation: Optimisation = field(default_factory=Optimisation)
    pace: Pace = field(default_factory=Pace)

    def make_task(self) -> Task:
        """The task that the recipe is for, without its data."""
        return find_task(self.task)(self.network, self.data, self.losses)


def parse_recipe(text: str) -> Recipe:
    """The recipe written in TOML. Raises UsageError for what is no TOML, no such setting, or of the wrong type."""
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the recipe is not TOML ({error}). Correct it there.") from error
    task = find_task(str(entries.get("task", Recipe.task)))
    tables = {name: _value(getattr(task, name), entries.pop(name, {}), name) for name in ("network", "data", "losses")}
    return _build(Recipe, entries | tables, "")


def _build(kind: type[T], entries: dict[str, Any], where: str) -> T:
    assert is_dataclass(kind)
    types = get_type_hints(kind)
    unknown = sorted(set(entries) - {entry.name for entry in fields(kind)})
    if unknown:
        raise UsageError(f"the recipe's {where}{unknown[0]} is no setting. Choose from: {', '.join(types)}.")
    built = {name: _value(types[name], value, f"{where}{name}") for name, value in entries.items()}
    try:
        return kind(**built)
    except TypeError as error:
        raise UsageError(f"the recipe is incomplete ({error}). Add what is missing.") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise UsageError(f"the recipe's {where} must be a table. Write [{where}].")
        return _build(kind, value, f"{where}.")
    if isinstance(value, list):
        return tuple(value)
    if kind is float and isinstance(value, int):
        return float(value)
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise UsageError(f"the recipe's {where} is {value!r}. Choose one of: {', '.join(get_args(kind))}.")
    if kind is not Any and isinstance(kind, type) and not isinstance(value, kind):
        raise UsageError(f"the recipe's {where} must be a {kind.__name__}, not {value!r}. Correct it.")
    return value
