"""What a network is shown of a plate, and the view as a parameter that travels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from matte_core import colour

from .conftest import LINEAR, LOG, plate, through_ocio, view

ROOT = Path(__file__).parents[2]


def formula(light: Any, exposure: float) -> Any:
    """The display light of law 3 in double precision, written from its definition."""
    light = np.maximum(light.astype(np.float64) * exposure, 0)
    light = np.where(light <= 0.8, light, 1 - 0.04 / (np.maximum(light, 0.8) - 0.6))
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("space", LINEAR + LOG)
def test_a_network_is_shown_what_the_formula_makes_of_opencolorios_light(space: str) -> None:
    pixels = plate(space)
    shown = colour.encode_for_network(pixels, view(space, 0.7))
    assert np.abs(shown - formula(through_ocio(space, pixels), 0.7)).max() < 1e-3
    assert shown.min() >= 0 and shown.max() <= 1


@pytest.mark.parametrize("space", ["Linear Rec.709 (sRGB)", "ACEScg", "ARRI LogC4", "srgb_tx"])
def test_arrays_tensors_and_halves_are_shown_alike_and_left_alone(space: str) -> None:
    pixels = np.random.default_rng(1).random((2, 3, 8, 16), np.float32) * 2 - 0.1
    looked = view(space, 1.5)
    expected = np.stack([colour.encode_for_network(picture, looked) for picture in pixels])
    tensor = torch.from_numpy(pixels.copy())
    assert np.array_equal(colour.encode_for_network(tensor, looked).numpy(), expected)
    assert np.array_equal(tensor.numpy(), pixels)
    half = colour.encode_for_network(tensor.half(), looked)
    assert half.dtype == torch.float32
    np.testing.assert_allclose(half, colour.encode_for_network(tensor.half().float(), looked), atol=1e-6)


def test_read_only_and_strided_plates_are_taken() -> None:
    rows = np.random.default_rng(2).random((6, 10, 3), np.float32)
    strided = rows.transpose(2, 0, 1)[:, ::2, ::-1]
    strided.flags.writeable = False
    shown = colour.encode_for_network(strided, view("ACEScg"))
    assert np.array_equal(shown, colour.encode_for_network(strided.copy(), view("ACEScg")))


def test_the_shoulder_keeps_what_is_below_it_joins_smoothly_and_never_reaches_one() -> None:
    light = np.linspace(0, 4, 40001, dtype=np.float64).astype(np.float32)
    rolled = colour.shoulder(light).astype(np.float64)
    assert np.array_equal(rolled[light <= 0.8], light[light <= 0.8])
    slope = np.diff(rolled) / 1e-4
    assert np.abs(np.diff(slope)).max() < 0.02 and slope.min() > 0
    top = colour.shoulder(np.array([4, 40, 65504], np.float32))
    assert 0.95 < top[0] < top[1] < top[2] < 1


def test_what_is_not_a_number_is_black_to_a_network_and_finite_to_a_solver() -> None:
    pixels = np.full((3, 1, 4), 0.5, np.float32)
    pixels[0, 0, :3] = np.nan, np.inf, -np.inf
    for space in ("lin_rec709", "ACEScg", "ARRI LogC4", "srgb_tx"):
        shown = colour.encode_for_network(pixels, view(space))
        assert np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1
        assert shown[0, 0, 0] == 0
        assert np.isfinite(colour.solver_light(pixels, view(space))).all()
    assert np.isnan(colour.linear_light(pixels, view("lin_rec709"))[0, 0, 0])


def test_a_display_referred_plate_is_shown_as_it_is() -> None:
    pixels = np.linspace(0, 1, 48, dtype=np.float32).reshape(3, 4, 4)
    looked = view("srgb_tx", exposure=3.0)
    assert looked.display and looked.exposure == 1
    assert np.array_equal(colour.encode_for_network(pixels, looked), pixels)
    assert np.array_equal(colour.solver_light(pixels, looked), pixels)


def test_a_solver_gets_linear_light_times_the_exposure_unclipped() -> None:
    pixels = np.array([-0.1, 0.5, 40.0], np.float32).repeat(3).reshape(3, 3).T[:, None].copy()
    np.testing.assert_allclose(colour.solver_light(pixels, view("ACEScg", 2.0)), pixels * 2, rtol=2e-5)
    assert view("ARRI LogC4").display is False


def test_a_view_rebuilt_in_another_process_without_any_configuration_gives_the_same_pixels() -> None:
    pixels = np.random.default_rng(4).random((3, 4, 5), np.float32)
    views = [view(space, 0.37) for space in ("ACEScg", "ARRI LogC4")]
    text = json.dumps([[looked.to_parameters() for looked in views], pixels.tolist()])
    script = (
        "import json, sys, numpy, matte_core.colour as c; views, pixels = json.load(sys.stdin)\n"
        "p = numpy.array(pixels, numpy.float32)\n"
        "json.dump([c.encode_for_network(p, c.View.from_parameters(v)).tolist() for v in views], sys.stdout)"
    )
    environment = {**os.environ, "OCIO": "/nowhere.ocio", "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", script], input=text, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == [colour.encode_for_network(pixels, looked).tolist() for looked in views]
    assert [colour.View.from_parameters(looked.to_parameters()) for looked in views] == views


def test_threads_may_share_a_view() -> None:
    pixels = np.random.default_rng(6).random((3, 16, 16), np.float32)
    looked = view("ARRI LogC4", 0.8)
    expected = colour.encode_for_network(pixels, looked)
    with ThreadPoolExecutor(4) as pool:
        shown = list(pool.map(lambda _: colour.encode_for_network(pixels, looked), range(32)))
    assert all(np.array_equal(one, expected) for one in shown)
