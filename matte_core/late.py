"""Libraries that are imported at their first use, so that ComfyUI's start does not wait for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Late:
    def __init__(self, library: str) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._library), name)


def late(library: str) -> Any:
    """The library as `import` would give it; it is loaded when one of its names is first asked for."""
    return _Late(library)
