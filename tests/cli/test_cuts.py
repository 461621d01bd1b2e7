"""`matte cuts` and `matte sequence --smooth`: where takes begin, and a matte without flicker from one command."""

from __future__ import annotations

import json

import numpy as np

from .conftest import Folder, Matte, load, save


def textured(seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).uniform(0.1, 0.9, (6, 8, 3)).astype(np.float32)
    return np.kron(rows, np.ones((6, 6, 1), np.float32))


def test_the_frames_at_which_a_take_begins_are_said(shot: Folder, matte: Matte) -> None:
    for number in range(1, 7):
        save(shot / f"takes.{number:04d}.exr", textured(1 if number < 4 else 2), ("R", "G", "B"), number)
    assert "1 cut, new takes begin at 4 in 6 frames (1-6)." in matte("cuts", "takes.####.exr").out
    said = json.loads(matte("cuts", "takes.####.exr", "--frames", "1-3", "--json").out)
    assert said == {"cuts": [], "frames": "1-3"}
    assert matte("cuts", "nothing.####.exr").code == 3


def test_a_smoothed_sequence_has_every_frame_and_flickers_less(shot: Folder, matte: Matte) -> None:
    words = (
        "sequence",
        "plate.####.exr",
        "--mask",
        "mask.####.png",
        "--trimap-model",
        "none",
        "--model",
        "colour-prior",
    )
    plain = matte(*words, "--out", "out/plain.####.exr")
    smooth = matte(*words, "--smooth", "1", "--out", "out/smooth.####.exr")
    assert plain.code == smooth.code == 0, smooth.error
    one, other = (
        [load(shot / f"out/{name}.{number}.exr")[0] for number in range(1001, 1006)] for name in ("plain", "smooth")
    )
    assert all(a.shape == b.shape for a, b in zip(one, other, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert other[2].min() == 0 and other[2].max() == 1
    assert matte(*words, "--smooth", "2", "--out", "out/x.####.exr").code == 2
