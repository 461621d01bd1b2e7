"""Steps side by side, as many as the memory holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """Steps that threads take at once: one that does not fit beside those under way waits until they are done."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: list[int] = []  # bytes that each step may take

    @contextmanager
    def turn(self, need: int, free: Callable[[], int | None]) -> Iterator[None]:
        """While it is open, a step that takes `need` bytes is under way; alone it never waits.

        What steps under way have taken already counts as taken and as still to be taken: rather too much than too
        little. `free` tells the bytes there are, None where nobody knows.
        """
        with self._changed:
            while self._under_way and not self._fits(need, free()):
                self._changed.wait()
            self._under_way.append(need)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.remove(need)
                self._changed.notify_all()

    def _fits(self, need: int, free: int | None) -> bool:
        return free is None or need + sum(self._under_way) <= free
