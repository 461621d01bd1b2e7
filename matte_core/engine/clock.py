"""Seconds of the engine's stages, for whoever wants to know; otherwise nothing is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

Watch = Callable[[str, float], None]  # a stage, and its seconds


class Clock:
    """Tells `watch` how long each stage took; the device is waited for then, and only then."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch

    @contextmanager
    def stage(self, name: str, device: torch.device) -> Iterator[None]:
        if self._watch is None:
            yield
            return
        _wait(device)
        started = time.perf_counter()
        yield
        _wait(device)
        self._watch(name, time.perf_counter() - started)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
