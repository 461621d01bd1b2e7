"""Copies beside the work, on a stand-in for a device with streams whose copies are late; and CUDA graphs on another."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from matte_core.engine import engine as engine_module
from matte_core.engine.engine import Engine
from matte_core.engine.graphs import Recorded, with_parts
from matte_core.engine.transfer import Streamed, over
from matte_core.models.base import Card, Guides, Layers

CPU = torch.device("cpu")


class LateStreams:
    """Streams whose copies take a moment, each in a thread; memory holds NaN until they are done.

    The work itself runs at once, in the thread that asks: so `follow(None, event)` blocks, as the device would.
    """

    def __init__(self, delay: float = 0.02) -> None:
        self.delay = delay
        self.waited: list[str] = []
        self.kinds: list[torch.dtype] = []
        self.queues: list[queue.Queue[Callable[[], None] | None]] = []

    def new(self) -> Any:
        work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self.queues.append(work)
        threading.Thread(target=lambda: [task() for task in iter(work.get, None)], daemon=True).start()
        return work

    def close(self) -> None:
        for work in self.queues:
            work.put(None)

    def pinned(self, like: Tensor, kind: torch.dtype) -> Tensor:
        self.kinds.append(kind)
        return torch.full(like.shape, torch.nan, dtype=kind)

    def empty(self, like: Tensor) -> Tensor:
        return torch.full(like.shape, torch.nan, dtype=like.dtype)

    def copy(self, there: Tensor, here: Tensor, stream: Any) -> None:
        def late() -> None:
            time.sleep(self.delay)
            with torch.inference_mode():
                there.copy_(here)

        stream.put(late)

    def mark(self, stream: Any | None) -> Any:
        event = threading.Event()
        event.set() if stream is None else stream.put(event.set)
        return event

    def follow(self, stream: Any | None, event: Any) -> None:
        if stream is None:
            event.wait()
        else:
            stream.put(event.wait)

    def wait(self, event: Any) -> None:
        self.waited.append(threading.current_thread().name)
        event.wait()


class Twice:
    """A model that doubles the red of a picture."""

    card = Card("twice", "Twice", precisions=("fp32", "fp16"))

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        return {"alpha": frames[:, :1] * 2 * guides["trimap"]}, state


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[LateStreams]:
    late = LateStreams()
    monkeypatch.setattr(engine_module, "transfer_for", lambda device: Streamed(late))
    yield late
    late.close()


def pictures(seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    made = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, 20, 30, generator=made), {"trimap": torch.rand(1, 1, 20, 30, generator=made)}


def test_work_waits_for_what_is_copied_up_and_an_answer_for_what_is_copied_back(streams: LateStreams) -> None:
    frames, guides = pictures()
    layers, _ = Engine(CPU, lambda card: None).step(Twice(), frames, guides)
    assert torch.equal(layers["alpha"], frames[:, :1] * 2 * guides["trimap"])


def test_an_answer_is_waited_for_only_by_who_takes_it(streams: LateStreams) -> None:
    engine, asked = Engine(CPU, lambda card: None), [pictures(seed) for seed in range(4)]
    answers = [engine.begin(Twice(), frames, guides)[0] for frames, guides in asked]
    assert streams.waited == [] and not any(answer.ready for answer in answers)
    for answer, (frames, guides) in zip(reversed(answers), reversed(asked), strict=True):
        assert torch.equal(answer.take()["alpha"], frames[:, :1] * 2 * guides["trimap"])


def test_in_half_precision_pictures_cross_as_half_floats_and_lights_beyond_stay_finite(streams: LateStreams) -> None:
    frames, guides = pictures()
    frames[0, 0, 0, 0] = 1e6
    guides["trimap"][:] = 0.25
    answer, _ = Engine(CPU, lambda card: None).begin(
        Twice(), frames, guides, None, "fp16", look=lambda there: there.float()
    )
    alpha = answer.take()["alpha"]
    assert streams.kinds[:2] == [torch.float16] * 2 and streams.kinds[2] == torch.float32
    assert alpha[0, 0, 0, 0] == 65504.0 * 0.5
    assert (alpha.flatten()[1:] - (frames[:, :1] / 2).flatten()[1:]).abs().max() < 2**-10


def test_a_read_only_array_is_seen_without_a_copy() -> None:
    pixels = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    pixels.flags.writeable = False
    seen = over(pixels)
    assert seen.data_ptr() == pixels.ctypes.data and torch.equal(seen, torch.arange(12.0).reshape(3, 2, 2))


class Recorder:
    """A stand-in for CUDA graphs: repeats the work into the place of its first answer."""

    def __init__(self, wrong: float = 0.0, fails: bool = False) -> None:
        self.wrong, self.fails, self.made, self.replays = wrong, fails, 0, 0

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.made += 1
        answer = work().clone()

        def replay() -> None:
            self.replays += 1
            answer.copy_(work() + self.wrong)

        return replay, answer


class Counted(nn.Conv2d):
    calls = 0

    def forward(self, picture: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(picture)


def a_part() -> Counted:
    torch.manual_seed(0)
    return Counted(3, 1, 3, padding=1)


@torch.inference_mode()
def test_a_size_that_comes_again_is_recorded_and_answers_as_before() -> None:
    part, recorder = a_part(), Recorder()
    quick, kept = Recorded(part, recorder), []
    for seed in range(6):
        picture = pictures(seed)[0]
        kept.append((quick(picture), part(picture)))
    assert recorder.made == 1 and recorder.replays == 1 + 3
    assert all(torch.equal(found, wanted) for found, wanted in kept)  # no later replay wrote over an earlier answer


@torch.inference_mode()
def test_sizes_are_recorded_apart() -> None:
    recorder = Recorder()
    quick = Recorded(a_part(), recorder)
    for _ in range(4):
        assert quick(torch.ones(1, 3, 8, 8)).shape == (1, 1, 8, 8)
        assert quick(torch.ones(1, 3, 16, 8)).shape == (1, 1, 16, 8)
    assert recorder.made == 2


@torch.inference_mode()
@pytest.mark.parametrize("recorder", [Recorder(wrong=0.1), Recorder(fails=True)], ids=["wrong", "refused"])
def test_a_record_that_answers_otherwise_or_fails_is_never_used(recorder: Recorder) -> None:
    part = a_part()
    quick = Recorded(part, recorder)
    for seed in range(6):
        picture = pictures(seed)[0]
        assert torch.equal(quick(picture), part(picture))


def test_only_the_parts_that_the_card_names_are_changed() -> None:
    net = nn.Sequential(a_part(), nn.Sequential(nn.ReLU(), nn.Tanh()))
    changed = with_parts(net, Card("net", "Net", fixed=("1.0",)), lambda part: nn.Identity())
    assert [type(part).__name__ for part in changed[1]] == ["Identity", "Tanh"] and type(changed[0]) is Counted
    assert with_parts(net, Card("net", "Net"), lambda part: nn.Identity()) is net
