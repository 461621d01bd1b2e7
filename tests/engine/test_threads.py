"""Processor threads of the lanes."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from matte_core.engine import threads
from matte_core.engine.threads import in_lane
from matte_core.models.layers.bilinear import bilinear


def test_a_lane_sets_the_threads_of_numba_once_it_is_imported_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    numba = ModuleType("numba")
    monkeypatch.setitem(sys.modules, "numba", numba)
    inside = in_lane(torch.device("cpu"))
    with inside():
        assert torch.is_inference_mode_enabled()
    numba.__dict__.update(set_num_threads=told.append, config=SimpleNamespace(NUMBA_NUM_THREADS=1))
    with inside():
        assert told == [1]


def test_steps_at_once_share_the_cores_and_a_card_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CORES", 8)
    cpu, card = torch.device("cpu"), torch.device("cuda")
    steps = threads.steps_at_once(cpu)
    assert steps == 2
    assert [threads.threads_of(lane, cpu, steps) for lane in ("", "device", "read")] == [4, 4, 1]
    assert threads.steps_at_once(card) == 1
    monkeypatch.setattr(threads, "CORES", 1)
    assert threads.steps_at_once(cpu) == 1


@pytest.mark.parametrize("align_corners", [False, True])
def test_interpolated_pictures_are_the_same_for_any_number_of_threads(align_corners: bool) -> None:
    before = torch.get_num_threads()
    picture = torch.rand(2, 3, 65, 66, generator=torch.Generator().manual_seed(1))
    made = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            made.append(bilinear(picture, (130, 131), align_corners))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(made[0], made[1])
