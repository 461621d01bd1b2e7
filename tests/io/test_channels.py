"""Which channels are the plate, and which is the matte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_core.errors import UsageError
from matte_core.frame import Header, Window
from matte_core.io.channels import matte_channels, plate_channels, settle_matte
from matte_core.io.image import FileInfo, Part

WINDOW = Window(0, 0, 4, 4)


def file(*parts: tuple[str, str]) -> FileInfo:
    """A file of (part name, "channels apart by blanks")."""
    made = tuple(
        Part(index, name, tuple(channels.split()), ("half",), "zip", False, False, Header(WINDOW, WINDOW))
        for index, (name, channels) in enumerate(parts)
    )
    return FileInfo("shot.1001.exr", "openexr", made, {})


@pytest.mark.parametrize(
    ("channels", "layer", "expected"),
    [
        ("R G B", "", ("R", "G", "B")),
        ("B A G R", "", ("R", "G", "B")),
        ("Y", "", ("Y", "Y", "Y")),
        ("Y A", "", ("Y", "Y", "Y")),
        ("R G B hair.R hair.G hair.B", "hair", ("hair.R", "hair.G", "hair.B")),
        ("R G B hair.red hair.green hair.blue", "hair", ("hair.red", "hair.green", "hair.blue")),
        ("R G B left.hair.R left.hair.G left.hair.B", "left.hair", ("left.hair.R", "left.hair.G", "left.hair.B")),
    ],
)
def test_a_plate_is_the_colour_of_its_layer(channels: str, layer: str, expected: tuple[str, ...]) -> None:
    assert plate_channels(file(("", channels)), layer) == ("", expected)


def test_a_layer_may_be_a_part_of_its_own() -> None:
    info = file(("rgba", "R G B A"), ("hair", "R G B A"), ("depth", "Z"))
    assert plate_channels(info) == ("rgba", ("R", "G", "B"))
    assert plate_channels(info, "hair") == ("hair", ("R", "G", "B"))
    assert plate_channels(info, "", "1") == ("hair", ("R", "G", "B"))
    assert matte_channels(info, "depth") == ("depth", ("Z",), ())


def test_parts_with_one_name_are_told_apart_by_number() -> None:
    info = file(("", "Z"), ("", "R G B"))
    assert plate_channels(info) == ("1", ("R", "G", "B"))


def test_an_unknown_layer_lists_what_there_is() -> None:
    with pytest.raises(UsageError) as caught:
        plate_channels(file(("", "R G B A hair.A hair.B")), "coat")
    assert str(caught.value) == (
        "shot.1001.exr has no R, G and B in layer 'coat'. Its channels are: R G B A, hair.A/B. Name one of them."
    )


def test_a_file_without_colour_is_no_plate() -> None:
    with pytest.raises(UsageError, match="has no R, G and B"):
        plate_channels(file(("", "A")))


@pytest.mark.parametrize(
    ("channels", "layer", "channel", "expected"),
    [
        ("matte", "", "", (("matte",), ())),
        ("A Z", "", "", (("A",), ())),
        ("R G B A hair.A", "hair", "", (("hair.A",), ())),
        ("R G B A hair.A", "", "hair.A", (("hair.A",), ())),
        ("R G B A hair.A", "hair", "A", (("hair.A",), ())),
        ("R G B A hair.A coat.A", "", "hair.A, coat.A", (("hair.A", "coat.A"), ())),
        ("R G B A", "", "G", (("G",), ())),
        ("R G B", "", "", (("R",), ("R", "G", "B"))),
        ("R G B A", "", "", (("A",), ("R", "G", "B", "A"))),
        ("Y A", "", "", (("A",), ("Y", "A"))),
    ],
)
def test_a_matte_is_the_channel_an_artist_means(channels: str, layer: str, channel: str, expected: Any) -> None:
    assert matte_channels(file(("", channels)), layer, "", channel)[1:] == expected


def test_an_unknown_channel_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"has no channel coat\.A\. Its channels are: R G B A, hair\.A"):
        matte_channels(file(("", "R G B A hair.A")), "", "", "coat.A")


def look(**values: Any) -> dict[str, Any]:
    return {name: np.full((4, 4), value, np.float32) for name, value in values.items()}


def test_an_alpha_that_says_something_is_the_matte() -> None:
    assert settle_matte("a.exr", look(R=0.2, G=0.5, B=0.9, A=0.4)) == "A"


def test_a_grey_mask_with_a_solid_alpha_is_its_red() -> None:
    assert settle_matte("a.png", look(R=0.3, G=0.3, B=0.301, A=1.0)) == "R"
    assert settle_matte("a.png", look(Y=0.3, A=1.0)) == "Y"


def test_a_colour_picture_is_no_mask() -> None:
    with pytest.raises(UsageError, match=r"a\.png is a colour picture, and its alpha is solid.*--channel"):
        settle_matte("a.png", look(R=0.3, G=0.5, B=0.3, A=1.0))
    with pytest.raises(UsageError, match="it has no alpha"):
        settle_matte("a.jpg", look(R=0.3, G=0.5, B=0.3))
