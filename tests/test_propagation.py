"""Propagate Trimap: from one keyframe or several, anywhere in the shot; on a keyframe it is that key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from matte_core.carry import carried_regions, together, weighed
from matte_core.engine.engine import Engine
from matte_core.errors import FrameError, UsageError
from matte_core.frame import FrameRange, Pixels
from matte_core.models import catalogue
from matte_core.models.base import Card, Guides, Layers
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.propagation import propagated_trimap
from matte_core.pull import Run
from matte_core.shot import Shot

HEIGHT, WIDTH, FRAMES, STEP = 48, 96, 9, 3


@dataclass
class Carried:
    """Answers with what was carried, `otherwise` with foreground, and notes what it is shown."""

    card: Card = field(default_factory=lambda: Card("t-carried", "C", answers="trimap", guides=("trimap",)))
    shown: list[Tensor] = field(default_factory=list)
    told: list[Guides] = field(default_factory=list)
    otherwise: float = 0.0

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.shown.append(frames)
        self.told.append(guides)
        carried = guides["carried"].clone()
        carried[:, 2::4] += self.otherwise * (carried[:, 3::4] == 0)
        return {"regions": torch.cat([carried[:, at : at + 3] for at in range(0, carried.shape[1], 4)], 1)}, state


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Carried:
    made, real = Carried(), catalogue.model
    for module in ("propagation", "models.catalogue"):
        monkeypatch.setattr(f"matte_core.{module}.model", lambda name: made if name == "t-carried" else real(name))
    return made


def plate(place: int) -> Pixels:
    """A textured disc that moves by STEP pixels a frame before an uneven background that stands still."""
    dice = np.random.default_rng(0)
    back, front = dice.random((HEIGHT, WIDTH)), dice.random((HEIGHT, WIDTH))
    inside = disc(place) > 0
    moved = np.roll(front, STEP * place, 1)
    return np.repeat(np.where(inside, 0.5 + 0.4 * moved, 0.05 + 0.2 * back)[None], 3, 0).astype(np.float32)


def disc(place: int) -> Pixels:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.asarray(np.clip(14 - np.hypot(rows - HEIGHT / 2, columns - 24 - STEP * place), 0, 1), np.float32)


def drawn(place: int) -> Pixels:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(rows - HEIGHT / 2, columns - 24 - STEP * place)
    return np.where(distance < 10, 1.0, np.where(distance > 18, 0.0, 0.5))[None].astype(np.float32)


def pull(shot: Shot, numbers: FrameRange | None = None) -> list[Pixels]:
    engine = Engine(torch.device("cpu"), find)
    run = Run(Plan([(shot, numbers or shot.frames)]), tools=engine, inside=torch.inference_mode)
    return [frame.pixels for frame in run]


def overlap(found: Pixels, place: int) -> float:
    """IoU of the unknown with the true one."""
    ours, truth = found[0] == 0.5, drawn(place)[0] == 0.5
    return float((ours & truth).sum() / (ours | truth).sum())


def test_one_keyframe_is_carried_along_the_motion_both_ways(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(FRAMES)])
    found = pull(propagated_trimap(plates, shot_of([drawn(4)], "1005"), name="t-carried"))
    assert np.array_equal(found[4], drawn(4))
    assert {value for picture in found for value in np.unique(picture)} <= {0.0, 0.5, 1.0}
    still = min(overlap(drawn(4), place) for place in (0, 8))
    assert min(overlap(found[place], place) for place in range(FRAMES)) > still + 0.2


def test_a_second_keyframe_is_looked_at_and_makes_it_better(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(FRAMES)])
    one = pull(propagated_trimap(plates, shot_of([drawn(0)], "1001"), name="t-carried"))
    both = pull(propagated_trimap(plates, shot_of([drawn(0), drawn(8)], "1001,1009"), name="t-carried"))
    assert np.array_equal(both[0], drawn(0)) and np.array_equal(both[8], drawn(8))
    assert overlap(both[7], 7) > overlap(one[7], 7)
    assert model.shown[-1].shape[0] == 3 and model.told[-1]["trimap"].shape[0] == 3


def test_keyframes_may_be_numbered_by_the_plate(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(FRAMES)])
    named = propagated_trimap(plates, shot_of([drawn(0), drawn(8)], "1,2"), "1001,1009", "t-carried")
    assert np.array_equal(pull(named)[8], drawn(8))


def test_nothing_is_carried_over_a_cut_and_the_keyframe_is_looked_at_all_the_same(model: Carried, shot_of: Any) -> None:
    plates, model.otherwise = shot_of([plate(n) for n in range(FRAMES)]), 1.0
    pull(propagated_trimap(plates, shot_of([drawn(0)], "1001"), name="t-carried", cuts="1004"))
    trust = [float(told["carried"][:, 3].max()) for told in model.told]
    assert trust[0] > 0.5 and trust[-1] == 0
    assert all(len(frames) == 2 for frames in model.shown)


def test_a_frame_behind_a_cut_in_which_nothing_is_found_is_named(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(FRAMES)])
    found = propagated_trimap(plates, shot_of([drawn(0)], "1001"), name="t-carried", cuts="1004")
    assert pull(found, FrameRange([1003]))[0].any()
    with pytest.raises(FrameError, match="frame 1004 shows nothing of what the keyframes beyond the cut show"):
        pull(found, FrameRange([1004]))


def test_several_subjects_are_carried_each_by_itself(model: Carried, shot_of: Any) -> None:
    plates, two = shot_of([plate(n) for n in range(4)]), np.concatenate([drawn(0), 1 - drawn(0)])
    found = pull(propagated_trimap(plates, shot_of([two], "1001"), name="t-carried"))
    assert all(picture.shape == (2, HEIGHT, WIDTH) for picture in found)
    assert np.array_equal(found[3][1], 1 - found[3][0])


def test_the_same_trimaps_however_a_shot_is_cut(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(FRAMES)])
    shot = propagated_trimap(plates, shot_of([drawn(2)], "1003"), name="t-carried")
    whole = pull(shot)
    cut = [picture for n in shot.frames for picture in pull(shot, FrameRange([n]))]
    assert all(np.array_equal(one, other) for one, other in zip(whole, cut, strict=True))


def test_a_new_keyframe_makes_only_the_frames_anew_that_look_at_it(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(FRAMES)])
    guide = shot_of([drawn(n) for n in range(FRAMES)])
    before, after = (
        propagated_trimap(plates, guide, keys, "t-carried") for keys in ("1001-1004,1007", "1001-1004,1007,1009")
    )
    changed = [n for n in plates.frames if before.stamp(n) != after.stamp(n)]
    assert changed == [1005, 1006, 1008, 1009]


def test_a_still_is_a_keyframe_on_the_first_frame(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(3)])
    assert np.array_equal(pull(propagated_trimap(plates, shot_of([drawn(0)], "1"), name="t-carried"))[0], drawn(0))


def test_a_shot_of_one_frame_needs_no_network(model: Carried, shot_of: Any) -> None:
    found = pull(propagated_trimap(shot_of([plate(0)]), shot_of([drawn(0)]), name="t-carried"))
    assert np.array_equal(found[0], drawn(0)) and not model.shown


def test_keyframes_that_are_not_in_the_shot_are_refused(model: Carried, shot_of: Any) -> None:
    plates = shot_of([plate(n) for n in range(3)])
    with pytest.raises(UsageError, match="keyframe 1009 is outside the shot"):
        propagated_trimap(plates, shot_of([drawn(0), drawn(2)], "1001,1009"), "1009", "t-carried")
    with pytest.raises(UsageError, match="keyframe 1002 is not in the guide"):
        propagated_trimap(plates, shot_of([drawn(0), drawn(2)], "1001,1003"), "1002", "t-carried")
    with pytest.raises(UsageError, match="does not propagate trimaps"):
        propagated_trimap(plates, shot_of([drawn(0)], "1001"), name="net_t-small")


def test_regions_of_several_keyframes_are_weighed_by_trust_and_nearness() -> None:
    way = np.zeros((4, 6, 2), np.float32)
    back, front = (carried_regions(np.full((4, 6), value, np.float32), way) for value in (0.0, 1.0))
    sure, lost = np.ones((4, 6), np.float32), np.zeros((4, 6), np.float32)
    assert (together([(back, sure, 1), (front, sure, 3)])[:3].argmax(0) == 0).all()
    assert (together([(back, lost, 1), (front, sure, 3)])[:3].argmax(0) == 2).all()
    nothing = together([(back, lost, 1), (front, lost, 3)])
    assert (nothing[:3].argmax(0) == 0).all() and nothing[3].max() == 0


def test_a_keyframe_on_which_nothing_is_unknown_is_refused(model: Carried, shot_of: Any) -> None:
    plates, empty = shot_of([plate(n) for n in range(3)]), np.zeros((1, HEIGHT, WIDTH))
    with pytest.raises(UsageError, match="Give a guide that shows the subject"):
        propagated_trimap(plates, shot_of([empty], "1001"), name="t-carried")
    propagated_trimap(plates, shot_of([empty, drawn(2)], "1001,1003"), name="t-carried")  # it comes in later


def test_between_two_keyframes_network_and_flow_are_weighed_by_how_far_flow_is_to_be_trusted() -> None:
    found = np.zeros((3, 4, 6), np.float32)
    found[1] = 1
    carried = np.zeros((4, 4, 6), np.float32)
    carried[2], carried[3, :, 3:] = 1, 1
    mean = weighed(found, carried)
    assert np.array_equal(mean[:, :, :3], found[:, :, :3])
    assert np.allclose(mean[:, :, 3:], np.array([0, 0.5, 0.5])[:, None, None])
