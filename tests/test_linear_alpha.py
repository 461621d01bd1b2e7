"""Alpha of display light made coverage: nearer to the truth, 0 and 1 kept, unchanged where light says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_core.colour import srgb_encode
from matte_core.errors import UsageError
from matte_core.linear_alpha import in_linear_light, linear_alpha
from matte_core.pull import frames


def a_ramp() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scene-linear pixels (3, 48, 64) of a soft edge, its coverage and its share of the encoded colours (1, 48, 64)."""
    coverage = np.clip((np.arange(64, dtype=np.float32) - 20) / 24, 0, 1) * np.ones((1, 48, 1), np.float32)
    front, back = (np.array(colour, np.float32)[:, None, None] for colour in ((0.7, 0.5, 0.2), (0.02, 0.05, 0.1)))
    light = coverage * front + (1 - coverage) * back
    ends = srgb_encode(front), srgb_encode(back)
    line = ends[0] - ends[1]
    display = ((srgb_encode(light) - ends[1]) * line).sum(0, keepdims=True) / np.square(line).sum()
    return light, coverage, np.clip(display, 0, 1).astype(np.float32)


def test_display_alpha_comes_nearer_to_coverage_and_ends_stay() -> None:
    light, coverage, display = a_ramp()
    assert np.abs(display - coverage).max() > 0.15  # what is to be mended
    solved = in_linear_light(srgb_encode(light), display)
    assert np.abs(solved - coverage).mean() < 0.3 * np.abs(display - coverage).mean()
    ends = (display == 0) | (display == 1)
    assert np.array_equal(solved[ends], display[ends])


def test_where_both_sides_have_one_colour_the_alpha_stays() -> None:
    _, _, display = a_ramp()
    grey = np.full((3, 48, 64), 0.5, np.float32)
    assert np.abs(in_linear_light(grey, display) - display).max() < 1e-3


def test_every_layer_of_a_shot_is_solved_by_itself(shot_of: Any) -> None:
    light, coverage, display = a_ramp()
    plate, matte = shot_of([light]), shot_of([np.concatenate([display, 1 - display])])
    (frame,) = frames(linear_alpha(plate, matte))
    assert frame.pixels.shape == (2, 48, 64)
    assert np.abs(frame.pixels[0] - coverage[0]).mean() < 0.5 * np.abs(display - coverage).mean()


def test_shots_without_a_common_frame_are_refused(shot_of: Any) -> None:
    light, _, display = a_ramp()
    with pytest.raises(UsageError, match="none in common"):
        linear_alpha(shot_of([light], "1-1"), shot_of([display], "5-5"))
