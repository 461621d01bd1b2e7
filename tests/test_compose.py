"""Compositing in linear light: exact at the ends of alpha, unclamped between, controls that do nothing by default."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from matte_core import compose
from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange, Header, Pixels, Window
from matte_core.memory import hold
from matte_core.pull import frames
from matte_core.shot import Shot

RGB = ("R", "G", "B")


def a_shot(pixels: ArrayLike, numbers: str = "1001", x: int = 0) -> Shot:
    """A shot of one picture; one layer is a matte, three a plate."""
    picture = np.asarray(pixels, np.float32)
    window = Window(x, 0, picture.shape[2], picture.shape[1])
    kept = FrameRange.parse(numbers)
    plate = len(picture) == 3
    names = RGB if plate else [f"layer{index}" for index in range(len(picture))]
    header = Header(window, window, colour_space="lin_rec709" if plate else "")
    return hold(
        lambda place: picture, len(kept), kept, kind="plate" if plate else "matte", header=header, channels=names
    )


def made(shot: Shot) -> Frame:
    return next(iter(frames(shot)))


def noise(channels: int, seed: int = 0, low: float = -0.1, high: float = 40.0) -> Pixels:
    return np.random.default_rng(seed).uniform(low, high, (channels, 24, 32)).astype(np.float32)


def disc(radius: float = 8, side: int = 41) -> Pixels:
    rows, columns = np.mgrid[:side, :side] - side // 2
    return (np.hypot(rows, columns) <= radius)[None].astype(np.float32)


def test_a_composite_is_alpha_times_front_plus_the_rest_of_the_back_without_a_clamp() -> None:
    front, back, alpha = noise(3), noise(3, 1), noise(1, 2, 0, 1)
    front[:, :4] = back[:, :4] = np.float32(-0.1)
    result = made(compose.over(a_shot(front), a_shot(alpha), a_shot(back))).pixels
    expected = alpha.astype(np.float64) * front + (1 - alpha.astype(np.float64)) * back
    assert np.allclose(result, expected, atol=1e-5)
    assert result.min() < 0 and result.max() > 30


def test_over_its_own_plate_a_foreground_rebuilds_it_bit_for_bit_where_alpha_is_0_or_1() -> None:
    plate = noise(3)
    plate[:, 0, 0] = np.float32(-0.0), np.float32(65504), np.float32(1e-20)
    alpha = np.where(noise(1, 3, 0, 1) < 0.5, np.float32(0), np.float32(1))
    front = np.where(alpha == 1, plate, np.float32(3e38))
    result = made(compose.over(a_shot(front), a_shot(alpha), a_shot(plate))).pixels
    assert result.tobytes() == plate.tobytes()


def test_several_instances_cover_together_but_never_more_than_all() -> None:
    layers = np.stack([np.full((4, 4), value, np.float32) for value in (0.5, 0.25, 0.5)])
    layers[2, 0] = 0
    result = made(compose.total(a_shot(layers))).pixels
    assert result.shape == (1, 4, 4)
    assert result[0, 0].tolist() == [0.75] * 4 and result[0, 1].tolist() == [1] * 4


def test_unpremultiply_undoes_premultiply_and_leaves_what_is_not_covered_alone() -> None:
    colour, alpha = noise(3), noise(1, 4, 0.01, 1)
    alpha[0, :5] = 0
    product = made(compose.premultiply(a_shot(colour), a_shot(alpha))).pixels.copy()
    assert not product[:, :5].any()
    product[:, :5] = 7  # light that is added to the picture, as of a flare
    back = made(compose.unpremultiply(a_shot(product), a_shot(alpha))).pixels
    assert np.allclose(back[:, 5:], colour[:, 5:], rtol=1e-6)
    assert (back[:, :5] == 7).all()


def test_an_alpha_too_small_for_a_half_float_does_not_blow_a_pixel_up() -> None:
    alpha = np.full((1, 2, 2), 1e-40, np.float32)
    result = made(compose.unpremultiply(a_shot(np.full((3, 2, 2), 0.5)), a_shot(alpha))).pixels
    assert (result == 0.5).all()


def test_inputs_are_never_altered() -> None:
    front, alpha = noise(3), noise(1, 5, 0, 1)
    kept = front.copy(), alpha.copy()
    refined = compose.refine_matte(a_shot(alpha), 0.1, 0.9, 1.5, 2, 2)
    made(compose.over(a_shot(front), refined, a_shot(noise(3, 6))))
    made(compose.unpremultiply(a_shot(front), a_shot(alpha)))
    assert np.array_equal(front, kept[0]) and np.array_equal(alpha, kept[1])


def test_a_result_keeps_the_number_and_the_header_of_its_first_input() -> None:
    frame = made(compose.premultiply(a_shot(noise(3), "1042"), a_shot(noise(1), "1040-1050")))
    assert frame.number == 1042 and frame.header.colour_space == "lin_rec709"


def test_frames_that_both_have_are_made() -> None:
    shot = compose.premultiply(a_shot(noise(3), "1001-1010"), a_shot(noise(1), "1005-1020"))
    assert str(shot.frames) == "1005-1010"


def test_windows_that_differ_are_refused_when_the_shot_is_made() -> None:
    with pytest.raises(UsageError, match=r"over was given pictures of 32x24 at 0,0 and 32x24 at 4,0\. Give"):
        compose.over(a_shot(noise(3)), a_shot(noise(1), x=4), a_shot(noise(3)))


def test_shots_without_a_common_frame_are_refused_when_the_shot_is_made() -> None:
    with pytest.raises(UsageError, match="without a common frame"):
        compose.premultiply(a_shot(noise(3), "1-5"), a_shot(noise(1), "6-9"))


def test_refining_with_the_defaults_is_the_very_same_matte() -> None:
    matte = a_shot(noise(1, 7, 0, 1))
    assert compose.refine_matte(matte) is matte


def test_clips_bring_the_ends_to_0_and_1_and_keep_a_straight_line_between() -> None:
    matte = a_shot(np.array([[[0.0, 0.1, 0.2, 0.5, 0.8, 0.9, 1.0]]]))
    result = made(compose.refine_matte(matte, black=0.2, white=0.8)).pixels[0, 0]
    assert np.allclose(result, [0, 0, 0, 0.5, 1, 1, 1])
    assert result[1] == 0 and result[5] == 1


@pytest.mark.parametrize("pixels", [1.0, 4.0, -3.0])
def test_growing_moves_an_edge_by_that_many_pixels(pixels: float) -> None:
    square = np.zeros((1, 41, 41))
    square[0, 10:31, 10:31] = 1
    moved = made(compose.refine_matte(a_shot(square), grow=pixels)).pixels[0]
    assert moved[20].sum() == moved[:, 20].sum() == 21 + 2 * pixels


def test_half_a_pixel_grows_halfway() -> None:
    one, two, between = (made(compose.refine_matte(a_shot(disc()), grow=by)).pixels for by in (1, 2, 1.5))
    assert np.allclose(between, (one + two) / 2)
    assert one.sum() < between.sum() < two.sum()


def test_shrinking_does_not_eat_from_the_picture_s_border() -> None:
    full = np.ones((1, 12, 12))
    assert (made(compose.refine_matte(a_shot(full), grow=-3)).pixels == 1).all()


def test_blur_keeps_the_amount_of_matte_and_the_border() -> None:
    blurred = made(compose.refine_matte(a_shot(disc()), blur=4)).pixels
    assert np.isclose(blurred.sum(), disc().sum(), rtol=1e-3)
    assert 0 < blurred[0, 20, 12] < 1
    assert np.allclose(made(compose.refine_matte(a_shot(np.ones((1, 9, 9))), blur=6)).pixels, 1)


def test_gamma_lifts_the_half_covered_edge_and_leaves_the_ends() -> None:
    result = made(compose.refine_matte(a_shot(np.array([[[0, 0.25, 1]]])), gamma=2)).pixels[0, 0]
    assert np.allclose(result, [0, 0.5, 1])


def test_layers_are_refined_each_by_itself() -> None:
    both = np.concatenate([disc(5), np.zeros_like(disc())])
    result = made(compose.refine_matte(a_shot(both), grow=2, blur=3)).pixels
    assert result[0].any() and not result[1].any()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"black": 0.5, "white": 0.5}, "leave nothing between"),
        ({"black": -0.1}, "leave nothing between"),
        ({"white": 1.2}, "leave nothing between"),
        ({"gamma": 0.0}, "cannot be"),
        ({"blur": -1.0}, "cannot be"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_the_shot_is_made(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compose.refine_matte(a_shot(disc()), **settings)


def test_difference_is_nothing_between_equals_and_grows_with_gain() -> None:
    first, second = noise(3), noise(3, 1)
    assert not made(compose.difference(a_shot(first), a_shot(first))).pixels.any()
    apart = made(compose.difference(a_shot(first), a_shot(second), 2)).pixels
    assert np.allclose(apart, 2 * np.abs(first - second))
    with pytest.raises(UsageError, match="3 channels and 1"):
        compose.difference(a_shot(first), a_shot(noise(1)))
