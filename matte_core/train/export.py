"""Weights for a card: a run's averaged network as half-precision safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from matte_core.errors import ModelError
from matte_core.models.weights import sha256


def export_weights(trained: Path, target: Path, before: Path | None = None) -> str:
    """Write the tensors of `trained` (a run's net.pt) to `target`, halves for floats; returns its sha256.

    With `before`, the net.pt that the run started from, the mean of both: between two stages of one training it is
    often better than either. Raises ModelError where a value does not fit into half precision.
    """
    tensors = torch.load(trained, map_location="cpu", weights_only=True)
    if before is not None:
        others = torch.load(before, map_location="cpu", weights_only=True)
        tensors = {name: (t + others[name]) / 2 if t.is_floating_point() else t for name, t in tensors.items()}
    halves = {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in tensors.items()}
    broken = [name for name, tensor in halves.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ModelError(f"{trained} has values in {broken[0]} that half precision cannot hold. Train with more decay.")
    save_file(halves, target)
    return sha256(target)
