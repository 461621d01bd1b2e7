"""The space of a plate: asked for, tagged, or told by its primaries, name and kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from matte_core import colour
from matte_core.colour.gamuts import PUBLISHED
from matte_core.errors import ColourError
from matte_core.frame import Header

from .conftest import header, view

AP1 = [0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767]


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
