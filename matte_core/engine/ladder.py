"""What to do when memory is short: a smaller batch, smaller tiles, half precision, then a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from matte_core.models.base import Card, Guides

SMALLEST_TILE = 256
HANDED = 32  # bytes for each pixel of a frame: what the model is shown, padded, and its answer in the frame's size
_HALVES = ("fp16", "bf16")  # of a card's precisions, those that take half the memory
_IN_HALF = 0.6  # what a step takes in half precision: what must stay in float32 stays


@dataclass(frozen=True)
class Rung:
    """One way to take a step: `batch` frames at once, tiles of at most `tile` pixels a side (0: whole frames)."""

    batch: int
    tile: int
    precision: str

    def __str__(self) -> str:
        pieces = [f"{self.batch} frame{'' if self.batch == 1 else 's'} at once"]
        pieces += [f"tiles of {self.tile} pixels"] if self.tile else []
        return ", ".join([*pieces, self.precision])


@dataclass(frozen=True)
class Step:
    """What a model is asked: `count` frames of `height` x `width`, of which at most `unknown` pixels are unknown."""

    count: int
    height: int
    width: int
    unknown: int

    @classmethod
    def of(cls, frames: Tensor, guides: Guides) -> Step:
        """The step that `frames` (T, 3, H, W) and `guides` ask for; without a trimap every pixel is unknown."""
        count, height, width = frames.shape[0], frames.shape[-2], frames.shape[-1]
        trimap = guides.get("trimap")
        if trimap is None:
            return cls(count, height, width, height * width)
        unknown = [int(((layer > 0.25) & (layer < 0.75)).sum()) for layer in trimap.flatten(0, 1)]
        return cls(count, height, width, max(unknown, default=0))


class Cut(NamedTuple):
    """What a model carries on, for each tile of `side` pixels."""

    side: int
    states: Sequence[Any]


def rungs(card: Card, step: Step, precision: str, half: bool, tiles: bool = True) -> Iterator[Rung]:
    """Ways to take `step`, from the quickest to the one that needs least memory.

    `half` allows half precision where the card does; `tiles` is False where what the model carries cannot be cut.
    """
    batch = step.count
    yield Rung(batch, 0, precision)
    while batch > 1 and card.batch > 1 and not (card.clip or card.carries or card.before or card.after):
        batch //= 2
        yield Rung(batch, 0, precision)
    tile = 0
    overlap = card.overlap if tiles and within(card, step.height, step.width) == (step.height, step.width) else None
    if overlap is not None:
        side = max(step.height, step.width) // 2
        while side >= max(SMALLEST_TILE, 2 * overlap):
            tile = side
            yield Rung(batch, tile, precision)
            side //= 2
    halves = [name for name in reversed(card.precisions) if name in _HALVES]
    if half and halves and precision not in _HALVES:
        yield Rung(batch, tile, halves[0])


def need(card: Card, step: Step, rung: Rung) -> int:
    """Bytes that a step takes beside the weights: as the card declares them, and to hand the pictures over."""
    handed = rung.batch * min(step.height, rung.tile or step.height) * min(step.width, rung.tile or step.width)
    height, width = within(card, step.height, step.width)
    height, width = _scaled(height, width, card.short_limit / min(height, width))  # the model does this by itself
    pixels = min(height, rung.tile or height) * min(width, rung.tile or width)
    unknown = min(step.unknown, pixels)
    whole = rung.batch * (card.memory * pixels + card.memory_unknown * unknown) + HANDED * handed
    return int(whole * _IN_HALF) if rung.precision in _HALVES else whole


class Fitting(NamedTuple):
    """The place of a way that fits, and whether it does only while nothing goes on beside it."""

    place: int
    alone: bool


def fitting(
    card: Card, step: Step, ways: Sequence[Rung], start: int, free: int | None, alone: int | None
) -> Fitting | None:
    """The first of `ways`, from `start` on, that takes no more than `free` bytes, or `alone` bytes by itself.

    Waiting comes before half precision, since it does not change the answer.
    """
    full = [place for place in range(start, len(ways)) if ways[place].precision == ways[start].precision]
    for places in (full, range(start, len(ways))):
        for by_itself, amount in ((False, free), (True, alone)):
            for place in places:
                if amount is None or need(card, step, ways[place]) <= amount:
                    return Fitting(place, by_itself)
    return None


def within(card: Card, height: int, width: int) -> tuple[int, int]:
    """Height and width at which the model is shown a frame: no side longer than the card's limit."""
    return _scaled(height, width, card.side_limit / max(height, width))


def _scaled(height: int, width: int, scale: float) -> tuple[int, int]:
    return (max(1, round(height * scale)), max(1, round(width * scale))) if 0 < scale < 1 else (height, width)


def sentence(card: Card, step: Step, rung: Rung, device: torch.device, free: int | None, budget: int | None) -> str:
    """What the last rung needs, what is free, and the settings that would help."""
    cures = ["close other programs"]
    if budget is not None:
        cures = ["raise --memory"]
    if rung.precision not in _HALVES and any(name in _HALVES for name in card.precisions):
        half = next(name for name in reversed(card.precisions) if name in _HALVES)
        cures.append(f"allow half precision with --precision {half}")
    cures += ["use --device cpu"] if device.type != "cpu" else []
    cures.append("choose a smaller model")
    said = f", {_amount(free)} are free" if free is not None else ""
    allowed = f" of the {_amount(budget)} that --memory allows" if budget is not None and free is not None else ""
    cure = ", ".join(cures[:-1]) + f", or {cures[-1]}"
    return (
        f"{card.name} needs about {_amount(need(card, step, rung))} for a frame of {step.width}x{step.height} on "
        f"{device}{said}{allowed}. {cure[0].upper()}{cure[1:]}."
    )


def _amount(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{max(count, 0) / 1e6:.0f} MB"
