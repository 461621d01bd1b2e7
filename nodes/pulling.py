"""Pulls shots inside ComfyUI: its memory, its progress bar, its stop button; and a cache for previews."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import cast

import torch

from matte_core.engine.engine import Engine
from matte_core.errors import Cancelled
from matte_core.frame import Frame
from matte_core.models.base import Layers
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.shot import Shot

from . import host
from .remember import Memory, RememberingEngine

CACHE_BYTES = 256_000_000


def pull(
    pulls: Sequence[tuple[Shot, Sequence[int]]], keep_going: bool = False, answers: Memory[Layers] | None = None
) -> Iterator[Frame]:
    """Frames of the shots, in order, each computed once; progress is shown on the running node.

    With `keep_going`, a frame whose source cannot be read costs its own outputs only and its error comes at the
    end. Raises FrameError, which names verb and frame, or ComfyUI's own interrupt. Networks live in an engine of
    this pull and are let go of at its end, so that ComfyUI's count of its memory stays right; `answers` remembers
    what they said.
    """
    watcher = host.ComfyHost()
    plan = Plan(pulls)
    if answers is None:
        engine = Engine(host.device(), host.find_weights, watcher)
    else:
        engine = RememberingEngine(host.device(), host.find_weights, watcher, answers)
    run = Run(
        plan,
        tools=engine,
        check=watcher.check,
        inside=torch.inference_mode,
        keep_going=keep_going,
    )
    show = host.progress(len(plan.pulls))
    try:
        with closing(cast(Generator[Frame], iter(run))) as frames:
            for done, frame in enumerate(frames, 1):
                yield frame
                show(done)
    except Cancelled:
        host.stop()
    finally:
        host.release()
    if run.failures:
        raise run.failures[0]


class FrameCache:
    """Frames by stamp, and the models' answers behind them.

    A stamp changes with the source files and the settings, so a kept frame is right in any later prompt.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._frames: Memory[Frame] = Memory(limit)
        self._answers: Memory[Layers] = Memory(limit)

    def pulled(self, shot: Shot, numbers: Sequence[int], keep: Callable[[Frame], Frame]) -> list[Frame]:
        """`keep` of the frames of `shot`; only those that are not held already are pulled."""
        memo: dict[tuple[int, int], str] = {}
        stamps = {number: shot.stamp(number, memo) for number in numbers}
        made = {number: self._frames.get(stamps[number]) for number in numbers}
        missing = [number for number in numbers if made[number] is None]
        if missing:
            for frame in pull([(shot, missing)], answers=self._answers):
                made[frame.number] = kept = keep(frame)
                self._frames.put(stamps[frame.number], kept, kept.nbytes)
        return [frame for frame in made.values() if frame is not None]
