"""Pictures on their way to a device and back: at once, or in streams of their own beside the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from matte_core.frame import Pixels
from matte_core.models.base import Layers

HALF_MOST = 65504.0


class _Memory:
    """An array's memory, as numpy's own protocol tells it to others."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels  # stays alive
        address, _ = pixels.__array_interface__["data"]
        self.__array_interface__ = {**pixels.__array_interface__, "data": (address, False)}


def over(pixels: Pixels) -> Tensor:
    """A tensor over the memory of `pixels`, which may be read-only: nothing may write to it."""
    return torch.from_numpy(np.asarray(_Memory(pixels)))


class Answer:
    """Layers (T, K, H, W) float32 of the host that are there."""

    ready = True

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def take(self) -> Layers:
        return self._layers


class Later(Answer):
    """Layers that are on their way: `take` blocks the calling thread, and no other, until they have come."""

    ready = False

    def __init__(self, wait: Callable[[], Layers]) -> None:
        self._wait = wait

    def take(self) -> Layers:
        return self._wait()


def joined(answers: Sequence[Answer], join: Callable[[Sequence[Tensor]], Tensor]) -> Answer:
    """One answer of several, whose layers are put together by `join`; on the way while one of them is."""
    if len(answers) == 1:
        return answers[0]

    def layers() -> Layers:
        parts = [answer.take() for answer in answers]
        return {name: join([part[name] for part in parts]) for name in parts[0]}

    return Later(layers) if not all(answer.ready for answer in answers) else Answer(layers())


class Transfer(Protocol):
    """The way between the host's memory and a device's."""

    def up(self, picture: Tensor, half: bool) -> Tensor:
        """`picture` on the device, for the work that is begun next; as half floats on the way where `half`."""
        ...

    def back(self, layers: Layers) -> Answer:
        """The layers on their way to the host."""
        ...


class Direct:
    """Copies that are done when the call returns; on the CPU there is nothing to copy."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def up(self, picture: Tensor, half: bool) -> Tensor:
        return picture.to(self._device)

    def back(self, layers: Layers) -> Answer:
        return Answer({name: layer.cpu() for name, layer in layers.items()})


class Streams(Protocol):
    """What a device with streams offers; torch.cuda's is `CudaStreams`."""

    def new(self) -> Any:
        """A stream beside the one that computes."""
        ...

    def pinned(self, like: Tensor, kind: torch.dtype) -> Tensor:
        """Memory of the host that the device copies from and to by itself, of the size of `like`."""
        ...

    def empty(self, like: Tensor) -> Tensor:
        """Memory of the device."""
        ...

    def copy(self, there: Tensor, here: Tensor, stream: Any) -> None:
        """Begins to copy `here` to `there` when `stream` comes to it; both stay alive until then."""
        ...

    def mark(self, stream: Any | None) -> Any:
        """An event that has come when `stream` (None: the one that computes) has done all it was given so far."""
        ...

    def follow(self, stream: Any | None, event: Any) -> None:
        """What `stream` is given from now on begins after `event`; the caller does not wait."""
        ...

    def wait(self, event: Any) -> None:
        """Blocks the calling thread until `event` has come."""
        ...


class Streamed:
    """Copies through pinned memory, up in one stream and back in another, beside the work.

    The calling thread never waits: what computes waits on the device for what it needs, and whoever takes an answer
    waits for that answer alone.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._up, self._down = streams.new(), streams.new()

    def up(self, picture: Tensor, half: bool) -> Tensor:
        streams = self._streams
        staged = streams.pinned(picture, torch.float16 if half else torch.float32)
        staged.copy_(picture.clamp(-HALF_MOST, HALF_MOST) if half else picture)
        there = streams.empty(staged)
        streams.follow(self._up, streams.mark(None))  # the memory may still be read by work that was begun before
        streams.copy(there, staged, self._up)
        streams.follow(None, streams.mark(self._up))
        return there

    def back(self, layers: Layers) -> Answer:
        streams, here = self._streams, dict[str, Tensor]()
        streams.follow(self._down, streams.mark(None))
        for name, layer in layers.items():
            here[name] = streams.pinned(layer, torch.float32)
            streams.copy(here[name], layer, self._down)
        done = streams.mark(self._down)

        def arrived() -> Layers:
            streams.wait(done)
            return here

        return Later(arrived)


class CudaStreams:
    """Streams of one CUDA device. torch gives pinned and device memory out again only when its copies are done."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def new(self) -> Any:
        return torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def pinned(self, like: Tensor, kind: torch.dtype) -> Tensor:
        return torch.empty(like.shape, dtype=kind, pin_memory=True)

    def empty(self, like: Tensor) -> Tensor:
        return torch.empty(like.shape, dtype=like.dtype, device=self._device)

    def copy(self, there: Tensor, here: Tensor, stream: Any) -> None:
        with torch.cuda.stream(stream):
            there.copy_(here, non_blocking=True)
        for tensor in (there, here):
            if tensor.device.type == "cuda":
                tensor.record_stream(stream)

    def mark(self, stream: Any | None) -> Any:
        return self._stream(stream).record_event()

    def follow(self, stream: Any | None, event: Any) -> None:
        self._stream(stream).wait_event(event)

    def wait(self, event: Any) -> None:
        event.synchronize()

    def _stream(self, stream: Any | None) -> Any:
        return torch.cuda.current_stream(self._device) if stream is None else stream


def transfer_for(device: torch.device) -> Transfer:
    """The quickest way to and from `device`."""
    return Streamed(CudaStreams(device)) if device.type == "cuda" else Direct(device)


def on_device(device: torch.device) -> AbstractContextManager[Any]:
    """While it is open, what does not name a device of CUDA means `device`."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
