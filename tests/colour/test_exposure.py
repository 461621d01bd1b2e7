"""One exposure for a whole shot, measured in linear light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from matte_core import colour

from .conftest import plate, view


def test_reference_frames_are_spread_evenly_from_first_to_last() -> None:
    assert colour.reference_frames(range(1001, 1101)) == [1001, 1013, 1025, 1038, 1050, 1062, 1075, 1087, 1100]
    assert colour.reference_frames([7, 9]) == [7, 9]
    assert colour.reference_frames([1, 2, 3], most=1) == [2]
    assert colour.reference_frames([]) == []


def noise(mean: float, seed: int = 0) -> Any:
    """Grey of which the log-average is `mean`, with a spread of a stop."""
    grey = np.random.default_rng(seed).normal(np.log(mean), 0.5, (1, 90, 120))
    return np.exp(grey).astype(np.float32).repeat(3, axis=0)


def test_the_log_average_is_brought_to_middle_grey() -> None:
    assert colour.measure_exposure([noise(0.72), noise(0.72, 1)], view("lin_rec709")) == pytest.approx(0.25, rel=0.02)
    assert colour.measure_exposure([noise(0.09)], view("lin_rec709")) == pytest.approx(2.0, rel=0.02)


def test_black_frames_borders_nan_and_a_small_sun_do_not_decide() -> None:
    looked, clean = view("lin_rec709"), noise(0.72)
    expected = colour.measure_exposure([clean], looked)
    spoiled = clean.copy()
    spoiled[:, :20] = 0
    spoiled[:, 30, :10] = np.nan
    spoiled[:, 40:44, 40:44] = 60000.0
    spoiled[:, 50, :5] = np.inf
    black = np.zeros_like(clean)
    assert colour.measure_exposure([black, spoiled, black], looked) == pytest.approx(expected, rel=0.03)


def test_an_actor_before_a_black_wall_is_not_driven_into_the_shoulder() -> None:
    pixels = noise(0.0005)
    pixels[:, :30, :60] = noise(0.3)[:, :30, :60]
    gain = colour.measure_exposure([pixels], view("lin_rec709"))
    assert 1 <= gain < 2.5


def test_a_shot_without_light_keeps_its_exposure_and_a_dark_one_is_not_raised_without_end() -> None:
    looked = view("lin_rec709")
    assert colour.measure_exposure([], looked) == 1.0
    assert colour.measure_exposure([np.zeros((3, 4, 4), np.float32)], looked) == 1.0
    assert colour.measure_exposure([noise(0.001)], looked) == 16.0


def test_exposure_is_measured_in_linear_light_whatever_the_plates_space() -> None:
    pixels = plate("ACEScg")
    encoded = plate("ARRI LogC4")
    first, second = (colour.measure_exposure([p], view(s)) for p, s in ((pixels, "ACEScg"), (encoded, "ARRI LogC4")))
    assert first == pytest.approx(second, rel=0.01)
    assert len(repr(first).replace(".", "").strip("0")) <= 3


def test_display_referred_frames_are_not_even_read() -> None:
    def frames() -> Iterator[Any]:
        raise AssertionError("a frame was read")
        yield

    assert colour.measure_exposure(frames(), view("srgb_tx")) == 1.0


def test_luminance_of_a_batch_and_of_a_picture() -> None:
    white = np.ones((2, 3, 4, 5), np.float32)
    np.testing.assert_allclose(colour.luminance(white), np.ones((2, 4, 5)), rtol=1e-6)
    green = torch.tensor([0.0, 1.0, 0.0]).reshape(3, 1, 1)
    assert colour.luminance(green).item() == pytest.approx(0.7152)


def test_a_view_has_one_exposure_for_the_whole_shot() -> None:
    frames = torch.rand(3, 3, 8, 8)
    looked = replace(view("ACEScg"), exposure=0.5)
    together = colour.encode_for_network(frames, looked)
    assert all(torch.equal(together[i], colour.encode_for_network(frames[i], looked)) for i in range(3))
