"""What the engine asks of the program it runs in: to be stopped, and to make room on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch


class Host(Protocol):
    """The program around the engine: the command, ComfyUI, a farm worker."""

    def check(self) -> None:
        """Raises Cancelled (or the host's own interrupt) when the person asked to stop."""

    def hold(self, load: Callable[[torch.device], Any], device: torch.device) -> Any:
        """What the host keeps of a network for `device`; `load` loads it on the device where it may wait."""
        ...

    def ready(self, held: Any, device: torch.device, count: int) -> Any:
        """The network that is held, or a solver, on `device`, with `count` bytes free beside it if that can be.

        The host lets go of what others hold there; later it may move this network away for them.
        """
        ...


class LocalHost:
    """A program that shares its device with nobody and is never stopped from outside."""

    def check(self) -> None:
        return None

    def hold(self, load: Callable[[torch.device], Any], device: torch.device) -> Any:
        return load(device)

    def ready(self, held: Any, device: torch.device, count: int) -> Any:
        return held
