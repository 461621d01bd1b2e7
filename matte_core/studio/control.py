"""The stop button and the progress bar: between the server, which hears and shows, and the node that runs."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Interrupted(BaseException):
    """The person stopped the prompt. Not an Exception: no node may swallow it."""


class Control:
    """What a running node asks (was it stopped?) and tells (how far it is)."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._shown: Callable[[float, float], None] | None = None
        self.node = ""  # id of the node that runs

    def interrupt(self) -> None:
        """Asks the running prompt to stop."""
        self._stop.set()

    @property
    def interrupted(self) -> bool:
        return self._stop.is_set()

    def clear(self) -> None:
        """Forgets a stop that came before the next prompt."""
        self._stop.clear()

    def check(self) -> None:
        """Raises Interrupted once for every stop."""
        if self._stop.is_set():
            self._stop.clear()
            raise Interrupted

    def shown_by(self, show: Callable[[float, float], None] | None) -> None:
        """Progress is handed to `show` from now on; None: to nobody."""
        self._shown = show

    def progress(self, value: float, total: float) -> None:
        """Shows that `value` of `total` is done. Raises Interrupted after a stop."""
        self.check()
        if self._shown is not None:
            self._shown(value, total)
