"""The guide operations in a workflow file: the same shots as the Python functions make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_core import ops
from matte_core.graph import run_workflow
from matte_core.paths import Roots
from matte_core.pull import frames
from matte_core.shot import Shot

SAMPLES = Path(__file__).parents[2] / "samples"
PLATE, MASK = "plate/plate.####.exr", "plate/mask.####.png"


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


READ = {
    "1": node("MatteReadPlate", path=PLATE),
    "2": node("MatteReadMatte", path=MASK),
    "3": node("MatteReadMatte", path=MASK, frames="1001,1004,1008", missing="skip"),
}
CHAINS: dict[str, dict[str, Any]] = {
    "keyframes": {"4": node("MatteKeyframedGuide", guide=["3", 0], plate=["1", 0], between="shape")},
    "instances": {"4": node("MatteInstancesFromMasks", mask_1=["2", 0], mask_2=["2", 0], names="hero,double")},
    "difference": {
        "9": node("MatteCleanPlate", plate=["1", 0], matte=["2", 0], samples=3, margin=12),
        "4": node("MatteDifferenceMatte", plate=["1", 0], clean_plate=["9", 0], slack=6),
    },
    "resize": {"4": node("MatteResizeToPlate", picture=["2", 0], plate=["1", 0])},
}


def by_hand(name: str) -> Shot:
    plate, mask = ops.read_plate(str(SAMPLES / PLATE)), ops.read_matte(str(SAMPLES / MASK))
    if name == "keyframes":
        keys = ops.read_matte(str(SAMPLES / MASK), frames="1001,1004,1008", missing="skip")
        return ops.keyframed_guide(keys, plate)
    if name == "instances":
        return ops.instances_from_masks(mask, mask, names="hero,double")
    if name == "difference":
        clean = ops.clean_plate(plate, mask, 3, margin=12)[0]
        return ops.difference_matte(plate, clean, slack=6)[0]
    return ops.resize_to_plate(mask, plate)


@pytest.mark.parametrize("name", CHAINS)
def test_a_workflow_makes_the_shot_that_the_function_makes(name: str, tmp_path: Path) -> None:
    nodes = {**READ, **CHAINS[name], "5": node("MatteWriteSequence", matte=["4", 0], out="a.####.exr")}
    path = tmp_path / "job.json"
    path.write_text(json.dumps(nodes))
    built = run_workflow(path, None, Roots.of([SAMPLES], [tmp_path]))
    wanted = by_hand(name)
    made = next(shot for shot in built.receipts[0].lineage() if shot.settings() == wanted.settings())
    assert str(made.frames) == "1001-1008" and made.channels == wanted.channels
    first, second = (next(frames(shot, [1002])).pixels for shot in (made, wanted))
    assert first.tobytes() == second.tobytes()
    assert 0 < np.count_nonzero(first) < first.size
    writing = built.receipts[0].inputs[0]
    assert writing.maker in {f"node {key} ({entry['class_type']})" for key, entry in nodes.items()}
