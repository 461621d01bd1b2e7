"""Colour: the configuration, the space of a plate, and what a network and a solver are shown of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import PyOpenColorIO as ocio
import pytest
import torch

from matte_core import colour
from matte_core.colour import config as configuration
from matte_core.colour.gamuts import PUBLISHED
from matte_core.errors import ColourError
from matte_core.frame import Attribute, Header, Window

ROOT = Path(__file__).parents[1]
AP1 = [0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767]
LINEAR = [
    "Linear Rec.709 (sRGB)",
    "ACEScg",
    "ACES2065-1",
    "Linear P3-D65",
    "Linear Rec.2020",
    "Linear ARRI Wide Gamut 4",
]
LOG = ["ACEScct", "ARRI LogC3 (EI800)", "ARRI LogC4", "Log3G10 REDWideGamutRGB", "S-Log3 S-Gamut3.Cine", "Apple Log"]
SCREEN = ["sRGB Encoded Rec.709 (sRGB)", "sRGB - Display", "sRGB Encoded P3-D65", "Gamma 2.4 Encoded Rec.709"]

STUDIO = """ocio_profile_version: 2
roles: {scene_linear: show_ap1, aces_interchange: aces_ref, default: plain}
file_rules:
  - !<Rule> {name: Plates, pattern: "*plate*", extension: exr, colorspace: show_ap1}
  - !<Rule> {name: Default, colorspace: plain}
displays: {screen: [!<View> {name: plain, colorspace: plain}]}
colorspaces:
  - !<ColorSpace> {name: aces_ref}
  - !<ColorSpace> {name: plain, isdata: true}
  - !<ColorSpace> {name: show_ap1, to_scene_reference: !<BuiltinTransform> {style: ACEScg_to_ACES2065-1}}
  - !<ColorSpace> {name: twisted, to_scene_reference: !<CDLTransform> {sat: 0.5, power: [2, 2, 2]}}
"""
LEGACY = """ocio_profile_version: 1
search_path: luts
roles: {scene_linear: linear, default: linear}
displays: {screen: [!<View> {name: plain, colorspace: linear}]}
colorspaces:
  - !<ColorSpace> {name: linear}
  - !<ColorSpace> {name: sRGB, to_reference: !<FileTransform> {src: srgb.spi1d, interpolation: linear}}
  - !<ColorSpace> {name: lost, to_reference: !<FileTransform> {src: missing.spi1d, interpolation: linear}}
"""


@pytest.fixture(autouse=True)
def one_thread_and_no_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OCIO", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def studio(tmp_path: Path) -> colour.Config:
    file = tmp_path / "studio.ocio"
    file.write_text(STUDIO)
    return colour.load_config(str(file))


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


def header(linear: bool = True, **metadata: Any) -> Header:
    window = Window(0, 0, 4, 4)
    entries = tuple(Attribute(name.replace("__", ":"), "", value) for name, value in metadata.items())
    return Header(window, window, linear=linear, metadata=entries)


def view(space: str, exposure: float = 1.0) -> colour.View:
    return colour.make_view(colour.load_config(), space, exposure)


def through_ocio(space: str, pixels: Any) -> Any:
    """Linear Rec.709 (3, H, W) as OpenColorIO makes it, without its approximations."""
    processor = colour.load_config().handle.getProcessor(space, "Linear Rec.709 (sRGB)")
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    depth = ocio.BIT_DEPTH_F32
    processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_NONE).applyRGB(rows)
    return rows.transpose(2, 0, 1)


def formula(light: Any, exposure: float) -> Any:
    """The display light of law 3 in double precision, written from its definition."""
    light = np.maximum(light.astype(np.float64) * exposure, 0)
    light = np.where(light <= 0.8, light, 1 - 0.04 / (np.maximum(light, 0.8) - 0.6))
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def plate(space: str) -> Any:
    """A grey ramp from black to light of 100, and colours inside the gamut of Rec.709, in `space`."""
    ramp = np.geomspace(1e-4, 100, 512, dtype=np.float32)
    ramp[0] = 0
    colours = np.random.default_rng(3).random((512, 3), np.float32)
    light = np.concatenate([np.repeat(ramp[:, None], 3, axis=1), colours])
    processor = colour.load_config().handle.getProcessor("Linear Rec.709 (sRGB)", space)
    depth = ocio.BIT_DEPTH_F32
    processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_NONE).applyRGB(light)
    return light.T.reshape(3, 32, 32).copy()


# The configuration


def test_the_argument_comes_before_the_environment_and_that_before_the_pinned_one(
    monkeypatch: pytest.MonkeyPatch, studio: colour.Config, tmp_path: Path
) -> None:
    pinned = colour.load_config()
    assert (pinned.identity, pinned.chosen) == (configuration.PINNED[0], False)
    monkeypatch.setenv("OCIO", str(tmp_path / "studio.ocio"))
    assert colour.load_config().identity == studio.identity
    assert colour.load_config(f"ocio://{configuration.PINNED[1]}").identity == configuration.PINNED[1]


def test_opencolorio_keeps_its_remarks_off_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "remarkable.ocio"
    file.write_text(STUDIO + "surprise: 1\n")
    before = ocio.GetLoggingLevel()
    colour.make_view(colour.load_config(str(file)), "show_ap1")
    assert capfd.readouterr() == ("", "")
    assert ocio.GetLoggingLevel() == before


def test_an_older_library_gets_the_older_pinned_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "PINNED", ("studio-config-of-tomorrow", configuration.PINNED[1]))
    assert colour.load_config().identity == configuration.PINNED[1]


@pytest.mark.parametrize("content", [None, "roles: [", "\0\1"])
def test_an_unreadable_configuration_is_named_with_where_its_path_came_from(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.ocio"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ColourError, match=r"--ocio names '.*broken\.ocio'"):
        colour.load_config(str(file))
    monkeypatch.setenv("OCIO", str(file))
    with pytest.raises(ColourError, match=r"^\$OCIO names '.*broken\.ocio'[^\n]*unset \$OCIO\.$"):
        colour.load_config()
    assert capfd.readouterr() == ("", "")


def test_the_identity_follows_the_contents_and_never_the_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "show.ocio").write_text(STUDIO)
    first, second = (colour.load_config(str(tmp_path / folder / "show.ocio")).identity for folder in ("a", "b"))
    assert first == second and str(tmp_path) not in first
    changed = tmp_path / "a" / "show.ocio"
    changed.write_text(STUDIO + "# edited\n")
    os.utime(changed, ns=(1, 1))
    assert colour.load_config(str(changed)).identity != first


# The space of a plate


@pytest.mark.parametrize("name", ["ACEScg", "acescg", "lin_ap1", "ACES - ACEScg", "Scene_Linear"])
def test_a_space_may_be_asked_for_by_name_alias_or_role_in_any_case(name: str) -> None:
    found = colour.resolve_space(colour.load_config(), header(), "a.exr", name)
    assert found == colour.Resolved("ACEScg", "as asked")


def test_an_unknown_name_is_answered_with_the_names_near_to_it() -> None:
    with pytest.raises(ColourError, match=r"'ACESgc' is not in studio-config.*'ACEScg'"):
        colour.resolve_space(colour.load_config(), header(), "a.exr", "ACESgc")
    with pytest.raises(ColourError, match="ARRI LogC4"):
        colour.resolve_space(colour.load_config(), header(), "a.exr", "logc")


@pytest.mark.parametrize(
    ("known", "space", "why"),
    [
        (header(colorInteropID="lin_ap0_scene", chromaticities=AP1), "ACES2065-1", "the file's colorInteropID"),
        (header(chromaticities=AP1, oiio__ColorSpace="lin_rec709_scene"), "ACEScg", "the file's chromaticities"),
        (header(colorInteropID="unknown", oiio__ColorSpace="ACEScg"), "ACEScg", "the file's oiio:ColorSpace"),
        (header(False, oiio__ColorSpace="srgb_p3d65_scene"), "sRGB Encoded P3-D65", "the file's oiio:ColorSpace"),
        (header(False, chromaticities=AP1), "sRGB Encoded Rec.709 (sRGB)", "default for integer files"),
        (header(), "Linear Rec.709 (sRGB)", "default for float files"),
    ],
)
def test_what_is_known_about_a_file_is_asked_in_order(known: Header, space: str, why: str) -> None:
    assert colour.resolve_space(colour.load_config(), known, "ACES2065-1.exr") == colour.Resolved(space, why)


@pytest.mark.parametrize("known", [header(colorInteropID="mystery"), header(chromaticities=[0.5] * 8)])
def test_a_tag_that_means_nothing_here_is_remarked_on(known: Header) -> None:
    found = colour.resolve_space(colour.load_config(), known, "a.exr")
    assert found.space == "Linear Rec.709 (sRGB)"
    assert "matches no space" in found.why


@pytest.mark.parametrize("broken", [[], "AP1", [0.0] * 8, [float("nan")] * 8, AP1[:7], [*AP1[:7], 0.0]])
def test_broken_chromaticities_do_no_harm(broken: Any) -> None:
    found = colour.resolve_space(colour.load_config(), header(chromaticities=broken), "a.exr")
    assert found.space == "Linear Rec.709 (sRGB)"


@pytest.mark.parametrize("gamut", PUBLISHED, ids=lambda gamut: gamut.interop or str(gamut.chromaticities[:2]))
def test_published_primaries_find_their_space_even_when_rounded(gamut: Any) -> None:
    rounded = header(chromaticities=[round(value, 3) for value in gamut.chromaticities])
    found = colour.resolve_space(colour.load_config(), rounded, "a.exr")
    assert found.why == "the file's chromaticities"
    assert colour.tags_for(colour.load_config(), found.space)[1].value == list(gamut.chromaticities)


def test_a_file_rule_counts_when_it_is_a_real_one_of_a_chosen_configuration(studio: colour.Config) -> None:
    assert colour.resolve_space(studio, header(), "sh010_plate.1001.exr").why.startswith("file rule 'Plates'")
    assert colour.resolve_space(studio, header(), "comp.1001.exr") == colour.Resolved(
        "show_ap1", "default for float files"
    )


def test_an_integer_file_without_a_default_must_be_named(studio: colour.Config) -> None:
    with pytest.raises(ColourError, match=r"photo\.png.*Name it"):
        colour.resolve_space(studio, header(False), "photo.png")


def test_agreed_identifiers_are_understood_by_a_configuration_older_than_they_are() -> None:
    older = colour.load_config("ocio://studio-config-v1.0.0_aces-v1.3_ocio-v2.1")
    assert colour.resolve_space(older, header(colorInteropID="lin_ap1_scene"), "a.exr").space == "ACEScg"
    assert colour.resolve_space(older, header(False), "a.png").space == "sRGB - Texture"
    assert colour.make_view(older, "ACEScg").matrix == view("ACEScg").matrix


@pytest.mark.parametrize(
    ("space", "interop"), [("ACEScg", "lin_ap1_scene"), ("ARRI LogC4", "ocio:arrilogc4_awg4_scene")]
)
def test_tags_survive_a_file_and_lead_back_to_the_space(space: str, interop: str, tmp_path: Path) -> None:
    spec = OpenImageIO.ImageSpec(4, 4, 3, "half")
    for entry in colour.tags_for(colour.load_config(), space):
        spec.attribute(entry.name, OpenImageIO.TypeDesc(entry.type), entry.value)
    output = OpenImageIO.ImageOutput.create(str(tmp_path / "a.exr"))
    assert output.open(str(tmp_path / "a.exr"), spec)
    assert output.write_image(np.zeros((4, 4, 3), np.float32)) and output.close()
    read = OpenImageIO.ImageInput.open(str(tmp_path / "a.exr")).spec()
    tags = {name: read.getattribute(name) for name in ("colorInteropID", "chromaticities")}
    assert tags["colorInteropID"] == interop and len(tags["chromaticities"]) == 8
    assert colour.resolve_space(colour.load_config(), header(**tags), "a.exr").space == space
    del tags["colorInteropID"]
    if space == "ACEScg":
        assert colour.resolve_space(colour.load_config(), header(**tags), "a.exr").space == space


def test_a_space_without_an_identifier_still_replaces_a_stale_one(studio: colour.Config) -> None:
    tagged = header(colorInteropID="lin_rec709_scene").with_attributes(colour.tags_for(studio, "show_ap1"))
    assert tagged.attribute("colorInteropID") == "lin_ap1_scene"
    assert tagged.attribute("chromaticities") == AP1


# Linear light


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


# What a network is shown


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


# The view as a parameter


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


# Exposure


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
