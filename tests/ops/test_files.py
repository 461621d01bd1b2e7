"""Write: several shots in one run, each frame of the work once, whatever is delivered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from matte_core.engine.engine import Engine
from matte_core.io.image import read_pixels
from matte_core.models.weights import find
from matte_core.ops import estimate_alpha, estimate_foreground, over, trimap_from_mask, write_sequence
from matte_core.plan import Plan
from matte_core.pull import Run

ROWS, COLUMNS = np.mgrid[:40, :48]
MASK = (np.hypot(ROWS - 20, COLUMNS - 24) < 12).astype(np.float32)[None]
PLATE = np.where(MASK > 0, 0.8, 0.1 + 0.01 * COLUMNS).astype(np.float32) * np.ones((3, 1, 1), np.float32)


def test_one_write_makes_all_deliverables_and_computes_every_frame_once(shot_of: Any, tmp_path: Path) -> None:
    plate = shot_of([PLATE, PLATE * 1.1, PLATE * 1.2])
    trimap = trimap_from_mask(shot_of([MASK] * 3), 4, 4)
    alpha = estimate_alpha(plate, trimap, "closed-form-device")
    front = estimate_foreground(plate, alpha)
    comp = over(front, alpha, shot_of([PLATE * 0 + 2], "1"))
    receipts = write_sequence(
        alpha,
        str(tmp_path / "a.####.exr"),
        plate,
        front,
        "matte,premultiplied",
        composite=comp,
        guide=trimap,
    )
    counts: Counter[tuple[str, int]] = Counter()
    run = Run(
        Plan([(receipt, receipt.frames) for receipt in receipts]),
        tools=Engine(torch.device("cpu"), find),
        inside=torch.inference_mode,
        watch=lambda shot, numbers, seconds: counts.update((shot.verb, n) for n in numbers if shot.verb != "write"),
    )
    assert sum(1 for _ in run) == 4 * 3
    work = {key: count for key, count in counts.items() if key[0] in ("estimate alpha", "estimate foreground", "over")}
    assert set(work.values()) == {1} and len(work) == 9
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 12
    assert {name.split(".")[0] for name in names} == {"a_matte", "a_premultiplied", "a_composite", "a_guide"}
    picture = read_pixels(tmp_path / "a_composite.1002.exr", ["R", "G", "B"])[0]
    assert picture[0, 0, 0] == 2
    assert set(np.unique(read_pixels(tmp_path / "a_guide.1001.exr", ["A"])[0])) == {0, 0.5, 1}


def test_what_is_written_along_leaves_the_one_deliverable_its_name(shot_of: Any, tmp_path: Path) -> None:
    receipts = write_sequence(shot_of([MASK]), str(tmp_path / "a.####.exr"), composite=shot_of([PLATE]))
    assert [Path(receipt.parameters["pattern"]).name for receipt in receipts] == ["a.####.exr", "a_composite.####.exr"]
