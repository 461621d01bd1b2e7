"""Weights for a card: a run's averaged network as half-precision safetensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from matte_core.errors import ModelError
from matte_core.models.weights import sha256
from matte_core.train.checkpoint import mean_tensors


def export_weights(trained: Path, target: Path, others: Sequence[Path] = ()) -> str:
    """Write the tensors of `trained` (a run's net.pt) to `target`, halves for floats; returns its sha256.

    With `others`, runs that started from the same weights, or what `trained` itself started from, the mean of all: it
    is often better than each. Raises ModelError where a value does not fit into half precision, SourceError where a
    file cannot be read or is of another network.
    """
    tensors = mean_tensors([trained, *others], torch.device("cpu"))
    halves = {name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in tensors.items()}
    broken = [name for name, tensor in halves.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ModelError(f"{trained} has values in {broken[0]} that half precision cannot hold. Train with more decay.")
    save_file(halves, target)
    return sha256(target)
