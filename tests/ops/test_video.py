"""Propagate Mask and Video Matte: the model's name decides what is needed, from keyframes or from every frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from matte_core.engine.engine import Engine
from matte_core.errors import ModelError, UsageError
from matte_core.frame import Pixels
from matte_core.models import catalogue
from matte_core.models.base import Card, Guides, Layers
from matte_core.models.catalogue import names
from matte_core.models.weights import find
from matte_core.ops import propagate_mask, propagate_trimap, video_matte
from matte_core.ops.video import keyed_models, video_models
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot

SIDE = 64


def picture(number: int) -> Pixels:
    """A bright disc that moves to the right over a dark ground with a texture."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    ground = 0.1 + 0.05 * np.sin(columns / 3) * np.sin(rows / 4)
    plate = np.stack([ground, ground * 1.2, ground * 1.5])
    return np.where(disc(number) > 0, np.array([0.7, 0.5, 0.3], np.float32)[:, None, None], plate).astype(np.float32)


def disc(number: int) -> Pixels:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray((np.hypot(columns - 20 - 2 * number, rows - 32) <= 12)[None], np.float32)


def trimap(number: int) -> Pixels:
    known = disc(number)
    known[:, :30] /= 2
    return known


def band(number: int) -> Pixels:
    """A trimap around the disc's edge."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(columns - 20 - 2 * number, rows - 32)
    return np.asarray(np.where(distance < 9, 1, np.where(distance > 15, 0, 0.5))[None], np.float32)


def pulled(shot: Shot, numbers: Sequence[int] = ()) -> dict[int, Pixels]:
    run = Run(
        Plan([(shot, numbers or shot.frames)]),
        lanes=SERIAL,
        tools=Engine(torch.device("cpu"), find),
        inside=torch.inference_mode,
    )
    return {frame.number: frame.pixels for frame in run}


@pytest.mark.parametrize("model", ["flow-mask", "hstsg-small"])
def test_one_mask_is_carried_through_the_shot(model: str, shot_of: Any) -> None:
    plate = shot_of([picture(number) for number in range(5)])
    shot = propagate_mask(plate, shot_of([disc(2)], "1003"), model)
    found = pulled(shot)
    assert list(found) == list(plate.frames)
    assert all(np.array_equal(pulled(shot, [number])[number], found[number]) for number in (1001, 1005))
    for number, mask in found.items():
        truth = disc(number - 1001) > 0.5
        assert ((mask > 0.5) & truth).sum() / ((mask > 0.5) | truth).sum() > 0.8, number


def test_one_trimap_is_carried_through_the_shot(shot_of: Any) -> None:
    plate = shot_of([picture(number) for number in range(5)])
    found = pulled(propagate_trimap(plate, shot_of([band(2)], "1003")))
    assert list(found) == list(plate.frames) and np.array_equal(found[1003], band(2))
    for number, drawn in found.items():
        assert set(np.unique(drawn)) <= {0, 0.5, 1}
        ours, truth, held = (each == 0.5 for each in (drawn, band(number - 1001), band(2)))
        iou, still = ((each & truth).sum() / (each | truth).sum() for each in (ours, held))
        assert iou > max(0.6, still - 0.05), number


def test_models_that_find_trimaps_are_offered_where_what_they_need_is_at_hand() -> None:
    assert names("trimap", "trimap") == ["trimap-propagation-small"] and names("trimap", "mask") == ["net_t-small"]


def test_the_model_decides_what_video_matte_is_told(shot_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.CATALOGUE, "test-window", f"{__name__}:WINDOW")
    plate = shot_of([picture(number) for number in range(4)])
    from_mask = video_matte(plate, shot_of([disc(0)], "1001"), "hstsg-small")
    assert from_mask.verb == "between keys"
    trimaps = shot_of([trimap(number) for number in range(4)], "1-4")  # as pictures come that have no numbers
    from_trimaps = video_matte(plate, trimaps, "test-window", cuts="none")
    assert from_trimaps.verb == "estimate alpha" and from_trimaps.frames == plate.frames
    found = pulled(from_trimaps)
    assert all(np.array_equal(found[1001 + number], trimap(number)) for number in range(4))
    assert set(video_models()) >= {"hstsg-small", "test-window"} and "net_m-small" not in video_models()
    assert set(keyed_models()) == {"hstsg-small", "flow-mask"}


def test_what_cannot_be_done_is_refused_in_a_sentence(shot_of: Any) -> None:
    plate, mask = shot_of([picture(number) for number in range(3)]), shot_of([disc(0)], "1001")
    with pytest.raises(ModelError, match="net_m-small does not carry a mask from keyframes"):
        propagate_mask(plate, mask, "net_m-small")
    with pytest.raises(UsageError, match="keyframe 1050 is outside the shot"):
        video_matte(plate, mask, "hstsg-small", keys="1050")
    with pytest.raises(UsageError, match="is full \\(everything selected\\)"):
        video_matte(plate, shot_of([np.ones((1, SIDE, SIDE), np.float32)], "1001"), "hstsg-small")


class Window:
    """Answers with the trimap of the frame itself."""

    card = Card("test-window", "", guides=("trimap",), before=1, after=1)

    def load(self, weights: Any, device: torch.device) -> None:
        return None

    def step(self, net: None, frames: torch.Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        return {"alpha": guides["trimap"][1:-1]}, None


WINDOW = Window()
