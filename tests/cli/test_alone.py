"""A model that finds the subject by itself: no mask, no trimap, the same command."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from matte_core.models.base import Card, Guides, Layers
from matte_core.models.catalogue import CATALOGUE, names

from .conftest import MAIN, Folder, Matte, a_picture, load, save

ALONE = ("sequence", "plate.####.exr", "--model", "warm", "--out", "out/m.####.exr")


class Warm:
    """Takes what is redder than blue for the subject."""

    card = Card("warm", "Warm", guides=(), smallest=16)

    def load(self, weights: None, device: object) -> object:
        return object()

    def step(self, net: object, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        assert not guides
        return {"alpha": (frames[:, :1] > frames[:, 2:] + 0.05).float()}, state


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("warm_model")
    module.WARM = Warm()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "warm_model", module)
    monkeypatch.setitem(CATALOGUE, "warm", "warm_model:WARM")


def test_the_matte_is_made_of_the_plate_alone(shot: Folder, matte: Matte) -> None:
    answer = matte(*ALONE, "--json")
    assert answer.code == 0, answer.error
    assert shot.written == [f"m.{number}.exr" for number in range(1001, 1006)]
    pixels, spec = load(shot / "out" / "m.1003.exr")
    truth = a_picture(1003)[1]
    assert np.abs(pixels[..., 0] - (truth > 0.5)).mean() < 0.05
    assert not any("no subject" in str(event.get("message")) for event in answer.events)
    assert spec.getattribute("matte/remark") is None


def test_a_frame_without_a_subject_has_an_empty_matte_and_is_named(shot: Folder, matte: Matte) -> None:
    cold = np.zeros_like(a_picture(1002)[0]) + np.array([0.1, 0.2, 0.6], np.float32)
    save(shot / "plate.1002.exr", cold, ("R", "G", "B"), 1002, 4)
    answer = matte(*ALONE, "--json")
    assert answer.code == 0
    said = [str(event["message"]) for event in answer.events if "no subject" in str(event.get("message"))]
    assert said == ["frame 1002: no subject was found, and the matte is empty."]
    pixels, spec = load(shot / "out" / "m.1002.exr")
    assert not pixels.any()
    assert "no subject was found" in str(spec.getattribute("matte/remark"))


def test_it_takes_no_guide_and_others_say_which_model_needs_none(shot: Folder, matte: Matte) -> None:
    for guide in (("--mask", "mask.####.png"), ("--trimap", "mask.####.png"), ("--instances", "a=mask.####.png")):
        answer = matte(*ALONE, *guide)
        assert answer.code == 2 and "warm finds the subject by itself" in answer.sentence
    assert shot.written == []
    assert matte(*MAIN, "--out", "out/m.####.exr", "--model", "portrait").code == 2


def test_a_picture_smaller_than_a_patch_is_refused(shot: Folder, matte: Matte) -> None:
    save(shot / "small.1001.exr", np.ones((12, 40, 3), np.float32), ("R", "G", "B"))
    answer = matte("sequence", "small.####.exr", *ALONE[2:])
    assert answer.code == 2
    assert "the plate is 40x12 pixels, and warm needs 16 a side at least" in answer.sentence


def test_a_grey_plate_and_one_with_alpha_are_read_as_pictures(shot: Folder, matte: Matte) -> None:
    plate, alpha = a_picture(1001)
    for number in range(1001, 1006):
        save(shot / f"grey.{number}.png", plate[..., :1], ("Y",))
        save(shot / f"rgba.{number}.png", np.dstack([plate, 0 * alpha]), ("R", "G", "B", "A"))
    for name, found in (("grey", False), ("rgba", True)):
        answer = matte("sequence", f"{name}.####.png", *ALONE[2:-1], f"out/{name}.####.exr")
        assert answer.code == 0, answer.error
        assert load(shot / "out" / f"{name}.1001.exr")[0].any() == found


def test_a_model_without_weights_says_how_to_bring_them(
    shot: Folder, matte: Matte, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_MODELS", str(shot / "models"))
    answer = matte("sequence", "plate.####.exr", "--model", "portrait", "--out", "out/m.####.exr")
    assert answer.code == 4
    assert "Bring the authors' checkpoint" in answer.sentence
    assert "matte weights convert portrait --from FILE" in answer.sentence
    assert "portrait" not in names(told=None) and "warm" in names(told=None)
