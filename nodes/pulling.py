"""Pulls shots inside ComfyUI: its memory, its progress bar, its stop button; and a cache for previews."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import cast

import torch

from matte_core.engine.engine import Engine
from matte_core.errors import Cancelled
from matte_core.frame import Frame
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.shot import Shot

from . import host

CACHE_BYTES = 256_000_000


def pull(pulls: Sequence[tuple[Shot, Sequence[int]]], keep_going: bool = False) -> Iterator[Frame]:
    """Frames of the shots, in order, each computed once; progress is shown on the running node.

    With `keep_going`, a frame whose source cannot be read costs its own outputs only and its error comes at the
    end. Raises FrameError, which names verb and frame, or ComfyUI's own interrupt. Networks live in an engine of
    this pull and are let go of at its end, so that ComfyUI's count of its memory stays right.
    """
    watcher = host.ComfyHost()
    plan = Plan(pulls)
    run = Run(
        plan,
        tools=Engine(host.device(), host.find_weights, watcher),
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
    """Frames by stamp, the least recently used dropped beyond `limit` bytes.

    A stamp changes with the source files and the settings, so a kept frame is right in any later prompt.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit, self._held = limit, 0
        self._frames: OrderedDict[str, Frame] = OrderedDict()
        self._lock = threading.Lock()

    def pulled(self, shot: Shot, numbers: Sequence[int], keep: Callable[[Frame], Frame]) -> list[Frame]:
        """`keep` of the frames of `shot`; only those that are not held already are pulled."""
        memo: dict[tuple[int, int], str] = {}
        stamps = {number: shot.stamp(number, memo) for number in numbers}
        made = {number: self._get(stamps[number]) for number in numbers}
        missing = [number for number in numbers if made[number] is None]
        if missing:
            for frame in pull([(shot, missing)]):
                made[frame.number] = kept = keep(frame)
                self._put(stamps[frame.number], kept)
        return [frame for frame in made.values() if frame is not None]

    def _get(self, stamp: str) -> Frame | None:
        with self._lock:
            if stamp in self._frames:
                self._frames.move_to_end(stamp)
            return self._frames.get(stamp)

    def _put(self, stamp: str, frame: Frame) -> None:
        with self._lock:
            self._held += frame.nbytes - (self._frames[stamp].nbytes if stamp in self._frames else 0)
            self._frames[stamp] = frame
            while self._held > self._limit and len(self._frames) > 1:
                self._held -= self._frames.popitem(last=False)[1].nbytes
