"""Light on a scale that networks can take in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BRIGHTEST = 16.0


def compress(pixels: Tensor) -> Tensor:
    """Values 0..16 on a scale of even steps per stop in the lights, 1 staying 1: what a network can take in."""
    return torch.log1p(8 * pixels) / math.log(9)
