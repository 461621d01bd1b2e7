"""Cuts, changed pixels, and the fusion of mattes over time, against values one can work out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from matte_core.frame import FrameRange, Pixels
from matte_core.temporal import change_map, fused, fused_clip, is_cut, step_of, unbroken


def scene(seed: int, height: int = 108, width: int = 192) -> Pixels:
    dice = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    wide = cv2.GaussianBlur(dice, (0, 0), 3) + cv2.GaussianBlur(dice, (0, 0), 15) * 2
    return np.asarray((wide - wide.min()) / np.ptp(wide), np.float32)


def grain(seed: int, picture: Pixels, sigma: float = 0.03) -> Pixels:
    return np.clip(picture + sigma * np.random.default_rng(seed).normal(size=picture.shape), 0, 1).astype(np.float32)


def test_two_scenes_are_a_cut_with_and_without_grain() -> None:
    for seed in range(0, 12, 2):
        assert is_cut(scene(seed), scene(seed + 1))
        assert is_cut(grain(1, scene(seed)), grain(2, scene(seed + 1)))


@pytest.mark.parametrize("what", ["still", "grain", "pan", "fast pan", "flash", "fade", "zoom", "dark"])
def test_what_a_take_does_by_itself_is_no_cut(what: str) -> None:
    wide = scene(3, 108, 300)
    before = wide[:, 40:232]
    after = {
        "still": before,
        "grain": grain(2, before),
        "pan": wide[:, 50:242],
        "fast pan": wide[:, 80:272],
        "flash": np.clip(before * 1.6, 0, 1),
        "fade": before * 0.3,
        "zoom": cv2.resize(before, None, fx=1.15, fy=1.15)[8:116, 14:206],
        "dark": grain(3, before * 0.05),
    }[what]
    before = {"grain": grain(1, before), "dark": grain(4, before * 0.05)}.get(what, before)
    assert not is_cut(np.ascontiguousarray(before), np.ascontiguousarray(after))


def test_even_pictures_are_a_cut_where_they_differ_much() -> None:
    black, grey, white = (np.full((40, 60), value, np.float32) for value in (0, 0.1, 1))
    assert is_cut(black, white) and not is_cut(black, grey) and not is_cut(white, white)


def test_a_window_ends_where_the_shot_does_and_where_frames_are_missing() -> None:
    frames = FrameRange.parse("1-4,7-9")
    assert unbroken(frames, 2, 2, 2, 1) == [1, 2, 3, 4]
    assert unbroken(frames, 7, 2, 1, 1) == [7, 8]
    assert unbroken(frames, 4, 1, 1, 1) == [3, 4]
    assert step_of(frames) == 1 and step_of(FrameRange([5])) == 1 and step_of(FrameRange.parse("1-9x2")) == 2
    assert unbroken(FrameRange.parse("1-9x2"), 5, 1, 1, 2) == [3, 5, 7]


def test_a_change_map_shows_what_moved_and_not_the_grain() -> None:
    before = np.stack([scene(1)] * 3)
    after = before.copy()
    after[:, 40:60, 50:80] = 1 - after[:, 40:60, 50:80]
    for sigma in (0.0, 0.02):
        changed = change_map(grain(1, before, sigma), grain(2, after, sigma))
        inside, outside = changed[42:58, 52:78], np.delete(changed, np.s_[36:64], axis=0)
        assert inside.mean() > 0.85 and outside.mean() < 0.005, sigma
    assert change_map(before, before).max() == 0


def test_the_change_map_of_a_moving_picture_is_not_mistaken_for_noise() -> None:
    wide = scene(3, 108, 300)
    changed = change_map(np.stack([wide[:, 40:232]] * 3), np.stack([wide[:, 52:244]] * 3))
    assert changed.mean() > 0.5


def layer(*values: float) -> Pixels:
    return np.float32([[values]])


def test_an_alpha_that_did_not_change_is_taken_from_its_neighbours_where_both_agree() -> None:
    # unchanged and agreeing; unchanged, the neighbours differ; changed in both; changed since the frame before only
    before, now, after = layer(0.4, 0.4, 0.4, 0.4), layer(0.5, 0.5, 0.5, 0.5), layer(0.4, 0.6, 0.6, 0.6)
    made = fused(before, now, after, np.float32([[0, 0, 1, 1]]), np.float32([[0, 0, 1, 0]]))
    assert made[0, 0].tolist() == pytest.approx([0.4, 0.5, 0.5, 0.5])
    near = fused(before, now, layer(0.41, 0.41, 0.41, 0.41), np.zeros((1, 4)), np.zeros((1, 4)), tolerance=0.02)
    assert near[0, 0].tolist() == pytest.approx([0.4] * 4)


def test_a_clip_is_fused_from_what_was_fused_before_and_its_end_is_carried_forward() -> None:
    alphas = [layer(value) for value in (0.2, 0.9, 0.2, 0.7, 0.5)]
    still = [np.zeros((1, 1), np.float32)] * 5
    forward = [*still[:4], np.full((1, 1), 0.25, np.float32)]
    made = [float(alpha.item()) for alpha in fused_clip(alphas, forward, still)]
    assert made == pytest.approx([0.2, 0.2, 0.2, 0.7, 0.75 * 0.7 + 0.25 * 0.5])
    changed = [np.ones((1, 1), np.float32)] * 5
    assert [float(a.item()) for a in fused_clip(alphas, changed, changed)] == pytest.approx([0.2, 0.9, 0.2, 0.7, 0.5])
    assert fused_clip([], [], []) == [] and len(fused_clip(alphas[:1], still[:1], still[:1])) == 1
