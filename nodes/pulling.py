"""Pulls shots inside ComfyUI: its memory, its progress bar, its stop button; and a cache for previews."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

import torch

from matte_core.engine.engine import Engine
from matte_core.engine.networks import Networks
from matte_core.errors import Cancelled
from matte_core.frame import Frame
from matte_core.io.kept import KeptFrames
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.shot import Shot

from . import host
from .remember import Memory

CACHE_BYTES = 256_000_000
Pulls = Sequence[tuple[Shot, Sequence[int]]]
KEPT = Path("matte") / "answers"  # in ComfyUI's temp folder, which it empties when it starts

_NETWORKS = Networks()


def pull(
    pulls: Pulls,
    keep_going: bool = False,
    watcher: host.ComfyHost | None = None,
) -> Generator[Frame]:
    """Frames of the shots, in order, each computed once; progress is shown on the running node.

    With `keep_going`, a frame whose source cannot be read costs its own outputs only and its error comes at the
    end. Raises FrameError, which names verb and frame, or ComfyUI's own interrupt. Networks are ComfyUI's models and
    stay loaded until it needs their room, and what they made is kept in the temp folder: neither another codec nor a
    second look runs them again. `watcher` is the host that is asked and told; by default ComfyUI while it runs a
    prompt.
    """
    watcher = watcher or host.ComfyHost()
    plan = Plan(pulls, KeptFrames(host.folder("temp") / KEPT))
    run = Run(
        plan,
        tools=Engine(host.device(), host.find_weights, watcher, _NETWORKS),
        check=watcher.check,
        inside=torch.inference_mode,
        keep_going=keep_going,
    )
    on_device = any(unit.shot.declaration.lane == "device" and not unit.kept for unit in plan.units)
    try:
        with watcher.turn(on_device), closing(cast(Generator[Frame], iter(run))) as frames:
            show = watcher.progress(len(plan.pulls))
            for done, frame in enumerate(frames, 1):
                yield frame
                show(done)
    except Cancelled:
        watcher.stop()
    finally:
        watcher.release()
    if run.failures:
        raise run.failures[0]


class FrameCache:
    """Frames by stamp, in memory.

    A stamp changes with the source files and the settings, so a kept frame is right in any later prompt.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._frames: Memory[Frame] = Memory(limit)

    def pulled(
        self, pulls: Pulls, keep: Callable[[Frame], Frame], watcher: host.ComfyHost | None = None
    ) -> list[dict[int, Frame]]:
        """Per shot, `keep` of its frames by number; those that are not held already are pulled, all in one run."""
        memo: dict[tuple[int, int], str] = {}
        stamps = [{number: shot.stamp(number, memo) for number in numbers} for shot, numbers in pulls]
        made = [self._held(known) for known in stamps]
        missing = [
            (shot, [n for n in numbers if n not in there]) for (shot, numbers), there in zip(pulls, made, strict=True)
        ]
        order = sorted((number, place) for place, (_, numbers) in enumerate(missing) for number in numbers)
        if order:
            with closing(pull(missing, watcher=watcher)) as frames:
                for (number, place), frame in zip(order, frames, strict=True):
                    made[place][number] = kept = keep(frame)
                    self.put(stamps[place][number], kept)
        return made

    def get(self, stamp: str) -> Frame | None:
        """The frame that is held under a stamp."""
        return self._frames.get(stamp)

    def put(self, stamp: str, frame: Frame) -> None:
        self._frames.put(stamp, frame, frame.nbytes)

    def _held(self, stamps: dict[int, str]) -> dict[int, Frame]:
        found = {number: self._frames.get(stamp) for number, stamp in stamps.items()}
        return {number: frame for number, frame in found.items() if frame is not None}
