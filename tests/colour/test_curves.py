"""Linear light as OpenColorIO makes it, and the curves written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from matte_core import colour
from matte_core.colour.gamuts import PUBLISHED
from matte_core.errors import ColourError

from .conftest import LINEAR, LOG, header, plate, through_ocio, view

SCREEN = ["sRGB Encoded Rec.709 (sRGB)", "sRGB - Display", "sRGB Encoded P3-D65", "Gamma 2.4 Encoded Rec.709"]

LEGACY = """ocio_profile_version: 1
search_path: luts
roles: {scene_linear: linear, default: linear}
displays: {screen: [!<View> {name: plain, colorspace: linear}]}
colorspaces:
  - !<ColorSpace> {name: linear}
  - !<ColorSpace> {name: sRGB, to_reference: !<FileTransform> {src: srgb.spi1d, interpolation: linear}}
  - !<ColorSpace> {name: lost, to_reference: !<FileTransform> {src: missing.spi1d, interpolation: linear}}
"""


@pytest.fixture
def legacy(tmp_path: Path) -> colour.Config:
    (tmp_path / "luts").mkdir()
    light = colour.srgb_decode(np.linspace(0, 1, 4096, dtype=np.float32))
    table = "\n".join(f"{value:.9f}" for value in light)
    lut = f"Version 1\nFrom 0.0 1.0\nLength 4096\nComponents 1\n{{\n{table}\n}}\n"
    (tmp_path / "luts" / "srgb.spi1d").write_text(lut)
    file = tmp_path / "legacy.ocio"
    file.write_text(LEGACY)
    return colour.load_config(str(file))


@pytest.mark.parametrize("space", LINEAR + LOG + SCREEN)
def test_linear_light_is_what_opencolorio_makes(space: str) -> None:
    pixels = plate(space) if space not in SCREEN else np.random.default_rng(5).random((3, 32, 32), np.float32)
    np.testing.assert_allclose(
        colour.linear_light(pixels, view(space)), through_ocio(space, pixels), rtol=2e-4, atol=2e-5
    )


def test_light_below_black_and_far_above_white_goes_through_unharmed() -> None:
    pixels = np.full((3, 2, 2), -0.1, np.float32)
    pixels[:, 1] = 40.0
    assert np.array_equal(colour.linear_light(pixels, view("lin_rec709")), pixels)
    np.testing.assert_allclose(colour.linear_light(pixels, view("ACEScg")), pixels, rtol=2e-5)


def test_a_picture_on_a_display_is_decoded_by_its_curve_without_a_tone_map() -> None:
    encoded = np.full((3, 1, 1), 0.5, np.float32)
    for space in ("sRGB - Display", "sRGB - Texture", "srgb_tx"):
        np.testing.assert_allclose(colour.linear_light(encoded, view(space)), 0.21404114, rtol=1e-5)
    np.testing.assert_allclose(colour.to_display(np.full((3, 1, 1), 0.18, np.float32)), 0.46135613, rtol=1e-5)


def test_an_srgb_picture_with_highlights_above_one_is_decoded_by_the_same_curve() -> None:
    light = np.full((3, 1, 1), 16.0, np.float32)
    np.testing.assert_allclose(colour.linear_light(colour.srgb_encode(light), view("srgb_tx")), light, rtol=1e-5)


def test_the_srgb_curve_is_its_own_inverse_and_straight_below_black() -> None:
    light = np.concatenate([np.linspace(-1, 1, 4001), np.geomspace(1, 100, 100)]).astype(np.float32)
    np.testing.assert_allclose(colour.srgb_decode(colour.srgb_encode(light)), light, rtol=3e-6, atol=1e-7)
    assert colour.srgb_encode(np.array([-0.1], np.float32))[0] == pytest.approx(-1.292)


def test_a_configuration_without_rec709_is_led_there_by_its_interchange_role(studio: colour.Config) -> None:
    np.testing.assert_allclose(colour.make_view(studio, "show_ap1").matrix, view("ACEScg").matrix, atol=1e-7)


def test_a_configuration_from_before_aces_is_understood(legacy: colour.Config) -> None:
    assert colour.resolve_space(legacy, header(), "a.exr").space == "linear"
    assert colour.resolve_space(legacy, header(False), "a.png").space == "sRGB"
    rec709 = header(chromaticities=list(PUBLISHED[0].chromaticities))
    assert colour.resolve_space(legacy, rec709, "a.exr") == colour.Resolved("linear", "the file's chromaticities")
    assert colour.make_view(legacy, "sRGB").display
    assert not colour.make_view(legacy, "linear").display


def test_a_space_that_is_more_than_a_curve_and_a_matrix_is_refused(studio: colour.Config) -> None:
    for config, space in ((studio, "twisted"), (colour.load_config(), "ADX10")):
        with pytest.raises(ColourError, match=f"'{space}' of .* Convert the plate"):
            colour.make_view(config, space)


def test_a_missing_lut_names_the_space(legacy: colour.Config, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ColourError, match=r"'lost' of legacy .*missing\.spi1d"):
        colour.make_view(legacy, "lost")
    assert capfd.readouterr() == ("", "")
