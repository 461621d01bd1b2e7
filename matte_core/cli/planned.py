"""What a command that makes frames will do, before it does any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from matte_core.frame import FrameRange
from matte_core.shot import Shot


@dataclass(frozen=True)
class Planned:
    """Receipts to be pulled, the frames wanted of them (None: all), where, and sentences for the person."""

    receipts: Sequence[Shot]
    wanted: FrameRange | None
    device: torch.device
    overwrite: bool
    notes: Sequence[str]

    @property
    def frames(self) -> FrameRange:
        """Every frame that will be written."""
        every = {number for receipt in self.receipts for number in receipt.frames}
        return FrameRange(number for number in every if self.wanted is None or number in self.wanted)
