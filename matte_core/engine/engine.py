"""The engine: a device, a precision, the networks that live there, and what to do when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from matte_core.engine.clock import Clock, Watch
from matte_core.engine.graphs import Quicken, recorded
from matte_core.engine.host import Host, LocalHost
from matte_core.engine.ladder import Cut, Fitting, Rung, Step, fitting, need, rungs, sentence, within
from matte_core.engine.networks import Networks
from matte_core.engine.room import Room, give_back
from matte_core.engine.sizes import pad, resized
from matte_core.engine.transfer import Answer, Transfer, joined, on_device, transfer_for
from matte_core.engine.turns import Turns
from matte_core.errors import ModelError, ShortOfRoom, UsageError, out_of_memory
from matte_core.models.base import Card, Guides, Layers, MattingModel
from matte_core.models.layers.tiles import cut, join

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Look = Callable[[Tensor], Tensor]  # what a network is shown of a plate (T, 3, H, W)
_LOG = logging.getLogger(__name__)
_MEANT: ContextVar[torch.device | None] = ContextVar("the device meant by auto", default=None)


@contextmanager
def auto_means(device: torch.device) -> Iterator[None]:
    """While it is open, "auto" is `device`: a host or a person has chosen one, and the precision follows it."""
    before = _MEANT.set(device)
    try:
        yield
    finally:
        _MEANT.reset(before)


def pick_device(asked: str = "auto") -> torch.device:
    """The device meant by "auto", "cpu", "cuda", "cuda:1" or "mps". Raises UsageError if it is not there."""
    if asked == "auto":
        meant = _MEANT.get()
        if meant is not None:
            return meant
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if asked.split(":")[0] not in DEVICES[1:]:
        raise UsageError(f"'{asked}' is no device. Choose one of: {', '.join(DEVICES)}, cuda:N.")
    device = torch.device(asked)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[device.type]
    if not there or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"device {asked} is not on this machine. Use --device auto, or see: matte doctor")
    return device


def pick_precision(card: Card, asked: str, device: torch.device) -> str:
    """The precision a model runs in: as asked, or the card's first on a CPU and its last on other devices.

    Raises UsageError where the card does not allow what was asked.
    """
    if asked not in PRECISIONS:
        raise UsageError(f"'{asked}' is no precision. Choose one of: {', '.join(PRECISIONS)}.")
    if asked == "auto":
        return card.precisions[0] if device.type == "cpu" else card.precisions[-1]
    if asked not in card.precisions:
        raise UsageError(f"{card.name} does not run in {asked}. Choose one of: auto, {', '.join(card.precisions)}.")
    return asked


class Engine:
    """Runs models as their cards declare.

    When memory runs short it takes a smaller batch, then tiles if the card allows, then half precision if it may,
    then says what it needs; what was enough once is kept to, and told in `said`.
    `find_weights` gives the weights file of a card; `networks` keeps what was loaded, for later engines too; `room`
    is the memory it may take; `watch` is told the seconds of every stage ("colour", "network", "copy"), for which
    the device is waited for; `quicken` may put quicker parts into a network that was loaded.
    """

    def __init__(
        self,
        device: torch.device,
        find_weights: Callable[[Card], Any],
        host: Host | None = None,
        networks: Networks | None = None,
        room: Room | None = None,
        watch: Watch | None = None,
        quicken: Quicken | None = None,
    ) -> None:
        self.device = device
        self.host: Host = host or LocalHost()
        self.room = room or Room()
        self.said: dict[str, None] = {}
        self._find_weights = find_weights
        self._networks = networks if networks is not None else Networks()
        self._quicken = quicken or recorded
        self._clock = Clock(watch)
        self._turns = Turns()
        self._transfers: dict[torch.device, Transfer] = {}
        self._enough: dict[tuple[str, Step, str], Rung] = {}
        self._short: set[tuple[str, Step]] = set()  # steps that wait until nothing goes on beside them
        if device.type == "cuda":
            self.room.hold(device)

    def network(self, model: MattingModel, count: int) -> Any:
        """The model's network on its device, loaded once, with `count` bytes free beside it."""
        card, device = model.card, self.device_for(model.card)
        key = (card.name, card.weights.sha256 if card.weights else "", str(device))
        size = int((card.weights.megabytes if card.weights else 0) * 1e6)
        return self.host.ready(self._networks.get(key, size, lambda: self._load(model, device)), device, count)

    def _load(self, model: MattingModel, device: torch.device) -> Any:
        weights = self._find_weights(model.card)
        if weights is None:
            return model.load(None, device)
        return self.host.hold(
            lambda where: self._quicken(_laid_out(model.load(weights, where), device), model.card, device), device
        )

    def device_for(self, card: Card) -> torch.device:
        """Where the model runs: the engine's device, or the CPU for solvers that know no other."""
        return torch.device("cpu") if card.on_cpu_only else self.device

    def step(
        self, model: MattingModel, frames: Tensor, guides: Guides, state: Any = None, precision: str = "fp32"
    ) -> tuple[Layers, Any]:
        """Layers (T, K, H, W) float32 on the CPU for `frames` (T, 3, H, W), and the model's new state.

        Frames and guides are on the CPU; they are padded to the card's multiple and moved. Raises ModelError with
        what to change when even the smallest step does not fit into memory.
        """
        answer, state = self.begin(model, frames, guides, state, precision)
        return answer.take(), state

    def begin(
        self,
        model: MattingModel,
        frames: Tensor,
        guides: Guides,
        state: Any = None,
        precision: str = "fp32",
        look: Look | None = None,
        half: bool = False,
    ) -> tuple[Answer, Any]:
        """As `step`, but the answer may still be on its way: `take` waits for it, in whatever thread.

        `look` makes what the network sees of the frames, on the device. `half` allows half precision where memory
        is short and the card allows it.
        """
        card, step = model.card, Step.of(frames, guides)
        net = self.network(model, need(card, step, Rung(step.count, 0, precision)))
        ways = list(rungs(card, step, precision, half, tiles=state is None or isinstance(state, Cut)))
        if isinstance(state, Cut):
            ways = [rung for rung in ways if rung.tile == state.side]
        asked = (card.name, replace(step, unknown=0), precision)
        start = ways.index(self._enough[asked]) if self._enough.get(asked) in ways else 0
        with self._turns.turn(need(card, step, ways[start]), partial(self.room.free, self.device_for(card))):
            for rung in ways[self._fitting(card, step, ways, start, state) :]:
                try:
                    taken = self._take(_Question(model, net, frames, guides, rung.precision, look), state, rung)
                except Exception as error:
                    if not out_of_memory(error):
                        raise
                    self._enough.pop(asked, None)
                    told = repr(error)
                else:
                    if rung != ways[0] or rung.tile:
                        self._note(card, step, rung)
                        self._enough[asked] = rung
                    return taken
                self._empty_cache(card)  # the failed step's tensors are free only here
                _LOG.info("%s, %s: %s", card.name, rung, told)
        raise ModelError(self._too_little(card, step, ways[-1]))

    def _fitting(self, card: Card, step: Step, ways: Sequence[Rung], start: int, state: Any) -> int:
        """Place of the first way, from `start` on, that fits into the room by what the card declares.

        Where none does: the last, or with a budget, since that is kept, ModelError; ShortOfRoom at first where it would
        fit if nothing went on beside it, which is taken for granted the next time, and where a state is carried.
        """
        device, waited = self.device_for(card), (card.name, step)
        found = fitting(card, step, ways, start, self.room.free(device), self.room.free(device, alone=True))
        if self.room.budget is not None and found != Fitting(start, False):
            give_back()
            found = fitting(card, step, ways, start, self.room.free(device), self.room.free(device, alone=True))
        if found is None:
            if self.room.budget is None:
                return len(ways) - 1
            raise ModelError(self._too_little(card, step, ways[-1]))
        if found.alone and state is None and waited not in self._short:
            self._short.add(waited)
            raise ShortOfRoom(self._too_little(card, step, ways[-1]))
        self._short.discard(waited)
        return found.place

    def _take(self, question: _Question, state: Any, rung: Rung) -> tuple[Answer, Any]:
        """The step in batches, each whole or in tiles."""
        count = len(question.frames)
        if rung.batch == count:
            return self._in_tiles(question, state, rung.tile) if rung.tile else self._whole(question, state)
        parts = []
        for place in range(0, count, rung.batch):
            part = question.part(partial(_frames, place, place + rung.batch))
            parts.append((self._in_tiles(part, None, rung.tile) if rung.tile else self._whole(part, None))[0])
        return joined(parts, lambda made: torch.cat(list(made))), None

    def _in_tiles(self, question: _Question, state: Any, side: int) -> tuple[Answer, Any]:
        """The step tile by tile; what a tile carries on stays its own."""
        height, width = question.frames.shape[-2:]
        overlap = question.model.card.overlap or 0
        tiles = cut(height, width, side, overlap)
        states = state.states if isinstance(state, Cut) else [None] * len(tiles)
        parts, carried = [], []
        for tile, own in zip(tiles, states, strict=True):
            answer, passed = self._whole(question.part(tile.crop), own)
            parts.append(answer)
            carried.append(passed)
        answer = joined(parts, lambda made: join(height, width, overlap, zip(tiles, made, strict=True)))
        return answer, Cut(side, carried) if any(passed is not None for passed in carried) else None

    def _whole(self, question: _Question, state: Any) -> tuple[Answer, Any]:
        card, look, frames = question.model.card, question.look, question.frames
        device, clock = self.device_for(card), self._clock
        transfer = self._transfers.setdefault(device, transfer_for(device))
        size = (frames.shape[-2], frames.shape[-1])
        smaller = within(card, *size)
        half = question.precision != "fp32"
        with torch.inference_mode(), on_device(device):
            with clock.stage("copy", device):
                there = transfer.up(frames, half)
                told = {name: transfer.up(guide, half) for name, guide in question.guides.items()}
            with clock.stage("colour", device):
                seen = look(there) if look is not None else there.float()
            ready = pad(resized(seen, smaller), card.multiple)
            given = {n: pad(resized(guide.float(), smaller), card.multiple) for n, guide in told.items()}
            if device.type == "cuda":
                ready = ready.contiguous(memory_format=torch.channels_last)
            with clock.stage("network", device), _autocast(device, question.precision):
                layers, state = question.model.step(question.net, ready, given, state)
            cropped = {name: layer[..., : smaller[0], : smaller[1]].float() for name, layer in layers.items()}
            with clock.stage("copy", device):
                return transfer.back({name: resized(layer, size) for name, layer in cropped.items()}), state

    def _note(self, card: Card, step: Step, rung: Rung) -> None:
        self.said[f"Memory was short: {card.name} took {step.width}x{step.height} with {rung}."] = None

    def _too_little(self, card: Card, step: Step, rung: Rung) -> str:
        device = self.device_for(card)
        return sentence(card, step, rung, device, self.room.free(device, alone=True), self.room.budget)

    def _empty_cache(self, card: Card) -> None:
        device = self.device_for(card)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        elif device.type == "mps":
            torch.mps.empty_cache()


class _Question(NamedTuple):
    """What is asked of a model whose network is ready."""

    model: MattingModel
    net: Any
    frames: Tensor
    guides: Guides
    precision: str
    look: Look | None

    def part(self, crop: Callable[[Tensor], Tensor]) -> _Question:
        """The same of a part of every picture."""
        guides = {name: crop(guide) for name, guide in self.guides.items()}
        return self._replace(frames=crop(self.frames), guides=guides)


def _frames(start: int, stop: int, pictures: Tensor) -> Tensor:
    return pictures[start:stop]


def _laid_out(net: Any, device: torch.device) -> Any:
    """The network in the memory layout that is quickest on `device`."""
    if isinstance(net, torch.nn.Module) and device.type == "cuda":
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, TYPES[precision])
