"""Metrics of several instances: nothing for the truth, and for a known error the number that each unit says."""

from __future__ import annotations

import numpy as np
import pytest

from matte_core.evaluate.instance_metrics import Alphas, clip_scores, picture_scores


def discs(frames: int = 1, side: int = 128) -> Alphas:
    """(T, 2, side, side): two soft discs that move."""
    rows, columns = np.mgrid[0:side, 0:side]
    made = [
        [np.clip((28 - np.hypot(rows - 64, columns - 32 - 56 * k - 2 * t)) / 4, 0, 1) for k in range(2)]
        for t in range(frames)
    ]
    return np.asarray(made, np.float32)


def test_the_truth_has_no_error_in_either_unit() -> None:
    truth = discs(4)
    for units in ("published", "usual"):
        scores = picture_scores(truth, truth, units) | clip_scores(truth, truth, units)
        assert set(scores) == {"MAD", "MSE", "SAD", "Grad", "Conn", "MADf", "MADu", "dtSSD", "MESSDdt"}
        assert all(value == pytest.approx(0, abs=1e-9) for value in scores.values())


def test_published_means_carry_the_size_of_the_picture() -> None:
    truth = np.zeros((1, 1, 80, 100), np.float32)
    truth[..., 20:60, 20:60] = 1
    found = truth.copy()
    found[..., 0, :10] = 0.5  # 10 pixels of 8000 half wrong
    usual, published = (picture_scores(found, truth, units) for units in ("usual", "published"))
    assert usual["MAD"] == pytest.approx(1000 * 5 / 8000)
    assert published["MAD"] == pytest.approx(1e10 * 5 / 8000 / 8000)
    assert usual["MSE"] == pytest.approx(1000 * 2.5 / 8000) and published["SAD"] == usual["SAD"] == pytest.approx(0.005)
    assert usual["MADf"] == 0 and usual["MADu"] >= 0


def test_an_instance_that_is_not_there_does_not_count() -> None:
    truth = discs()
    truth[:, 1] = 0
    found = truth.copy()
    found[:, 1] = 1
    assert picture_scores(found, truth, "usual")["MAD"] == 0


def test_flicker_is_measured_over_time_and_a_constant_error_is_none() -> None:
    truth = discs(5)
    shifted = np.clip(truth + np.float32(0.01), 0, 2)
    flickering = truth.copy()
    flickering[1::2, 0] += np.float32(0.1)
    for units in ("published", "usual"):
        assert clip_scores(shifted, truth, units)["dtSSD"] == pytest.approx(0, abs=1e-3)
        assert clip_scores(flickering, truth, units)["MESSDdt"] > 1e-3
    assert clip_scores(flickering, truth, "usual")["dtSSD"] == pytest.approx(1000 * 0.1 / 2, rel=1e-3)  # one of two
    pair, three = 0.1 * (128 * 128 * 0.01) ** 0.5, 0.1 * (3 * 128 * 128 * 0.01) ** 0.5
    assert clip_scores(flickering, truth, "published")["dtSSD"] == pytest.approx((pair + three) / 2 / 2, rel=1e-3)
