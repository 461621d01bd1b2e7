"""The least time a frame could take here: its operations and bytes over what this machine was measured to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from matte_core.engine.engine import TYPES
from matte_core.models.base import Guides, Layers, MattingModel

_TRIES = 3
_SIDE, _WIDTH = 256, 64  # pixels and channels of the convolution that is timed
_BLOCK = 64_000_000  # floats that are copied: more than any cache holds


@dataclass(frozen=True)
class Rates:
    """What was measured: operations per second of a large convolution, bytes per second of a large copy."""

    operations: float
    bytes: float


@dataclass(frozen=True)
class Work:
    """Operations of convolutions and matrix products, and bytes that all operations of a step wrote and read.

    `known` is False for solvers: what they do outside torch, or with sparse matrices, is not counted.
    """

    operations: float
    bytes: float
    known: bool

    def least(self, rates: Rates) -> float:
        """Seconds: what the operations take, or the bytes, whichever is longer."""
        return max(self.operations / rates.operations, self.bytes / rates.bytes)


def calibrate(device: torch.device, precision: str) -> Rates:
    """Rates of `device` in `precision`, the best of three tries."""
    kind = TYPES[precision]
    picture = torch.rand(1, _WIDTH, _SIDE, _SIDE, device=device).to(kind, memory_format=torch.channels_last)
    weight = torch.rand(_WIDTH, _WIDTH, 3, 3, device=device).to(kind, memory_format=torch.channels_last)
    block = torch.ones(_BLOCK if device.type == "cuda" else _BLOCK // 4, device=device)
    target = torch.empty_like(block)
    with torch.inference_mode():
        convolution = _best(lambda: functional.conv2d(picture, weight, padding=1), device)
        copy = _best(lambda: target.copy_(block), device)
    return Rates(2 * 9 * _WIDTH**2 * _SIDE**2 / convolution, 2 * block.nbytes / copy)


def _best(work: Callable[[], Any], device: torch.device) -> float:
    work()
    taken = []
    for _ in range(_TRIES):
        _wait(device)
        started = time.perf_counter()
        work()
        _wait(device)
        taken.append(time.perf_counter() - started)
    return min(taken)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Counting:
    """A model whose steps are counted as they are taken."""

    def __init__(self, model: MattingModel) -> None:
        self._model = model
        self.card = model.card
        self.operations = self.bytes = 0.0
        self.sparse = False

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return self._model.load(weights, device)

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        counter, moved = FlopCounterMode(display=False), _Bytes()
        # Inference mode hides the pieces that composite operations are made of.
        with torch.inference_mode(False), torch.no_grad():
            plates, plain = frames.clone(), {name: guide.clone() for name, guide in guides.items()}
            with counter, moved:
                answer = self._model.step(net, plates, plain, state)
        self.operations += counter.get_total_flops()
        self.bytes += moved.total
        self.sparse = self.sparse or moved.sparse
        return answer

    def work(self) -> Work:
        return Work(self.operations, self.bytes, not self.card.on_cpu_only and not self.sparse)


class _Bytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every tensor that an operation makes: each is written once and read once, at least."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total, self.sparse = 0, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.sparse = self.sparse or any(isinstance(each, Tensor) and each.layout != torch.strided for each in args)
        if not func.is_view:
            for each in made if isinstance(made, (tuple, list)) else (made,):
                if isinstance(each, Tensor) and each.layout == torch.strided:
                    self.total += 2 * each.nbytes
        return made
