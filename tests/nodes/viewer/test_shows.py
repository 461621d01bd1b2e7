"""What the viewer shows: looks, tints, exposure, sides, composites, and close up."""

from __future__ import annotations

from typing import Any

import numpy as np

from .conftest import held, matte_of, plate_of


def code(light: Any) -> Any:
    """8-bit sRGB of linear light."""
    clipped = np.clip(np.asarray(light, np.float64), 0, 1)
    return np.rint(255 * np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055))


def test_looks_are_made_in_linear_light(opened: Any) -> None:
    ask = opened(plate=plate_of((0.2, 0.4, 0.8), (0.2, 0.4, 0.8)), matte=matte_of(1.0, 0.25))
    plate, grey = np.array([0.2, 0.4, 0.8]), 0.18
    expected = {
        "rgb": [code(plate), code(plate)],
        "alpha": [[255] * 3, [64] * 3],
        "grey": [code(plate), code(0.25 * plate + 0.75 * grey)],
        "colour": [code(plate), code(0.25 * plate + 0.75 * np.array([1, 0, 0]))],
    }
    for look, pixels in expected.items():
        seen = ask("picture", look=look, frame=1, background="#ff0000")
        np.testing.assert_allclose(seen[0], pixels, atol=1, err_msg=look)


def test_an_overlay_tints_the_plate_where_the_matte_is_and_each_layer_in_its_own_colour(opened: Any) -> None:
    layers = np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]], np.float32)
    grey = (0.2, 0.2, 0.2)
    ask = opened(plate=plate_of(grey, grey, grey), matte=held(layers, "matte", ("anna", "ben")))
    anna, ben, none = ask("picture", look="overlay", frame=1)[0].astype(int)
    assert anna[0] > anna[2] + 50 and ben[2] > ben[0] + 50
    np.testing.assert_allclose(none, code(np.array(grey)), atol=1)
    assert ask("about")["layers"] == ["anna", "ben"]
    only = ask("picture", look="alpha", frame=1, layer="ben")[0]
    np.testing.assert_array_equal(only[:, 0], [0, 255, 0])


def test_exposure_and_gamma_change_the_picture_and_bring_highlights_back(opened: Any) -> None:
    ask = opened(plate=plate_of((4.0, 0.1, 0.0)), matte=matte_of(0.25))
    dark = ask("picture", look="rgb", frame=1, exposure=-3)[0, 0]
    np.testing.assert_allclose(dark, code([0.5, 0.0125, 0]), atol=1)
    raised = ask("picture", look="rgb", frame=1, exposure=-3, gamma=2)[0, 0]
    np.testing.assert_allclose(raised, 255 * np.sqrt(code([0.5, 0.0125, 0]) / 255), atol=2)
    np.testing.assert_allclose(ask("picture", look="alpha", frame=1, exposure=1)[0, 0], 127.5, atol=1)


def test_side_b_is_made_of_the_inputs_to_compare(opened: Any) -> None:
    a, b = plate_of((1.0, 0.0, 0.0)), plate_of((0.0, 1.0, 0.0))
    ask = opened(plate=a, matte=matte_of(1.0), compare_plate=b, compare_matte=matte_of(0.0))
    for look, side, expected in (
        ("rgb", "a", (255, 0, 0)),
        ("rgb", "b", (0, 255, 0)),
        ("alpha", "a", (255, 255, 255)),
        ("alpha", "b", (0, 0, 0)),
        ("colour", "b", (0, 0, 255)),
    ):
        seen = ask("picture", look=look, side=side, frame=1, background="#0000ff")[0, 0]
        np.testing.assert_array_equal(seen, expected, err_msg=f"{look} {side}")
    assert ask("about")["compare"] == ["compare_plate", "compare_matte"]


def test_a_composite_is_made_of_the_foreground_where_there_is_one(opened: Any) -> None:
    plate, foreground = plate_of((1.0, 0.0, 0.0)), plate_of((0.0, 1.0, 0.0))
    ask = opened(plate=plate, matte=matte_of(1.0), foreground=foreground)
    np.testing.assert_array_equal(ask("picture", look="grey", frame=1)[0, 0], (0, 255, 0))
    np.testing.assert_array_equal(ask("picture", look="rgb", frame=1)[0, 0], (255, 0, 0))


def test_close_up_a_part_of_the_frame_comes_pixel_by_pixel(opened: Any) -> None:
    pixels = np.random.default_rng(1).random((3, 900, 1600), np.float32)
    ask = opened(plate=held(pixels, "plate", ("R", "G", "B")))
    assert ask("picture", look="rgb", frame=1).shape == (576, 1024, 3)
    seen = ask("picture", look="rgb", frame=1, region="1590,890,10,10")
    np.testing.assert_allclose(seen, code(pixels[:, 890:, 1590:].transpose(1, 2, 0)), atol=1)
