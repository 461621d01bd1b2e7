"""What previews remember, so that looking twice costs once: bounded, the least recently used is dropped."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from matte_core.engine.engine import Engine
from matte_core.engine.host import Host
from matte_core.engine.networks import Networks
from matte_core.models.base import Card, Guides, Layers, MattingModel

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Values by key, within `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: str, value: Value, size: int) -> None:
        """Keeps `value`, which takes `size` bytes; one value is kept even if it alone is larger than the limit."""
        with self._lock:
            self._held += size - self._values.pop(key, (value, 0))[1]
            self._values[key] = (value, size)
            while self._held > self._limit and len(self._values) > 1:
                self._held -= self._values.popitem(last=False)[1][1]


class RememberingEngine(Engine):
    """An engine that runs a model once for the same pictures: what comes after the alpha can be tuned freely.

    Steps that take or carry a state are not remembered.
    """

    def __init__(
        self,
        device: torch.device,
        find_weights: Callable[[Card], Path | None],
        host: Host,
        memory: Memory[Layers],
        networks: Networks | None = None,
    ) -> None:
        super().__init__(device, find_weights, host, networks)
        self._memory = memory

    def step(
        self, model: MattingModel, frames: Tensor, guides: Guides, state: Any = None, precision: str = "fp32"
    ) -> tuple[Layers, Any]:
        """As `Engine.step`."""
        if state is not None or model.card.carries:
            return super().step(model, frames, guides, state, precision)
        key = self._key(model.card, frames, guides, precision)
        known = self._memory.get(key)
        if known is None:
            known, _ = super().step(model, frames, guides, None, precision)
            self._memory.put(key, _copied(known), sum(layer.nbytes for layer in known.values()))
        return _copied(known), None

    def _key(self, card: Card, frames: Tensor, guides: Guides, precision: str) -> str:
        weights = card.weights.sha256 if card.weights else ""
        digest = hashlib.sha256(
            repr((card.name, card.version, weights, precision, str(self.device_for(card)))).encode()
        )
        for name, picture in [("frames", frames), *sorted(guides.items())]:
            digest.update(f"{name} {tuple(picture.shape)}".encode())
            digest.update(np.ascontiguousarray(picture.cpu().numpy()).data)
        return digest.hexdigest()


def _copied(layers: Mapping[str, Tensor]) -> Layers:
    return {name: layer.clone() for name, layer in layers.items()}
