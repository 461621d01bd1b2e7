"""A matte is cleared of what moves with the background, and of nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_core.clearing import Track, cleared, spread
from matte_core.frame import Pixels
from matte_core.motion_filter import Neighbour, filtered
from matte_core.ops import smooth_matte
from matte_core.pull import frames

from .test_smoothing import HEIGHT, WIDTH, shifted, strands, texture


def test_a_motion_is_spread_from_where_it_counts_over_where_nothing_does() -> None:
    moved = np.random.default_rng(0).normal(size=(40, 60, 2)).astype(np.float32) * 9
    moved[:, :20] = (2, -1)
    weight = np.zeros((40, 60), np.float32)
    weight[:, :20] = 1
    found = spread(moved, weight)
    assert found.shape == (40, 60, 2)
    assert np.abs(found - np.array([2, -1], np.float32)).max() < 0.05


def track(alpha: float, subject: float, background: float, ground: float = 0.0) -> Track:
    pixel, colour = (4, 4, 1), (4, 4)
    return Track(*(np.full(pixel, value, np.float32) for value in (alpha, ground)),
                 *(np.full(colour, value, np.float32) for value in (subject, background)))  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "background", "made"),
    [(0.2, 0.0, 0.1), (0.0, 0.2, 0.8), (0.0, 0.0, 0.8), (0.2, 0.2, 0.8)],
    ids=["moves with the background", "moves with the subject", "both fit", "neither fits"],
)
def test_alpha_falls_to_the_subject_s_only_where_colour_moves_with_the_background(
    subject: float, background: float, made: float
) -> None:
    alpha = np.full((4, 4, 1), 0.8, np.float32)
    assert np.allclose(cleared(alpha, [track(0.1, subject, background)] * 3), made)
    assert np.allclose(cleared(alpha, [track(1.0, subject, background)] * 3), 0.8)  # it is never raised


def test_alpha_never_falls_below_what_the_same_background_has_in_the_frames_around() -> None:
    alpha = np.full((4, 4, 1), 0.8, np.float32)
    moving = [track(0.1, 0.2, 0.0, ground) for ground in (0.9, 0.6, 0.7)]
    assert np.allclose(cleared(alpha, moving), 0.6)


def lamps() -> tuple[list[Pixels], list[Pixels], list[Pixels], list[Pixels]]:
    """Plates of a body that stands before a pan with lamps, true alphas, alphas in which lamps beside its edge are half
    covered, and where (H, W) these are."""
    front, back, alpha = texture(0, 0.25, 0.6), texture(1, 0.02, 0.2), shifted(strands(), 0, 0)[..., None]
    rows, columns = np.mgrid[: 2 * HEIGHT, : 2 * WIDTH]
    lit = ((rows % 18 < 3) & (columns % 18 < 3)).astype(np.float32)
    near = np.hypot(np.arange(HEIGHT)[:, None] - HEIGHT / 2, np.arange(WIDTH) - WIDTH / 2) < 34
    made: tuple[list[Pixels], ...] = ([], [], [], [])
    for place in range(7):
        way = 2.5 * (place - 3)
        lamp = shifted(lit, way, 0)[..., None]
        ground = shifted(back, way, 0) + lamp * np.array([0.9, 0.6, 0.2], np.float32)
        wrong = (lamp > 0.5) & (alpha < 0.05) & near[..., None]
        plate = alpha * shifted(front, 0, 0) + (1 - alpha) * ground
        pictures = plate, np.where(alpha > 0.999, 1, alpha), np.where(wrong, 0.5, alpha), wrong[..., 0]
        for kept, picture in zip(made, pictures, strict=True):
            kept.append(picture if picture.ndim == 2 else np.moveaxis(picture, -1, 0).astype(np.float32))
    return made[0], made[1], made[2], made[3]


def test_lamps_behind_the_edge_that_a_network_took_for_the_subject_go_and_the_edge_stays(shot_of: Any) -> None:
    plates, truths, wrong, where = lamps()
    smoothed = [f.pixels for f in frames(smooth_matte(shot_of(plates), shot_of(wrong)))]
    middle = slice(2, 5)
    left = np.mean([made[0][lamp].mean() for made, lamp in zip(smoothed[middle], where[middle], strict=True)])
    assert left < 0.25  # of 0.5
    edge = [(truth[0] > 0.3) & (lamp == 0) for truth, lamp in zip(truths[middle], where[middle], strict=True)]
    lost = [np.abs(m[0] - t[0])[e].mean() for m, t, e in zip(smoothed[middle], truths[middle], edge, strict=True)]
    assert max(lost) < 0.02


def test_a_neighbour_fetched_from_elsewhere_does_not_speak_for_colours_it_has_not_seen() -> None:
    alpha, colour = np.full((8, 8, 1), 0.9, np.float32), np.full((8, 8, 3), 0.7, np.float32)
    even = np.zeros((8, 8, 5), np.float32)  # no slope, nothing unexplained, no spread: an even background
    still, sure = np.zeros((8, 8, 2), np.float32), np.ones((8, 8), np.float32)
    elsewhere = Neighbour(np.zeros_like(alpha), np.full_like(colour, 0.1), even, still, sure)
    assert np.allclose(filtered(alpha, colour, [elsewhere] * 4), alpha, atol=0.01)
    same = Neighbour(np.full_like(alpha, 0.7), colour, even, still, sure)
    assert np.allclose(filtered(alpha, colour, [same] * 4), (0.5 * 0.9 + 4 * 0.7) / 4.5, atol=1e-5)


def neighbours(changes: list[float], colour: Pixels) -> list[Neighbour]:
    """Frames that stand still and would change an alpha of a half by so much."""
    even, still = np.zeros((*colour.shape[:2], 5), np.float32), np.zeros((*colour.shape[:2], 2), np.float32)
    sure, half = np.ones(colour.shape[:2], np.float32), np.full((*colour.shape[:2], 1), 0.5, np.float32)
    return [Neighbour(half + np.float32(change), colour, even, still, sure) for change in changes]


def test_neighbours_that_agree_are_followed_and_those_at_odds_are_not() -> None:
    alpha, colour = np.full((8, 8, 1), 0.5, np.float32), np.full((8, 8, 3), 0.7, np.float32)
    mean = 4 * 0.1 / 4.5  # both say so in the mean
    agree, apart = (
        filtered(alpha, colour, neighbours(each, colour)) - 0.5 for each in ([0.1] * 4, [0.4, -0.2, 0.4, -0.2])
    )
    assert np.allclose(agree, mean, atol=1e-4)
    assert (apart > 0).all() and apart.max() < 0.2 * mean


def test_a_filtered_alpha_is_a_number_where_sums_of_squares_end_just_below_zero() -> None:
    random = np.random.default_rng(4)
    colour = random.random((64, 64, 3), np.float32)
    size = np.float32(10) ** -random.integers(0, 7, (24, 64, 1))  # squares of many sizes come and go: nothing is left
    other = np.array(colour)
    other[:24] += np.asarray(size * random.random((24, 64, 3)), np.float32)
    alpha = np.full((64, 64, 1), 0.5, np.float32)
    assert np.isfinite(filtered(alpha, colour, neighbours([0.1, -0.1], other))).all()
