"""Motion between any two frames of a clip in memory, along the flow from frame to frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from matte_core.flow import agreement, chained, ends, inside, motion, sampled
from matte_core.train.procedural.fields import Map


class Ways:
    """Motion between frames, from the optical flow of every pair; `greys` are pictures (H, W) in 0..1."""

    def __init__(self, greys: list[Map]) -> None:
        self._ahead = [motion(one, other) for one, other in pairwise(greys)]
        self._back = [motion(other, one) for one, other in pairwise(greys)]
        pairs = list(zip(self._ahead, self._back, strict=True))
        self._trust = [(agreement(ahead, back), agreement(back, ahead)) for ahead, back in pairs]
        self._size = greys[0].shape

    def between(self, start: int, end: int) -> tuple[Map, Map]:
        """Motion (H, W, 2) from frame `start` to frame `end`, and how far (H, W) it is to be trusted, 0..1."""
        moved, trust = np.zeros((*self._size, 2), np.float32), np.ones(self._size, np.float32)
        ahead = end > start
        for frame in range(start, end) if ahead else range(start - 1, end - 1, -1):
            step = self._ahead[frame] if ahead else self._back[frame]
            trust = trust * sampled(self._trust[frame][0 if ahead else 1], ends(moved)) * inside(moved)
            moved = chained(moved, step)
        return moved, trust
