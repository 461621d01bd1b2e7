"""What previews remember: the same answer for the same pictures, bounded, and never what depends on a state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from matte_core.models.base import Card


class Doubling:
    """A model that answers twice its pictures' first channel and counts its steps."""

    def __init__(self, **card: Any) -> None:
        self.card, self.steps = Card("doubling", "Doubling", **card), 0

    def load(self, weights: Any, device: torch.device) -> str:
        return "net"

    def step(self, net: Any, frames: torch.Tensor, guides: Any, state: Any) -> tuple[dict[str, torch.Tensor], Any]:
        self.steps += 1
        return {"alpha": 2 * frames[:, :1] + guides["trimap"]}, (state or 0) + 1


@pytest.fixture
def remember(load: Any, comfy: Any) -> Any:
    return load("remember")


@pytest.fixture
def engine(remember: Any, load: Any) -> Any:
    host = load("host")
    return remember.RememberingEngine(torch.device("cpu"), lambda card: None, host.ComfyHost(), remember.Memory(10_000))


PICTURE, GUIDE = torch.rand(1, 3, 4, 4), {"trimap": torch.zeros(1, 1, 4, 4)}


def test_the_same_pictures_are_answered_once_and_the_answer_is_the_askers_own(engine: Any) -> None:
    model = Doubling()
    first = engine.step(model, PICTURE, GUIDE)[0]["alpha"]
    expected = first.clone()
    first.zero_()
    for _ in range(2):
        again = engine.step(model, PICTURE, GUIDE)[0]["alpha"]
        assert torch.equal(again, expected)
        again.zero_()
    assert model.steps == 1


def test_other_pictures_guides_precision_or_model_are_answered_anew(engine: Any) -> None:
    model = Doubling(precisions=("fp32", "bf16"))
    engine.step(model, PICTURE, GUIDE)
    engine.step(model, PICTURE + 1, GUIDE)
    engine.step(model, PICTURE, {"trimap": GUIDE["trimap"] + 1})
    engine.step(model, PICTURE, GUIDE, None, "bf16")
    model.card = replace(model.card, version=2)
    engine.step(model, PICTURE, GUIDE)
    assert model.steps == 5


def test_what_depends_on_a_state_is_not_remembered(engine: Any) -> None:
    model = Doubling(carries=True)
    _, state = engine.step(model, PICTURE, GUIDE)
    _, state = engine.step(model, PICTURE, GUIDE, state)
    assert (model.steps, state) == (2, 2)


def test_memory_drops_the_least_recently_used_and_keeps_one_that_is_too_large(remember: Any) -> None:
    memory = remember.Memory(10)
    memory.put("a", 1, 4)
    memory.put("b", 2, 4)
    assert memory.get("a") == 1
    memory.put("c", 3, 4)
    assert [memory.get(key) for key in "abc"] == [1, None, 3]
    memory.put("c", 4, 4)
    assert [memory.get(key) for key in "ac"] == [1, 4]
    memory.put("d", 5, 99)
    assert [memory.get(key) for key in "acd"] == [None, None, 5]
