"""Trimaps and mattes from masks that fall short: what stands in the tables, and that better regions win there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from matte_core import matting
from matte_core.cli import main
from matte_core.engine.engine import Engine
from matte_core.evaluate import sweep as module
from matte_core.evaluate.pictures import pictures_of
from matte_core.evaluate.sweep import FIXED, PLAIN, Matte, sweep
from matte_core.evaluate.tables import sweep_json, sweep_markdown
from matte_core.models.base import Card, Guides, Layers
from matte_core.models.catalogue import model
from matte_core.models.weights import find
from matte_core.train.segmentations import regions

SIDE = 160


def a_disc(radius: float = 50) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    alpha = np.clip((radius - np.hypot(rows - SIDE / 2, columns - SIDE / 2)) / 12 + 0.5, 0, 1)
    return (np.rint(alpha * 255) / 255).astype(np.float32)


class Oracle:
    """A trimap model that knows the truth."""

    card = Card("oracle", "Oracle", answers="trimap", guides=("mask",))

    def __init__(self) -> None:
        self.masks: list[Tensor] = []

    def load(self, weights: Path | None, device: torch.device) -> None:
        return None

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        self.masks.append(guides["mask"])
        truth = torch.from_numpy(regions(a_disc(), module.MARGIN).astype(np.int64))
        return {"regions": torch.nn.functional.one_hot(truth, 3).permute(2, 0, 1)[None].float()}, state


@pytest.fixture
def data(tmp_path: Path) -> Path:
    alpha = a_disc()[..., None]
    rows = np.mgrid[0:SIDE, 0:SIDE][0][..., None].astype(np.float32)
    picture = alpha * np.float32([0.2, 0.4, 0.9]) + (1 - alpha) * np.float32([0.7, 0.5, 0.1]) * (0.6 + rows / 400)
    for folder, values in (("input", picture), ("gt", alpha[..., 0])):
        (tmp_path / folder).mkdir()
        assert cv2.imwrite(str(tmp_path / folder / "disc.png"), np.rint(values * 255).astype(np.uint8))
    return tmp_path


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    made = Oracle()
    monkeypatch.setattr(matting, "model", lambda name: made if name == "oracle" else model(name))
    return made


def test_true_regions_are_found_wholly_and_lead_to_the_better_matte(
    data: Path, oracle: Oracle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = pictures_of(data / "input", data / "gt", [])
    engine = Engine(torch.device("cpu"), find)
    monkeypatch.setattr(module, "RADII", (4, 12))
    found = sweep(pictures, ["oracle"], ["colour-prior"], engine, tmp_path, (8, 30))
    for erosion in (8, 30):
        scores = found.scores(erosion)
        assert list(scores) == [FIXED, PLAIN, "oracle"]
        assert scores["oracle"] == pytest.approx(dict.fromkeys(scores["oracle"], 1.0))
        assert scores[FIXED]["unknown"] < 1
        soft, hard = (found.mean(erosion, Matte("colour-prior", "oracle", fusion)) for fusion in ("soft", "hard"))
        assert soft == pytest.approx(hard), "with certain regions both fusions are one"
        joined = soft[0]
    assert joined < 0.8 * found.mean(30, Matte("colour-prior", FIXED, ""))[0], "it is far better for a poor mask"
    assert found.scores(30)[FIXED]["mIoU"] < found.scores(8)[FIXED]["mIoU"]
    assert float(oracle.masks[0].sum()) > float(oracle.masks[1].sum()), "the mask falls further short"
    text = sweep_markdown(found, 1)
    assert "oracle, soft fusion" in text and "## Mask eroded by 30 px" in text
    assert {entry["fusion"] for entry in sweep_json(found)["8"]["mattes"]} == {"", "soft", "hard"}


def test_a_mask_that_is_eroded_away_leaves_a_matte_all_the_same(data: Path, oracle: Oracle, tmp_path: Path) -> None:
    pictures = pictures_of(data / "input", data / "gt", [])
    found = sweep(pictures, ["oracle"], ["colour-prior"], Engine(torch.device("cpu"), find), tmp_path, (70,))
    assert all(np.isfinite(found.mean(70, matte)).all() for matte in found.errors[70])
    assert not oracle.masks, "a model is not asked about nothing"
    assert found.scores(70)["oracle"]["foreground"] == 0


def test_the_command_sweeps_and_names_wrong_widths(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", str(data), "--erosion", "twenty"])
    assert left.value.code == 2 and "Write 20,30,40,50" in " ".join(capsys.readouterr().err.split())
