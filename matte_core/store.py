"""Frames that wait for their consumers: each is let go after the last one, and their bytes are counted."""

from __future__ import annotations

from collections.abc import Mapping

from matte_core.aside import Waiting
from matte_core.frame import Frame
from matte_core.plan import Key


class Store:
    """Frames by shot and number; `uses` tells how many consumers each has. Whoever asks holds the run's lock."""

    def __init__(self, uses: Mapping[Key, int]) -> None:
        self.bytes = self.most_bytes = 0
        self._uses = dict(uses)
        self._frames: dict[Key, Frame | Waiting] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, key: Key) -> Frame | Waiting:
        return self._frames[key]

    def get(self, key: Key) -> Frame | Waiting | None:
        """The frame, None where it failed or nobody wants it."""
        return self._frames.get(key)

    def wanted(self, key: Key) -> bool:
        """Whether a consumer of the frame is left."""
        return self._uses.get(key, 0) > 0

    def keep(self, key: Key, frame: Frame | Waiting) -> None:
        """Hold `frame` for its consumers, if there are any."""
        if self.wanted(key):
            self._frames[key] = frame
            self.bytes += frame.nbytes
            self.most_bytes = max(self.most_bytes, self.bytes)

    def release(self, key: Key) -> None:
        """One consumer of the frame is done; after the last one it goes."""
        self._uses[key] -= 1
        if self._uses[key] == 0:
            frame = self._frames.pop(key, None)
            self.bytes -= frame.nbytes if frame is not None else 0

    def clear(self) -> None:
        """Let go of every frame."""
        self._frames.clear()
