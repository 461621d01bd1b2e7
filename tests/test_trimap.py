"""Trimaps from masks: the band is as wide as asked, follows the mask's softness, and always leaves something known."""

from __future__ import annotations

import re

import numpy as np
import pytest

from matte_core import trimap
from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange, Header, Pixels, Window
from matte_core.memory import hold
from matte_core.pull import frames

SIDE = 101
CENTRE = SIDE // 2


def distance() -> Pixels:
    rows, columns = np.mgrid[:SIDE, :SIDE] - CENTRE
    return np.hypot(rows, columns).astype(np.float32)


def disc(radius: float = 25, ramp: float = 0) -> Pixels:
    """A disc (SIDE, SIDE) whose edge, `ramp` pixels wide, lies about `radius`."""
    if not ramp:
        return (distance() <= radius).astype(np.float32)
    return np.clip((radius - distance()) / ramp + 0.5, 0, 1).astype(np.float32)


def a_frame(pixels: Pixels, number: int = 1042) -> Frame:
    layers = np.array(pixels if pixels.ndim == 3 else pixels[None], np.float32)
    window = Window(0, 0, layers.shape[2], layers.shape[1])
    return Frame(layers, number, Header(window, window))


def band(made: Pixels) -> tuple[int, int]:
    """Unknown pixels inside and outside of an edge 25 pixels away, along the row to the right of the centre."""
    unknown = made[CENTRE, CENTRE:] == 0.5
    return int(unknown[:26].sum()), int(unknown[26:].sum())


@pytest.mark.parametrize(("shrink", "grow"), [(8, 16), (0, 4), (3, 0), (5.5, 7.25)])
def test_the_band_is_as_wide_as_asked_on_each_side_of_a_hard_edge(shrink: float, grow: float) -> None:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[:, : CENTRE + 26] = 1
    assert band(trimap.around_edge(mask, shrink, grow, 1)) == (int(shrink), int(grow))


def test_the_band_is_round() -> None:
    made = trimap.around_edge(disc(), 6, 10, 0)
    assert (made[distance() > 36.5] == 0).all() and (made[distance() < 18] == 1).all()
    assert (made[(distance() > 20) & (distance() < 34.5)] == 0.5).all()


def test_there_are_three_values_and_no_others() -> None:
    made = trimap.around_edge(disc(ramp=12), 4, 4, 1)
    assert made.dtype == np.float32 and set(np.unique(made)) == {0.0, 0.5, 1.0}


def test_what_is_soft_in_the_mask_is_unknown_even_without_a_margin() -> None:
    mask = disc(ramp=10)
    made = trimap.around_edge(mask, 0, 0, 0)
    soft = (mask > trimap.NOTHING) & (mask < trimap.SOLID)
    assert np.array_equal(made == 0.5, soft)


def test_a_softer_edge_has_a_wider_band() -> None:
    widths = [sum(band(trimap.around_edge(disc(ramp=ramp), 2, 2, 1))) for ramp in (2, 8, 16, 24)]
    assert widths == sorted(set(widths))


def test_softness_says_how_much_wider() -> None:
    mask = disc(ramp=20)
    widths = [sum(band(trimap.around_edge(mask, 2, 2, softness))) for softness in (0, 0.5, 1, 2)]
    assert widths == sorted(set(widths))
    ramp = widths[0] - 4
    assert widths[2] - widths[0] == pytest.approx(ramp, abs=0.3 * ramp)


def test_a_soft_strand_far_from_the_solid_widens_by_its_own_width_alone() -> None:
    mask = disc()
    mask[CENTRE - 1 : CENTRE + 2, 78:98] = 0.5
    made = trimap.around_edge(mask, 0, 0, 1)
    assert (made[CENTRE - 1 : CENTRE + 2, 78:98] == 0.5).all()
    assert np.count_nonzero(made[:, 88] == 0.5) <= 6


def test_a_subject_narrower_than_the_margin_keeps_its_middle() -> None:
    made = trimap.around_edge(disc(5), 8, 8, 1)
    assert made[CENTRE, CENTRE] == 1
    assert (made == 0.5).any() and (made == 0).any()


def test_a_gap_narrower_than_the_margin_keeps_its_middle() -> None:
    made = trimap.around_edge(1 - disc(5), 8, 8, 1)
    assert made[CENTRE, CENTRE] == 0


def test_an_empty_mask_is_all_background_and_a_full_one_all_foreground() -> None:
    assert (trimap.around_edge(np.zeros((9, 9), np.float32), 8, 16, 1) == 0).all()
    assert (trimap.around_edge(np.ones((9, 9), np.float32), 8, 16, 1) == 1).all()


def test_a_mask_that_is_soft_everywhere_is_unknown_everywhere() -> None:
    assert (trimap.around_edge(np.full((9, 9), 0.5, np.float32), 8, 16, 1) == 0.5).all()


def test_a_subject_cut_by_the_frame_is_known_up_to_the_frame() -> None:
    mask = np.zeros((40, 40), np.float32)
    mask[10:] = 1
    made = trimap.around_edge(mask, 4, 4, 1)
    assert (made[-1] == 1).all() and (made[20, [0, -1]] == 1).all()


def test_a_shot_of_masks_becomes_a_shot_of_trimaps_layer_by_layer() -> None:
    window = Window(-3, 2, SIDE, SIDE)
    layers = np.stack([disc(25), disc(10, 6)])
    masks = hold(
        lambda place: layers,
        2,
        FrameRange.parse("1001-1002"),
        kind="matte",
        header=Header(window, window),
        channels=["hero", "dog"],
    )
    shot = trimap.trimap_from_mask(masks, shrink=3, grow=5)
    assert shot.channels == ("hero", "dog")
    for frame in frames(shot):
        assert frame.header.data == window
        expected = [trimap.around_edge(layer, 3, 5, 1) for layer in layers]
        assert np.array_equal(frame.pixels, np.stack(expected))


def test_distances_below_zero_are_refused() -> None:
    window = Window(0, 0, 2, 2)
    mask = hold(
        lambda place: np.zeros((1, 2, 2), np.float32),
        1,
        FrameRange([1]),
        kind="matte",
        header=Header(window, window),
        channels=["A"],
    )
    with pytest.raises(UsageError, match="shrink -1"):
        trimap.trimap_from_mask(mask, shrink=-1)


def test_an_eight_bit_trimap_is_snapped_by_thirds() -> None:
    grey = np.array([0, 84, 86, 127, 128, 169, 171, 255], np.float32) / 255
    assert trimap.snap(grey).tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1]


def test_a_trimap_that_can_be_solved_has_nothing_said_about_it() -> None:
    assert trimap.describe_guide(a_frame(trimap.around_edge(disc(), 4, 4, 1)), "trimap") is None


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((4, 4)), r"frame 1042 of the trimap is empty"),
        (np.ones((4, 4)), r"is full"),
        (np.array([[0.0, 1.0]]), r"has no unknown \(grey\) pixel"),
        (np.array([[0.0, 0.5]]), r"has no foreground \(white\)"),
        (np.array([[0.5, 1.0]]), r"has no background \(black\)"),
    ],
)
def test_a_trimap_that_says_nothing_is_described(pixels: Pixels, said: str) -> None:
    described = trimap.describe_guide(a_frame(pixels), "trimap")
    assert described is not None and re.search(said, described)


def test_masks_that_select_nothing_or_everything_are_described() -> None:
    assert "is empty" in str(trimap.describe_guide(a_frame(np.zeros((4, 4))), "mask"))
    assert "is full" in str(trimap.describe_guide(a_frame(np.ones((4, 4))), "mask"))
    assert trimap.describe_guide(a_frame(disc(10)), "mask") is None
