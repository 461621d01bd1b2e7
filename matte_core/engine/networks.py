"""Loaded networks, kept from run to run so that none is read from disk twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Networks:
    """Networks by key within `budget` bytes; the least recently used are let go, one is kept whatever its size."""

    def __init__(self, budget: int = 4_000_000_000) -> None:
        self._budget = budget
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, size: int, load: Callable[[], Any]) -> Any:
        """What `load` gave for this key, loaded where it is not held; `size` is what it takes in bytes."""
        with self._lock:
            if key not in self._held:
                self._held[key] = (load(), size)
            self._held.move_to_end(key)
            while len(self._held) > 1 and sum(size for _, size in self._held.values()) > self._budget:
                self._held.popitem(last=False)
            return self._held[key][0]
