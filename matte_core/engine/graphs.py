"""Parts of a network that always do the same: compiled where a person asks for it, recorded as CUDA graphs.

A graph is used only after its first answer has been found equal to the network's own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from matte_core.models.base import Card

Quicken = Callable[[Any, Card, torch.device], Any]  # a network as it was loaded; the network as it will run

_PLAIN_FIRST = 2  # calls of one size before it is recorded: libraries choose their algorithms in these
_MOST_SIZES = 4  # sizes of picture that are recorded; each holds memory of its own
_SAME = 1e-3  # the most a replay may differ from the network, relative to the largest value
_LOG = logging.getLogger(__name__)
_COMPILING: ContextVar[bool] = ContextVar("whether networks are compiled", default=False)


class Recorder(Protocol):
    """What records the work of a device and does it again; torch.cuda's is `CudaRecorder`."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """What repeats `work`, and where its answer lies each time."""
        ...


class CudaRecorder:
    """CUDA graphs, recorded while other threads go on with theirs."""

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        graph = torch.cuda.CUDAGraph()
        recording: AbstractContextManager[Any] = torch.cuda.graph(graph, capture_error_mode="thread_local")
        with recording:
            answer = work()
        return graph.replay, answer


class Recorded(nn.Module):
    """A part of a network, tensors in and one tensor out, whose work is recorded once for each size of picture."""

    def __init__(self, part: nn.Module, recorder: Recorder) -> None:
        super().__init__()
        self.part = part
        self._recorder = recorder
        self._calls: dict[Any, int] = {}
        self._records: dict[Any, tuple[list[Tensor], Callable[[], None], Tensor]] = {}
        self._refused = False

    def forward(self, *given: Tensor) -> Tensor:
        kind = (torch.is_autocast_enabled(), torch.get_autocast_dtype("cuda"))
        key = (kind, *((tuple(tensor.shape), tensor.dtype, tensor.stride()) for tensor in given))
        if key in self._records:
            places, replay, answer = self._records[key]
            for place, tensor in zip(places, given, strict=True):
                place.copy_(tensor)
            replay()
            return answer.clone()  # the next replay writes to the same place
        own: Tensor = self.part(*given)
        self._calls[key] = self._calls.get(key, 0) + 1
        if not self._refused and self._calls[key] > _PLAIN_FIRST and len(self._records) < _MOST_SIZES:
            self._record(key, given, own)
        return own

    def _record(self, key: Any, given: tuple[Tensor, ...], own: Tensor) -> None:
        """Record the part for pictures of this size, unless it cannot be recorded or then answers otherwise."""
        places = [tensor.clone() for tensor in given]
        try:
            replay, answer = self._recorder.record(lambda: self.part(*places))
            replay()
            apart = float((answer.float() - own.float()).abs().max() / own.float().abs().max().clamp_min(1e-6))
        except RuntimeError as error:
            self._refused = True
            _LOG.info("no CUDA graph: %s", error)
            return
        if apart <= _SAME:
            self._records[key] = (places, replay, answer)
        else:
            self._refused = True
            _LOG.warning("a CUDA graph answers otherwise than its network, by %g: it is not used", apart)


def recorded(net: Any, card: Card, device: torch.device) -> Any:
    """`net`, its fixed parts recorded as CUDA graphs where it runs on CUDA."""
    if device.type != "cuda":
        return net
    return with_parts(net, card, lambda part: Recorded(part, CudaRecorder()))


@contextmanager
def compiling() -> Iterator[None]:
    """While it is open, what is described is meant for compiled networks: their last bits differ, and stamps say so."""
    before = _COMPILING.set(True)
    try:
        yield
    finally:
        _COMPILING.reset(before)


def is_compiled(card: Card) -> bool:
    """Whether what is described now is meant for a network of this card that is compiled."""
    return bool(card.fixed) and _COMPILING.get()


def compiled(net: Any, card: Card, device: torch.device) -> Any:
    """`net`, its fixed parts compiled by torch: the first frame of each size waits for that, the rest is quicker."""
    return with_parts(net, card, lambda part: _compile(part, device))


def _compile(part: nn.Module, device: torch.device) -> nn.Module:
    mode = "reduce-overhead" if device.type == "cuda" else "default"  # the former records graphs as well
    made: nn.Module = torch.compile(part, mode=mode, dynamic=False)  # type: ignore[assignment]
    return made


def with_parts(net: Any, card: Card, change: Callable[[nn.Module], nn.Module]) -> Any:
    """`net` with `change` made to its parts that the card names as fixed."""
    if not isinstance(net, nn.Module):
        return net
    for name in card.fixed:
        if name == "":
            return change(net)
        net.set_submodule(name, change(net.get_submodule(name)))
    return net
