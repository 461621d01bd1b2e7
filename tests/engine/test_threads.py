"""Processor threads of the lanes."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from matte_core.engine.threads import in_lane


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
