"""Load Matting Model: one choice for many nodes, and old workflows that choose on the node itself keep working."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_core.errors import ModelError, UsageError
from matte_core.graph import node_types, run_workflow, widget_names
from matte_core.models.base import ModelChoice
from matte_core.ops import DEFAULT_MODEL, estimate_alpha, load_matting_model
from matte_core.paths import Roots
from matte_core.shot import Shot

SAMPLES = Path(__file__).parents[2] / "samples"
TRIMAP = np.repeat(np.float32([0, 0, 0.5, 0.5, 1, 1])[None, None], 6, axis=1)


def told(shot_of: Any) -> tuple[Shot, Shot]:
    return shot_of([np.full((3, 6, 6), 0.5, np.float32)]), shot_of([TRIMAP])


def test_a_loaded_model_decides_in_place_of_the_widgets(shot_of: Any) -> None:
    plate, guide = told(shot_of)
    loaded = load_matting_model("closed-form", "fp32")
    assert loaded == ModelChoice("closed-form", "fp32")
    by_socket = estimate_alpha(plate, guide, matting_model=loaded)
    assert by_socket.settings() == estimate_alpha(plate, guide, "closed-form", "fp32").settings()
    assert estimate_alpha(plate, guide).parameters["model"] == DEFAULT_MODEL


def test_a_model_or_an_arithmetic_that_there_is_not_is_refused_at_the_loader() -> None:
    with pytest.raises(ModelError, match=r"there is no model 'closed-from'\. Did you mean closed-form"):
        load_matting_model("closed-from")
    with pytest.raises(UsageError, match="closed-form does not run in fp16"):
        load_matting_model("closed-form", "fp16")


def test_the_widgets_of_estimate_alpha_keep_their_places() -> None:
    op = node_types()["MatteEstimateAlpha"]
    assert widget_names(op)[:2] == ["model", "precision"]
    assert [output.name for output in op.outputs] == ["matte"]


def workflow(folder: Path, **alpha: Any) -> Path:
    """Plate, mask, trimap, alpha and write in the form that servers queue."""
    nodes = {
        "1": {"class_type": "MatteReadPlate", "inputs": {"path": "plate/plate.####.exr"}},
        "2": {"class_type": "MatteReadMatte", "inputs": {"path": "plate/mask.####.png"}},
        "3": {"class_type": "MatteTrimapFromMask", "inputs": {"mask": ["2", 0]}},
        "4": {"class_type": "MatteLoadMattingModel", "inputs": {"model": "knn", "precision": "auto"}},
        "5": {"class_type": "MatteEstimateAlpha", "inputs": {"plate": ["1", 0], "guide": ["3", 0], **alpha}},
        "6": {"class_type": "MatteWriteSequence", "inputs": {"matte": ["5", 0], "out": "a.####.exr"}},
    }
    path = folder / "job.json"
    path.write_text(json.dumps(nodes))
    return path


@pytest.mark.parametrize(
    ("alpha", "model"), [({"matting_model": ["4", 0]}, "knn"), ({"model": "closed-form"}, "closed-form"), ({}, None)]
)
def test_in_a_workflow_the_link_decides_and_without_it_the_widget(
    alpha: dict[str, Any], model: str | None, tmp_path: Path
) -> None:
    built = run_workflow(workflow(tmp_path, **alpha), None, Roots.of([SAMPLES], [tmp_path]))
    estimated = next(shot for shot in built.receipts[0].lineage() if shot.verb == "estimate alpha")
    assert estimated.parameters["model"] == (model or DEFAULT_MODEL)


def test_a_shot_where_a_model_belongs_and_a_model_where_a_shot_belongs_are_refused(tmp_path: Path) -> None:
    roots = Roots.of([SAMPLES], [tmp_path])
    with pytest.raises(UsageError, match="needs a model at 'matting_model' and was given a plate"):
        run_workflow(workflow(tmp_path, matting_model=["1", 0]), None, roots)
    with pytest.raises(UsageError, match="needs a matte at 'guide' and was given a model"):
        run_workflow(workflow(tmp_path, guide=["4", 0]), None, roots)
