"""The measures of a trimap: its regions counted, and the best trimap of a fixed radius to compare with."""

from __future__ import annotations

import numpy as np
import pytest

from matte_core.evaluate.regions import REGIONS, best_fixed, count, fixed_trimap, region_scores, sum_of


def test_regions_are_counted_by_truth_and_prediction() -> None:
    truth = np.array([[0.0, 0.0, 0.5, 1.0]])
    prediction = np.array([[0.0, 0.5, 0.5, 0.5]])
    assert count(prediction, truth).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_scores_are_shares_of_intersection_and_union() -> None:
    scores = region_scores(count(np.array([[0.0, 0.5, 0.5, 0.5]]), np.array([[0.0, 0.0, 0.5, 1.0]])))
    assert scores["accuracy"] == pytest.approx(0.5)
    assert [scores[name] for name in REGIONS] == pytest.approx([1 / 2, 1 / 3, 0])
    assert scores["mIoU"] == pytest.approx((1 / 2 + 1 / 3) / 3)


def test_a_region_that_is_nowhere_counts_as_found() -> None:
    nothing = np.zeros((2, 2))
    assert region_scores(count(nothing, nothing)) == dict.fromkeys(("accuracy", *REGIONS, "mIoU"), 1.0)


def test_counts_of_pictures_add_up() -> None:
    one = count(np.zeros((2, 2)), np.ones((2, 2)))
    assert sum_of([one, one])[2, 0] == 8
    assert sum_of([]).tolist() == np.zeros((3, 3)).tolist()


def test_the_best_fixed_trimap_is_the_one_that_was_drawn() -> None:
    rows, columns = np.mgrid[0:100, 0:100]
    masks = [(np.hypot(rows - 50, columns - 50) < radius).astype(np.float32) for radius in (25, 35)]
    truths = [fixed_trimap(mask, 6, 10) for mask in masks]
    radii = [(inside, outside) for inside in (3.0, 6.0, 9.0) for outside in (5.0, 10.0)]
    best, counts = best_fixed(zip(masks, truths, strict=True), radii)
    assert best == (6.0, 10.0)
    assert region_scores(counts)["mIoU"] == 1
