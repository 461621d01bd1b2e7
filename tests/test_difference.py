"""A difference matte: grain and a change of light select nothing, a subject is found, and it guides a matte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from matte_core.compose import over
from matte_core.difference import difference_matte, match_light, noise_of, without_specks
from matte_core.engine.engine import Engine
from matte_core.errors import UsageError
from matte_core.frame import Pixels
from matte_core.models.weights import find
from matte_core.ops import difference_matte as difference_op
from matte_core.ops import estimate_alpha
from matte_core.pull import frames
from matte_core.shot import Shot

HEIGHT, WIDTH = 120, 160
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
SUBJECT = np.hypot(ROWS - 60, COLUMNS - 90) < 30


def room(seed: int = 0) -> Pixels:
    """A background with texture, a shaded wall and a lamp of 40."""
    dice = np.random.default_rng(seed)
    light = 0.05 + 0.5 * COLUMNS / WIDTH + 0.1 * np.sin(ROWS / 5) * np.cos(COLUMNS / 7) ** 2
    light = np.stack([light, 0.8 * light + 0.02, 0.6 * light + 0.1 * ROWS / HEIGHT])
    light[:, 4:9, 4:9] = 40
    return np.asarray(light * dice.uniform(0.95, 1.05, light.shape), np.float32)


def grain(light: Pixels, seed: int, amount: float = 0.01) -> Pixels:
    """The light with a sensor's noise: variance = constant + rate x light."""
    deviation = amount * np.sqrt(0.05 + light.clip(0))
    return np.asarray(light + np.random.default_rng(seed).normal(size=light.shape) * deviation, np.float32)


def with_subject(light: Pixels) -> Pixels:
    colour = np.stack([0.5 + 0 * ROWS, 0.2 + 0.1 * np.sin(COLUMNS), 0.1 + 0 * ROWS])
    return np.where(SUBJECT, colour, light).astype(np.float32)


def made(shot: Shot) -> Pixels:
    return next(iter(frames(shot))).pixels


def test_nothing_is_selected_where_nothing_but_grain_differs(shot_of: Any) -> None:
    light = room()
    plate, clean = shot_of([grain(light, 1)]), shot_of([grain(light, 2)])
    assert not made(difference_matte(plate, clean, clean=0)).any()


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (1.3, 0.0), (0.7, 0.01), (1.1, -0.01)])
def test_a_subject_is_found_and_a_change_of_light_is_not(gain: float, offset: float, shot_of: Any) -> None:
    light = room()
    seen = with_subject(gain * light + offset)
    mask = made(difference_matte(shot_of([grain(seen, 1)]), shot_of([grain(light, 2)])))[0]
    assert mask[SUBJECT].mean() > 0.98
    assert (mask[~SUBJECT] > 0).mean() < 0.02  # the ring that the 3 x 3 mean makes around the edge
    away = np.hypot(ROWS - 60, COLUMNS - 90) > 33
    assert not mask[away].any()


def test_without_matching_a_change_of_light_is_a_difference(shot_of: Any) -> None:
    light = room()
    plate, clean = shot_of([grain(1.3 * light, 1)]), shot_of([grain(light, 2)])
    assert made(difference_matte(plate, clean, match=False)).mean() > 0.5


def test_matching_finds_each_channels_gain_under_a_subject_that_covers_half_the_frame() -> None:
    light = room()
    gains = np.float32([1.2, 0.9, 1.05])[:, None, None]
    seen = np.where(COLUMNS < WIDTH / 2, np.float32(0.33), grain(gains * light, 3))
    assert np.allclose(match_light(seen, light)[:, :, 100:], (gains * light)[:, :, 100:], rtol=0.02)


def test_an_even_backing_shows_no_offset_and_none_is_made_up() -> None:
    backing = np.full((3, 64, 64), [[[0.05]], [[0.4]], [[0.1]]], np.float32)
    assert np.allclose(match_light(grain(backing, 0, 0.002), backing), backing, rtol=0.02)


def test_the_noise_is_measured_at_every_brightness_and_a_subject_does_not_move_it() -> None:
    light = np.broadcast_to(np.linspace(0.01, 2, 400, dtype=np.float32), (3, 300, 400)).copy()
    rest = grain(light, 5) - light
    rest[:, 100:160, 100:200] += 0.5
    expected = 0.01 * np.sqrt(0.05 + light)
    assert np.allclose(noise_of(rest, light), expected, rtol=0.2)


def test_the_noise_of_a_picture_of_a_few_pixels_is_the_least_there_is() -> None:
    light = np.broadcast_to(np.linspace(0.01, 2, 20, dtype=np.float32), (3, 12, 20)).copy()
    sigma = noise_of(grain(light, 5) - light, light)
    assert np.isfinite(sigma).all() and (sigma > 0).all()


def test_a_shadow_is_background_only_when_asked(shot_of: Any) -> None:
    light = room()
    shade = np.where(COLUMNS > 110, np.float32(0.8), np.float32(1))
    plate, clean = shot_of([grain(light * shade, 1)]), shot_of([grain(light, 2)])
    assert made(difference_matte(plate, clean))[0, :, 115:].mean() > 0.5
    assert made(difference_matte(plate, clean, shadows=0.3))[0, :, 115:].mean() < 0.01


def test_a_camera_that_moved_a_little_differs_nowhere_once_slack_is_given(shot_of: Any) -> None:
    light = room()
    plate, clean = shot_of([grain(np.roll(light, 2, axis=2), 1)]), shot_of([grain(light, 2)])
    away = np.s_[0, :, 6:-6]
    assert made(difference_matte(plate, clean))[away].any()
    assert not made(difference_matte(plate, clean, slack=2))[away].any()


def test_specks_and_holes_go_by_size() -> None:
    mask = np.zeros((40, 40), np.float32)
    mask[5:7, 5:7], mask[15:35, 15:35] = 1, 1
    mask[20:22, 20:22] = 0
    cleaned = without_specks(mask, 4)
    assert cleaned[5, 5] == 0 and cleaned[20, 20] == 1 and cleaned.sum() == 400
    assert np.array_equal(without_specks(mask, 0), mask)


def test_pixels_that_are_not_finite_are_subject(shot_of: Any) -> None:
    light = room()
    seen = grain(light, 1)
    seen[0, 50:60, 20:30] = np.nan
    assert made(difference_matte(shot_of([seen]), shot_of([grain(light, 2)])))[0, 51:59, 21:29].min() == 1


def test_a_lamp_that_is_switched_on_is_selected_alone(shot_of: Any) -> None:
    light = room()
    seen = grain(light, 1)
    seen[:, 60:66, 30:36] = 65504
    mask = made(difference_matte(shot_of([seen]), shot_of([grain(light, 2)]), clean=0))[0].copy()
    assert mask[60:66, 30:36].min() == 1
    mask[59:67, 29:37] = 0
    assert not mask.any()


def test_a_minimum_of_pixels_is_no_trouble(shot_of: Any) -> None:
    tiny = np.full((3, 2, 3), 0.5, np.float32)
    assert not made(difference_matte(shot_of([tiny]), shot_of([tiny]))).any()


def test_the_operation_takes_a_still_and_gives_a_mask_and_a_trimap_that_guide_a_matte(shot_of: Any) -> None:
    light = room()
    alpha = np.clip((31 - np.hypot(ROWS - 60, COLUMNS - 90)) / 4, 0, 1)[None]
    front = shot_of([np.stack([0.5 + 0 * ROWS, 0.2 + 0 * ROWS, 0.1 + 0 * ROWS])] * 2)
    plate = over(front, shot_of([alpha] * 2), shot_of([light] * 2))
    mask, trimap = difference_op(plate, shot_of([light], "1"), shrink=6, grow=6)
    values = set(np.unique(made(trimap)))
    assert values == {0.0, 0.5, 1.0} and (mask.kind, trimap.kind) == ("matte", "matte")
    assert not (made(trimap)[0][alpha[0] == 0] == 1).any() and not (made(trimap)[0][alpha[0] == 1] == 0).any()
    engine = Engine(torch.device("cpu"), find)
    with torch.inference_mode():
        found = next(frames(estimate_alpha(plate, trimap, "closed-form-device"), [1001], tools=engine)).pixels
    assert np.abs(found - alpha).mean() < 0.01


def test_other_windows_are_one_sentence(shot_of: Any) -> None:
    with pytest.raises(UsageError, match="the clean plate is 32x24 and the plate is 160x120"):
        difference_op(shot_of([room()]), shot_of([np.zeros((3, 24, 32))]))
