"""The engine: a device, a precision, the networks that live there, and what to do when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from matte_core.engine.host import Host, LocalHost
from matte_core.engine.networks import Networks
from matte_core.errors import ModelError, UsageError
from matte_core.models.base import Card, Guides, Layers, MattingModel
from matte_core.models.layers.tiles import Tile, cut, join

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SMALLEST_TILE = 256
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

    When memory runs out it takes a smaller batch, then tiles if the card allows, then says what it needs.
    `find_weights` gives the weights file of a card; `networks` keeps what was loaded, for later engines too.
    """

    def __init__(
        self,
        device: torch.device,
        find_weights: Callable[[Card], Any],
        host: Host | None = None,
        networks: Networks | None = None,
    ) -> None:
        self.device = device
        self.host: Host = host or LocalHost()
        self._find_weights = find_weights
        self._networks = networks if networks is not None else Networks()

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
        return self.host.hold(lambda where: _laid_out(model.load(weights, where), device), device)

    def device_for(self, card: Card) -> torch.device:
        """Where the model runs: the engine's device, or the CPU for solvers that know no other."""
        return torch.device("cpu") if card.on_cpu_only else self.device

    def step(
        self, model: MattingModel, frames: Tensor, guides: Guides, state: Any = None, precision: str = "fp32"
    ) -> tuple[Layers, Any]:
        """Layers (T, K, H, W) float32 on the CPU for `frames` (T, 3, H, W), and the model's new state.

        Frames and guides may be on the CPU; they are padded to the card's multiple and moved. Raises
        ModelError with what to change when even the smallest step does not fit into memory.
        """
        card = model.card
        device = self.device_for(card)
        height, width = within(card, frames.shape[-2], frames.shape[-1])
        net = self.network(model, card.memory * frames.shape[0] * height * width)
        try:
            return self._whole(model, net, frames, guides, state, precision)
        except (torch.OutOfMemoryError, MemoryError):
            pass  # the failed step's tensors must be free before the next try, so it happens outside
        self._empty_cache(device)
        if frames.shape[0] > 1 and card.batch > 1 and not (card.clip or card.carries or card.before or card.after):
            half = frames.shape[0] // 2
            first, _ = self.step(model, frames[:half], _slice(guides, 0, half), None, precision)
            second, _ = self.step(model, frames[half:], _slice(guides, half, None), None, precision)
            return {name: torch.cat([first[name], second[name]]) for name in first}, None
        return self._tiled(model, net, frames, guides, state, precision), None

    def _whole(
        self, model: MattingModel, net: Any, frames: Tensor, guides: Guides, state: Any, precision: str
    ) -> tuple[Layers, Any]:
        card, device = model.card, self.device_for(model.card)
        size, smaller = (frames.shape[-2], frames.shape[-1]), within(card, frames.shape[-2], frames.shape[-1])
        ready = pad(resized(frames.to(device), smaller), card.multiple)
        given = {name: pad(resized(guide.to(device), smaller), card.multiple) for name, guide in guides.items()}
        with torch.inference_mode(), _autocast(device, precision):
            layers, state = model.step(net, ready, given, state)
        cropped = {name: layer[..., : smaller[0], : smaller[1]].float() for name, layer in layers.items()}
        return {name: resized(layer, size).cpu() for name, layer in cropped.items()}, state

    def _tiled(
        self, model: MattingModel, net: Any, frames: Tensor, guides: Guides, state: Any, precision: str
    ) -> Layers:
        card = model.card
        height, width = frames.shape[-2:]
        if card.overlap is None or state is not None:
            raise ModelError(self._too_small(card, height, width))
        side = max(height, width) // 2
        while side >= max(SMALLEST_TILE, 2 * card.overlap):
            tiles = cut(height, width, side, card.overlap)
            try:
                parts = [(tile, self._tile(model, net, tile, frames, guides, precision)) for tile in tiles]
            except (torch.OutOfMemoryError, MemoryError):
                side //= 2
                continue
            names = parts[0][1].keys()
            return {n: join(height, width, card.overlap, iter([(t, p[n]) for t, p in parts])) for n in names}
        raise ModelError(self._too_small(card, height, width))

    def _tile(
        self, model: MattingModel, net: Any, tile: Tile, frames: Tensor, guides: Guides, precision: str
    ) -> Layers:
        given = {name: tile.crop(guide) for name, guide in guides.items()}
        return self._whole(model, net, tile.crop(frames), given, None, precision)[0]

    def _too_small(self, card: Card, height: int, width: int) -> str:
        need = card.memory * height * width / 1e9
        device = self.device_for(card)
        free = f", {torch.cuda.mem_get_info(device)[0] / 1e9:.1f} GB are free" if device.type == "cuda" else ""
        return (
            f"{card.name} needs about {need:.1f} GB for a frame of {width}x{height} on {device}{free}. "
            "Close other programs, use --device cpu, or choose a smaller model."
        )

    @staticmethod
    def _empty_cache(device: torch.device) -> None:
        if device.type == "cuda":
            torch.cuda.empty_cache()


def pad(picture: Tensor, multiple: int) -> Tensor:
    """`picture` (T, C, H, W) with right and bottom repeated up to a multiple of `multiple` pixels."""
    height, width = picture.shape[-2:]
    below, right = -height % multiple, -width % multiple
    return functional.pad(picture, (0, right, 0, below), mode="replicate") if below or right else picture


def _laid_out(net: Any, device: torch.device) -> Any:
    """The network in the memory layout that is quickest on `device`."""
    if isinstance(net, torch.nn.Module) and device.type == "cuda":
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def within(card: Card, height: int, width: int) -> tuple[int, int]:
    """Height and width at which the model works: no side longer than the card's limit."""
    longest = max(height, width)
    if not 0 < card.side_limit < longest:
        return height, width
    scale = card.side_limit / longest
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """`picture` (T, C, H, W) at another size: interpolated when larger, averaged when smaller."""
    if (picture.shape[-2], picture.shape[-1]) == size:
        return picture
    return functional.interpolate(picture, size=size, mode="bilinear", align_corners=False, antialias=True)


def _slice(guides: Guides, start: int, stop: int | None) -> Guides:
    return {name: guide[start:stop] for name, guide in guides.items()}


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, TYPES[precision])
