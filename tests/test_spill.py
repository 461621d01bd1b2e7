"""Despill: takes the screen's light alone, in linear light, never adds, and leaves highlights and other colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_core.errors import UsageError
from matte_core.frame import Pixels
from matte_core.ops import despill as despill_op
from matte_core.pull import frames
from matte_core.shot import Shot
from matte_core.spill import despill, despill_from, excess


def made(shot: Shot) -> Pixels:
    return next(iter(frames(shot))).pixels


def noise(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).uniform(-0.1, 40, (3, 24, 32)).astype(np.float32)


def screen(seed: int = 1) -> Pixels:
    """An uneven green screen."""
    shade = np.random.default_rng(seed).uniform(0.5, 1, (24, 32))
    return np.stack([0.1 * shade, 0.6 * shade, 0.15 * shade]).astype(np.float32)


def test_despill_takes_light_from_the_screens_channel_alone_and_never_adds(shot_of: Any) -> None:
    plate = noise()
    cleaned = made(despill(shot_of([plate]), "green"))
    assert np.array_equal(cleaned[[0, 2]], plate[[0, 2]])
    limit = (plate[0] + plate[2]) / 2
    assert np.allclose(cleaned[1], np.minimum(plate[1], limit), atol=1e-5)
    assert despill(plain := shot_of([plate]), "blue", amount=0) is plain


@pytest.mark.parametrize(("balance", "expected"), [(0.0, 0.2), (0.5, 0.4), (1.0, 0.6)])
def test_the_balance_of_despill_chooses_between_the_other_channels(
    balance: float, expected: float, shot_of: Any
) -> None:
    plate = np.full((3, 2, 2), [[[0.2]], [[0.9]], [[0.6]]], np.float32)
    assert np.allclose(made(despill(shot_of([plate]), "green", balance=balance))[1], expected)


def test_another_screen_is_refused(shot_of: Any) -> None:
    with pytest.raises(UsageError, match="'red' is no screen"):
        despill(shot_of([noise()]), "red")


def test_spill_of_the_clean_plates_own_colour_is_taken_whole(shot_of: Any) -> None:
    """A neutral subject lit by the screen comes back as it was lit without it, however uneven the screen is."""
    back, subject = screen(), np.float32([0.4, 0.4, 0.4])[:, None, None]
    share = np.random.default_rng(2).uniform(0, 0.5, (24, 32)).astype(np.float32)
    cleaned = made(despill_from(shot_of([subject + share * back]), shot_of([back])))
    assert np.allclose(cleaned, np.broadcast_to(subject, cleaned.shape), atol=1e-5)


def test_a_see_through_edge_keeps_only_the_subjects_share(shot_of: Any) -> None:
    back, alpha = screen(), np.linspace(0, 1, 32, dtype=np.float32)
    subject = np.float32([0.4, 0.4, 0.4])[:, None, None]
    cleaned = made(despill_from(shot_of([alpha * subject + (1 - alpha) * back]), shot_of([back])))
    assert np.allclose(cleaned, alpha * subject * np.ones_like(back), atol=1e-5)


def test_it_only_ever_takes_and_never_below_nothing(shot_of: Any) -> None:
    plate, back = noise(), screen() * 10
    for balance in (0.0, 0.5, 1.0):
        cleaned = made(despill_from(shot_of([plate]), shot_of([back]), 1.0, balance))
        assert (cleaned <= plate).all()
        assert (cleaned >= np.minimum(plate, 0)).all()
        untouched = excess(plate, 1, balance) <= 0
        assert np.array_equal(cleaned[:, untouched], plate[:, untouched])


def test_highlights_and_other_colours_stay_bit_for_bit(shot_of: Any) -> None:
    plate = np.zeros((3, 24, 32), np.float32)
    plate[:, :8] = 40.0  # a neutral highlight
    plate[:, 8:16] = np.float32([0.8, 0.2, 0.1])[:, None, None]  # skin
    plate[:, 16:] = -0.1
    assert np.array_equal(made(despill_from(shot_of([plate]), shot_of([screen()]))), plate)


def test_amount_goes_evenly_from_nothing_to_all(shot_of: Any) -> None:
    plate, back = shot_of([np.full((3, 24, 32), 0.3, np.float32) + 0.4 * screen()]), shot_of([screen()])
    assert despill_from(plate, back, 0.0) is plate
    whole, half = made(despill_from(plate, back)), made(despill_from(plate, back, 0.5))
    assert np.allclose(half, (made(plate) + whole) / 2, atol=1e-6)


def test_a_blue_screen_needs_no_other_setting_and_a_grey_wall_spills_nothing(shot_of: Any) -> None:
    blue = screen()[[0, 2, 1]]
    plate = np.float32([0.4, 0.4, 0.4])[:, None, None] + 0.3 * blue
    assert np.allclose(made(despill_from(shot_of([plate]), shot_of([blue]))), 0.4, atol=1e-5)
    grey = np.repeat(screen()[:1], 3, axis=0)
    assert np.array_equal(made(despill_from(shot_of([plate]), shot_of([grey]))), plate)


def test_the_operation_holds_a_still_and_says_what_it_misses(shot_of: Any) -> None:
    plate, back = shot_of([0.3 + 0.2 * screen()] * 3), shot_of([screen()], "1")
    shot = despill_op(plate, "clean plate", clean_plate=back)
    assert shot.frames == plate.frames
    assert np.allclose(made(shot), 0.3, atol=1e-5)
    with pytest.raises(UsageError, match="needs the clean plate"):
        despill_op(plate, "clean plate")
    assert "leaves the clean plate aside" in " ".join(despill_op(plate, "green", clean_plate=back).said())
