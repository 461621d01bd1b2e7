"""`matte evaluate`: sequences by frame number, folders by name, the unknown of a trimap, over time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from .conftest import Folder, Matte, a_picture, save


@pytest.fixture
def truth(shot: Folder) -> Folder:
    for number in range(1001, 1006):
        _, alpha = a_picture(number, 0)
        save(shot / f"truth.{number}.exr", alpha[..., None], ("A",), number)
        save(shot / f"matte.{number}.exr", np.clip(alpha[..., None] + 0.1, 0, 1), ("A",), number)
        unknown = np.where((alpha > 0) & (alpha < 1), 0.5, alpha)[..., None]
        save(shot / f"trimap.{number}.png", unknown.astype(np.float32), ("Y",))
    return shot


def test_the_truth_is_no_distance_from_itself(truth: Folder, matte: Matte) -> None:
    answer = matte("evaluate", "--pred", "truth.####.exr", "--truth", "truth.####.exr", "--json")
    assert answer.code == 0, answer.error
    report = json.loads(answer.out)
    assert set(report["mean"]) == {"SAD", "MSE", "MAD", "Grad", "Conn", "SSDA", "dtSSD", "MESSDdt"}
    assert set(report["mean"].values()) == {0.0}
    assert list(report["frames"]) == ["1001", "1002", "1003", "1004", "1005"]


def test_a_known_error_has_the_expected_size_in_the_unknown(truth: Folder, matte: Matte) -> None:
    words = (
        "evaluate",
        "--pred",
        "matte.####.exr",
        "--truth",
        "truth.####.exr",
        "--trimap",
        "trimap.####.png",
        "--json",
    )
    report = json.loads(matte(*words).out)
    _, alpha = a_picture(1001, 0)
    soft = alpha[(alpha > 0) & (alpha < 1)]
    error = np.abs(np.clip(soft + 0.1, 0, 1) - soft)
    assert report["frames"]["1001"]["SAD"] == pytest.approx(error.sum() / 1000, rel=2e-3)
    assert report["frames"]["1001"]["MSE"] == pytest.approx((error**2).mean() * 1000, rel=4e-3)


def test_folders_are_paired_by_name_and_may_differ_in_size(truth: Folder, matte: Matte) -> None:
    for folder in ("a", "b"):
        (truth / folder).mkdir()
        for name, size in (("one", 20), ("two", 30)):
            save(truth / folder / f"{name}.png", np.full((size, size, 1), 0.4, np.float32), ("Y",))
    answer = matte("evaluate", "--pred", "a", "--truth", "b", "--stills", "--json")
    assert answer.code == 0, answer.error
    assert list(json.loads(answer.out)["frames"]) == ["one", "two"]


def test_nothing_in_common_is_one_sentence(truth: Folder, matte: Matte) -> None:
    save(truth / "other.0001.png", np.zeros((8, 8, 1), np.float32), ("Y",))
    answer = matte("evaluate", "--pred", "other.####.png", "--truth", "truth.####.exr")
    assert answer.code == 2
    assert "1001 … 1005: none in common" in answer.sentence


def test_a_matte_of_another_size_is_one_sentence(truth: Folder, matte: Matte) -> None:
    save(truth / "small.1001.png", np.zeros((8, 8, 1), np.float32), ("Y",))
    answer = matte("evaluate", "--pred", "small.####.png", "--truth", "truth.####.exr")
    assert answer.code == 2
    assert "the matte is 8x8 and the plate is 48x32" in answer.sentence
