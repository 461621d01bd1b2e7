"""Joint inference over shots: a network's trimap, another model's alpha, one matte; every frame once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from matte_core import ops
from matte_core.engine.engine import Engine
from matte_core.errors import UsageError
from matte_core.frame import Pixels
from matte_core.models import catalogue
from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.shot import Shot

SHARES = np.array([0.1, 0.6, 0.3], np.float32)  # of a pixel that is likeliest unknown


@dataclass
class Regions:
    """Unknown likeliest where the mask is half, else as the mask says."""

    card: Card = field(default_factory=lambda: Card("t-regions", "T", answers="trimap", guides=("mask",)))
    seen: list[int] = field(default_factory=list)

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.seen.append(len(frames))
        made = []
        for mask in guides["mask"][0]:
            sure = torch.stack([1 - mask, torch.zeros_like(mask), mask])
            soft = torch.from_numpy(SHARES)[:, None, None].expand(3, *mask.shape)
            made.append(torch.where((mask > 0.3) & (mask < 0.7), soft, sure))
        return {"regions": torch.cat(made)[None]}, state


@dataclass
class Quarter:
    """Alpha 0.25 in the unknown."""

    card: Card = field(default_factory=lambda: Card("t-alpha", "A"))
    seen: list[int] = field(default_factory=list)

    def load(self, weights: Path | None, device: torch.device) -> Any:
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.seen.append(len(frames))
        trimap = guides["trimap"]
        assert set(trimap.unique().tolist()) <= {0.0, 0.5, 1.0}
        return {"alpha": torch.where(trimap == 0.5, 0.25, trimap)}, state


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two models of a test's own in the catalogue."""
    made = {"t-regions": Regions(), "t-alpha": Quarter()}
    real = catalogue.model
    for module in ("matting", "models.catalogue"):
        monkeypatch.setattr(f"matte_core.{module}.model", lambda name: made.get(name) or real(name))
    monkeypatch.setattr(catalogue, "CATALOGUE", catalogue.CATALOGUE | dict.fromkeys(made, ""))
    return made


def pull(shot: Shot) -> list[Pixels]:
    engine = Engine(torch.device("cpu"), find)
    run = Run(Plan([(shot, shot.frames)]), tools=engine, inside=torch.inference_mode)
    return [frame.pixels for frame in run]


def plate(shot_of: Any, count: int = 1, height: int = 4, width: int = 6) -> Shot:
    shot: Shot = shot_of([np.full((3, height, width), 0.2 + 0.1 * place) for place in range(count)])
    return shot


MASK = np.array([[[0.0, 0.0, 0.5, 0.5, 1.0, 1.0]] * 4], np.float32)


def test_soft_fusion_weighs_both_answers(shot_of: Any, models: dict[str, Any]) -> None:
    made = ops.joint_matte(plate(shot_of), shot_of([MASK]), "t-regions", "t-alpha", "soft")
    (alpha,) = pull(made)
    half = 0.3 + 0.6 * 0.25
    assert np.allclose(alpha[0, 0], [0, 0, half, half, 1, 1], atol=1e-6)
    assert made.channels == ("layer0",) and made.kind == "matte"


def test_hard_fusion_takes_alpha_in_the_unknown_alone(shot_of: Any, models: dict[str, Any]) -> None:
    (alpha,) = pull(ops.joint_matte(plate(shot_of), shot_of([MASK]), "t-regions", "t-alpha", "hard"))
    assert np.allclose(alpha[0, 0], [0, 0, 0.25, 0.25, 1, 1])


def test_every_frame_goes_through_each_model_once_and_a_still_mask_holds(shot_of: Any, models: dict[str, Any]) -> None:
    made = ops.joint_matte(plate(shot_of, 5), shot_of([MASK]), "t-regions", "t-alpha")
    assert list(made.frames) == [1001, 1002, 1003, 1004, 1005]
    assert len(pull(made)) == 5
    assert sum(models["t-regions"].seen) == sum(models["t-alpha"].seen) == 5


def test_a_trimap_has_three_values_and_the_mask_s_layers(shot_of: Any, models: dict[str, Any]) -> None:
    both = np.concatenate([MASK, 1 - MASK])
    made = ops.estimate_trimap(plate(shot_of), shot_of([both]), "t-regions")
    (trimap,) = pull(made)
    assert made.channels == ("layer0", "layer1")
    assert np.array_equal(trimap[0, 0], [0, 0, 0.5, 0.5, 1, 1])
    assert np.array_equal(trimap[1], 1 - trimap[0])


def test_layers_of_a_joint_matte_are_those_of_the_mask(shot_of: Any, models: dict[str, Any]) -> None:
    made = ops.joint_matte(plate(shot_of), shot_of([np.concatenate([MASK, 1 - MASK])]), "t-regions", "t-alpha", "soft")
    (alpha,) = pull(made)
    assert made.channels == ("layer0", "layer1") and alpha.shape == (2, 4, 6)
    assert np.allclose(alpha[1, 0], [1, 1, 0.45, 0.45, 0, 0], atol=1e-6)


def test_a_description_is_rebuilt_and_its_stamp_knows_fusion_and_weights(shot_of: Any, models: dict[str, Any]) -> None:
    source, mask = plate(shot_of), shot_of([MASK])
    soft, hard = (ops.joint_matte(source, mask, "t-regions", "t-alpha", fusion) for fusion in ("soft", "hard"))
    assert soft.settings() != hard.settings()
    assert Shot.rebuild(soft.describe()).settings() == soft.settings()
    models["t-regions"].card = Card(
        "t-regions", "T", "trimap", ("mask",), weights=Weights("t", "0" * 64, "Apache-2.0", True, 0.1)
    )
    other = ops.joint_matte(source, mask, "t-regions", "t-alpha", "soft")
    assert other.stamp(1001) != soft.stamp(1001)


def test_models_in_the_wrong_place_and_unknown_fusions_are_refused(shot_of: Any, models: dict[str, Any]) -> None:
    source, mask = plate(shot_of), shot_of([MASK])
    with pytest.raises(UsageError, match="answers with an alpha, not with a trimap"):
        ops.joint_matte(source, mask, "t-alpha", "t-alpha")
    with pytest.raises(UsageError, match="answers with a trimap, not with an alpha"):
        ops.joint_matte(source, mask, "t-regions", "t-regions")
    with pytest.raises(UsageError, match="Choose one of: hard, soft"):
        ops.joint_matte(source, mask, "t-regions", "t-alpha", "medium")


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros((1, 4, 6)), r"frame 1001 of the mask is empty .* Give a guide that shows the subject"),
        (np.ones((1, 4, 6)), r"frame 1001 of the mask is full"),
        (np.ones((1, 5, 7)) / 2, r"the mask is 7x5 and the plate is 6x4\. Render the mask at the plate's size"),
    ],
    ids=["empty", "full", "wrong size"],
)
def test_a_mask_that_says_nothing_is_one_clear_sentence(
    mask: Pixels, said: str, shot_of: Any, models: dict[str, Any]
) -> None:
    for make in (ops.joint_matte, ops.estimate_trimap):
        with pytest.raises(UsageError, match=said) as told:
            make(plate(shot_of), shot_of([mask]))
        assert "\n" not in str(told.value)


def disc(height: int, width: int, radius: float, across: float = 0.0) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot(rows - height / 2, columns - width / 2 - across)
    return np.clip((radius - distance) / 3 + 0.5, 0, 1).astype(np.float32)


MASKS = {
    "hard": disc(144, 200, 50) > 0.5,
    "soft": disc(144, 200, 50),
    "eroded": disc(144, 200, 35),
    "dilated": disc(144, 200, 60),
    "shifted by 10 pixels": disc(144, 200, 50, 10),
}


@pytest.mark.parametrize("name", MASKS)
def test_bad_masks_of_a_clear_subject_give_a_sensible_matte(name: str, shot_of: Any) -> None:
    alpha = disc(144, 200, 50)
    stripes = 0.05 * np.sin(np.arange(200) / 4, dtype=np.float32)
    front = np.array([0.6, 0.25, 0.1], np.float32)[:, None, None] + stripes
    back = np.array([0.06, 0.15, 0.4], np.float32)[:, None, None] - stripes
    source = shot_of([front * alpha + back * (1 - alpha)])
    made = ops.joint_matte(source, shot_of([MASKS[name][None]]), model="colour-prior")
    (found,) = pull(made)
    rough = np.abs(MASKS[name] - alpha).mean()
    assert np.abs(found[0] - alpha).mean() < max(0.012, 0.35 * rough)


def test_a_frame_without_the_subject_in_the_middle_of_a_shot_is_empty(shot_of: Any) -> None:
    masks = [disc(64, 96, 20)[None], np.zeros((1, 64, 96)), disc(64, 96, 20)[None]]
    source = shot_of([np.repeat(disc(64, 96, 20)[None], 3, 0) * 0.5 + 0.05] * 3)
    found = pull(ops.joint_matte(source, shot_of(masks), model="colour-prior"))
    assert not found[1].any()
    assert found[0][0, 32, 48] > 0.9
