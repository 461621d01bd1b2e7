"""When memory is short: every rung of the ladder by injected failures, and a budget that is kept by estimate."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from matte_core.engine import room
from matte_core.engine.engine import Engine
from matte_core.engine.ladder import HANDED, Rung, Step, need, rungs
from matte_core.engine.room import Room, parse_bytes
from matte_core.errors import ModelError, ShortOfRoom, UsageError, out_of_memory
from matte_core.models.base import Card, Guides, Layers

CPU = torch.device("cpu")
FULL = Card("net", "Net", batch=4, overlap=16, precisions=("fp32", "bf16"), memory=100)
WAYS = (
    "4 frames at once, fp32",
    "2 frames at once, fp32",
    "1 frame at once, fp32",
    "1 frame at once, tiles of 600 pixels, fp32",
    "1 frame at once, tiles of 300 pixels, fp32",
    "1 frame at once, tiles of 300 pixels, bf16",
)


class Net:
    """Answers with a blur of a few pixels; fails as long as it is asked `fails` to, and notes what it was asked."""

    def __init__(self, card: Card, fails: Callable[[int, int], Exception | None] = lambda size, kind: None) -> None:
        self.card, self.fails = card, fails
        self.asked: list[tuple[int, ...]] = []

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.asked.append(tuple(frames.shape))
        bytes_of_value = 2 if torch.is_autocast_enabled("cpu") else 4
        failure = self.fails(frames[:, 0].numel(), bytes_of_value)
        if failure is not None:
            raise failure
        mean = torch.nn.functional.avg_pool2d(frames.float().mean(1, keepdim=True), 5, 1, 2, count_include_pad=False)
        return {"alpha": mean}, (0 if state is None else state) + 1 if self.card.carries else None


def refuses_above(most: int, error: Callable[[], Exception] = MemoryError) -> Callable[[int, int], Exception | None]:
    """Fails where pixels times bytes of a value are above `most`."""
    return lambda size, kind: error() if size * kind > most else None


def pictures(count: int = 4, height: int = 60, width: int = 1200) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3))


def an_engine(**settings: Any) -> Engine:
    return Engine(CPU, lambda card: None, **settings)


def test_the_ladder_goes_from_batches_over_tiles_to_half_precision() -> None:
    step = Step(4, 60, 1200, 0)
    ways = list(rungs(FULL, step, "fp32", half=True))
    assert tuple(map(str, ways)) == WAYS
    needs = [need(FULL, step, way) for way in ways]
    assert needs == sorted(needs, reverse=True) and len(set(needs)) == len(needs)


@pytest.mark.parametrize(
    ("card", "missing"),
    [
        (replace(FULL, overlap=None), "tiles"),
        (replace(FULL, side_limit=512), "tiles"),
        (replace(FULL, precisions=("fp32",)), "bf16"),
        (replace(FULL, clip=4), "2 frames"),
        (replace(FULL, before=1, after=1), "2 frames"),
    ],
)
def test_what_the_card_does_not_allow_is_no_rung(card: Card, missing: str) -> None:
    assert not any(missing in str(way) for way in rungs(card, Step(4, 60, 1200, 0), "fp32", half=True))


def test_half_precision_is_taken_only_where_it_may_be() -> None:
    assert not any("bf16" in str(way) for way in rungs(FULL, Step(4, 60, 1200, 0), "fp32", half=False))


@pytest.mark.parametrize("place", range(len(WAYS)))
def test_every_rung_is_reached_when_those_above_run_out_of_memory(place: int) -> None:
    step, frames = Step(4, 60, 1200, 0), pictures()
    way = list(rungs(FULL, step, "fp32", half=True))[place]
    pixels = way.batch * (60 * way.tile if way.tile else 60 * 1200)
    net = Net(FULL, refuses_above(pixels * (4 if way.precision == "fp32" else 2)))
    engine = an_engine()
    answer, _ = engine.begin(net, frames, {}, half=True)
    whole, _ = an_engine().step(Net(FULL), frames, {})
    assert (answer.take()["alpha"] - whole["alpha"]).abs().max() < 2 / 255
    assert list(engine.said) == ([f"Memory was short: net took 1200x60 with {way}."] if place else [])


def test_what_was_enough_is_kept_for_the_rest_of_the_shot() -> None:
    net, engine = Net(FULL, refuses_above(60 * 1200 * 4)), an_engine()
    engine.step(net, pictures(), {})
    net.asked.clear()
    engine.step(net, pictures(), {})
    assert net.asked == [(1, 3, 60, 1200)] * 4


def test_the_last_rung_ends_in_a_sentence_with_need_free_and_the_setting() -> None:
    with pytest.raises(ModelError) as caught:
        an_engine().step(Net(FULL, refuses_above(0)), pictures(), {})
    assert str(caught.value).startswith("net needs about 2 MB for a frame of 1200x60 on cpu, ")
    assert str(caught.value).endswith(
        "GB are free. Close other programs, allow half precision with --precision bf16, or choose a smaller model."
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["python", "cuda", "cpu", "mps", "cublas"],
)
def test_every_library_says_in_its_own_way_that_memory_is_short(error: Exception) -> None:
    assert out_of_memory(error)
    net = Net(FULL, refuses_above(60 * 1200 * 4, lambda: error))
    layers, _ = an_engine().step(net, pictures(), {})
    assert layers["alpha"].shape == (4, 1, 60, 1200)


def test_another_error_is_not_taken_for_want_of_memory() -> None:
    net = Net(FULL, refuses_above(0, lambda: RuntimeError("shapes do not fit")))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        an_engine().step(net, pictures(), {})
    assert len(net.asked) == 1


def test_what_is_carried_is_carried_tile_by_tile() -> None:
    card = replace(FULL, batch=1, carries=True, warm_up=None)
    net, engine = Net(card, refuses_above(60 * 600 * 4)), an_engine()
    _, state = engine.step(net, pictures(1), {})
    assert state.side == 600 and set(state.states) == {1}
    _, state = engine.step(net, pictures(1), {}, state)
    assert set(state.states) == {2}


def test_a_budget_is_kept_by_what_the_card_says_before_anything_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "resident", lambda: 500_000_000)
    monkeypatch.setattr(room, "available", lambda: 64_000_000_000)
    card = replace(FULL, memory=1000)
    step = Step(4, 60, 1200, 0)
    for way in rungs(card, step, "fp32", half=True):
        net, budget = Net(card), 500_000_000 + need(card, step, way)
        engine = an_engine(room=Room(budget))
        engine.begin(net, pictures(), {}, half=True)
        assert list(engine.said) == ([] if way.batch == 4 else [f"Memory was short: net took 1200x60 with {way}."])
        assert max(shape[0] * shape[2] * shape[3] for shape in net.asked) * 1000 <= need(
            card, step, replace(way, precision="fp32")
        )
    too_little = Room(500_000_000 + need(card, step, way) - 1)
    with pytest.raises(ModelError, match=r"11 MB are free of the 511 MB that --memory allows\. Raise --memory"):
        an_engine(room=too_little).begin(Net(card), pictures(), {}, half=True)


def test_what_is_kept_for_reading_and_writing_is_not_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "resident", lambda: 500_000_000)
    monkeypatch.setattr(room, "available", lambda: 64_000_000_000)
    assert Room(2_000_000_000, beside=600_000_000, base=500_000_000).free(CPU) == 900_000_000
    assert Room(2_000_000_000, beside=600_000_000, base=300_000_000).free(CPU) == 1_100_000_000  # 200 are there already
    assert Room(2_000_000_000, beside=600_000_000, base=300_000_000).free(CPU, alone=True) == 1_500_000_000
    monkeypatch.setattr(room, "available", lambda: 100_000_000)
    assert Room(2_000_000_000, beside=600_000_000).free(CPU) == 100_000_000


def test_a_step_that_fits_only_by_itself_is_put_off_before_half_precision_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "resident", lambda: 500_000_000)
    monkeypatch.setattr(room, "available", lambda: 64_000_000_000)
    card, frames = replace(FULL, memory=1000, overlap=None, batch=1), pictures(1)
    needed = need(card, Step(1, 60, 1200, 0), Rung(1, 0, "fp32"))
    net, engine = Net(card), an_engine(room=Room(500_000_000 + needed, beside=40_000_000, base=500_000_000))
    for _ in range(2):
        with pytest.raises(ShortOfRoom, match="net needs about") as caught:
            engine.begin(net, frames, {}, half=True)
        assert out_of_memory(caught.value) and net.asked == []
        engine.begin(net, frames, {}, half=True)
        assert net.asked == [(1, 3, 60, 1200)] and engine.said == {}
        net.asked.clear()


def test_an_unknown_pixel_counts_where_the_card_says_so() -> None:
    card = replace(FULL, memory_unknown=2000)
    trimap = torch.zeros(2, 2, 10, 10)
    trimap[1, 1, :3] = 0.5
    step = Step.of(torch.zeros(2, 3, 10, 10), {"trimap": trimap})
    assert step == Step(2, 10, 10, 30)
    assert need(card, step, Rung(1, 0, "fp32")) == 100 * 100 + 30 * 2000 + HANDED * 100


@pytest.mark.parametrize(("text", "amount"), [("6GB", 6 * 10**9), ("800 mb", 8 * 10**8), ("1.5g", 15 * 10**8)])
def test_an_amount_of_memory_is_written_as_people_write_it(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize(
    ("text", "why"), [("much", "is no amount of memory"), ("6", "is too little"), ("-1GB", "is no")]
)
def test_what_is_no_amount_of_memory_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_bytes(text)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_a_real_lack_of_memory_is_survived_in_tiles() -> None:
    """Nothing is injected: the kernel refuses what torch asks for."""
    script = """
        import resource, torch
        from tests.engine.test_ladder import FULL, Net, an_engine, pictures
        class Greedy(Net):
            def step(self, net, frames, guides, state):
                taken = torch.ones(frames[:, 0].numel() * 100)  # 400 bytes per pixel
                return super().step(net, frames, guides, state)
        frames, engine = pictures(1, 800), an_engine()
        engine.step(Greedy(FULL), frames[..., :64, :64], {})
        used = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmData"))) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (used + 250_000_000,) * 2)
        layers, _ = engine.step(Greedy(FULL), frames, {})
        print(layers["alpha"].shape, list(engine.said))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ran.returncode == 0, ran.stderr
    assert "(1, 1, 800, 1200)" in ran.stdout.replace("torch.Size([", "(").replace("])", ")")
    assert "tiles of 600 pixels" in ran.stdout
