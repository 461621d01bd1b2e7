"""What the engine asks of the program it runs in: to be stopped, and to make room on the device."""

from __future__ import annotations

from typing import Protocol

import torch


class Host(Protocol):
    """The program around the engine: the command, ComfyUI, a farm worker."""

    def check(self) -> None:
        """Raises Cancelled (or the host's own interrupt) when the person asked to stop."""

    def reserve(self, count: int, device: torch.device) -> None:
        """Makes `count` bytes free on `device` if it can, by letting go of what others hold there."""


class LocalHost:
    """A program that shares its device with nobody and is never stopped from outside."""

    def check(self) -> None:
        return None

    def reserve(self, count: int, device: torch.device) -> None:
        return None
