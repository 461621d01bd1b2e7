"""What is read from a file, and that nothing wrong is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.errors import SourceError, UsageError
from matte_core.frame import Window
from matte_core.io.attributes import metadata
from matte_core.io.image import read_header, read_pixels

Picture = Callable[..., Path]
Noise = Callable[..., Any]


def test_pixels_come_in_the_order_asked_whatever_the_order_in_the_file(
    tmp_path: Path, picture: Picture, noise: Noise
) -> None:
    pixels = noise(6, 8, 4)
    path = picture(tmp_path / "a.exr", pixels, ("B", "A", "G", "R"))
    read, _ = read_pixels(path, ("R", "G", "B", "A", "R"))
    assert read.shape == (5, 6, 8)
    assert read.dtype == np.float32
    for row, column in enumerate((3, 2, 0, 1, 3)):
        np.testing.assert_array_equal(read[row], pixels[..., column])


def test_values_below_zero_and_far_above_one_survive(tmp_path: Path, picture: Picture) -> None:
    pixels = np.array([[[-0.1, 40.0, 65504.0]]], np.float32)
    read, _ = read_pixels(picture(tmp_path / "a.exr", pixels, pixel_type=oiio.FLOAT), ("R", "G", "B"))
    np.testing.assert_array_equal(read[:, 0, 0], pixels[0, 0])


def test_channels_of_mixed_types_keep_their_values(tmp_path: Path) -> None:
    path = tmp_path / "ids.exr"
    spec = oiio.ImageSpec(3, 2, 3, oiio.FLOAT)
    spec.channelnames = ("A", "id", "Z")
    spec.channelformats = (oiio.HALF, oiio.UINT, oiio.FLOAT)
    target = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), spec)
    packed = np.zeros((2, 3, 10), np.uint8)
    packed[..., 0:2] = np.frombuffer(np.float16(0.5).tobytes(), np.uint8)
    packed[..., 2:6] = np.frombuffer(np.uint32(7).tobytes(), np.uint8)
    packed[..., 6:10] = np.frombuffer(np.float32(1e6).tobytes(), np.uint8)
    assert target.write_image(np.full((2, 3, 3), (0.5, 7 / (2**32 - 1), 1e6), np.float64)), target.geterror()
    assert target.close()
    read, _ = read_pixels(path, ("id", "A", "Z"))
    assert [float(channel.max()) for channel in read] == [7.0, 0.5, 1e6]
    assert set(read_header(path).parts[0].types) == {"half", "uint", "float"}


def test_an_integer_channel_alone_is_read_as_its_numbers(tmp_path: Path, picture: Picture) -> None:
    ids = np.array([[[7], [16_777_215]]], np.uint32)
    read, _ = read_pixels(picture(tmp_path / "ids.exr", ids, ("id",), oiio.UINT), ("id",))
    assert read[0].tolist() == [[7.0, 16_777_215.0]]


def test_windows_in_every_relation_come_as_they_are(shared: Path) -> None:
    files = sorted((shared / "windows").glob("*.exr"))
    assert len(files) > 15
    for path in files:
        source = oiio.ImageInput.open(str(path))
        spec, expected = source.spec(), source.read_image(oiio.FLOAT)
        source.close()
        read, header = read_pixels(path, ("R", "G", "B"))
        assert header.data == Window(spec.x, spec.y, spec.width, spec.height)
        assert header.display == Window(spec.full_x, spec.full_y, spec.full_width, spec.full_height)
        np.testing.assert_array_equal(read, np.moveaxis(expected[..., :3], -1, 0))


@pytest.mark.parametrize("codec", ["rle", "zip", "zips"])
def test_lossless_codecs_agree(shared: Path, codec: str) -> None:
    piz, _ = read_pixels(shared / "compressions" / "comp_piz.exr", ("R", "G", "B", "A"))
    other, _ = read_pixels(shared / "compressions" / f"comp_{codec}.exr", ("R", "G", "B", "A"))
    np.testing.assert_array_equal(piz, other)


def test_text_of_old_software_is_read_as_latin(tmp_path: Path, picture: Picture) -> None:
    path = picture(tmp_path / "a.exr", np.zeros((4, 4, 1), np.float32), ("A",), attributes={"reelName": "AAAA"})
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"\xe9t\xe9\xff"))
    assert read_header(path).parts[0].header.attribute("reelName") == "étéÿ"


@pytest.mark.parametrize(
    ("kind", "pixel_type", "levels"), [("png", "uint8", 255), ("png", "uint16", 65535), ("tif", "uint16", 65535)]
)
def test_integers_are_read_as_zero_to_one_and_not_linear(
    tmp_path: Path, picture: Picture, kind: str, pixel_type: str, levels: int
) -> None:
    pixels = np.array([[[0.0, 100 / levels, 1.0]]], np.float32)
    path = picture(tmp_path / f"a.{kind}", pixels, pixel_type=oiio.TypeDesc(pixel_type).basetype)
    read, header = read_pixels(path, ("R", "G", "B"))
    np.testing.assert_allclose(read[:, 0, 0], pixels[0, 0], atol=1e-7)
    assert not header.linear
    assert read_header(path).parts[0].types[0] == pixel_type


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_straight_colour_is_not_multiplied_by_its_alpha(tmp_path: Path, picture: Picture, kind: str) -> None:
    pixels = np.full((2, 2, 4), (0.8, 0.4, 0.0, 0.2), np.float32)
    path = picture(tmp_path / f"a.{kind}", pixels, pixel_type=oiio.UINT16, attributes={"oiio:UnassociatedAlpha": 1})
    read, _ = read_pixels(path, ("R", "G", "B", "A"))
    np.testing.assert_allclose(read[:, 0, 0], (0.8, 0.4, 0.0, 0.2), atol=1e-4)


def test_a_grey_png_has_one_channel(tmp_path: Path, picture: Picture) -> None:
    path = picture(tmp_path / "a.png", np.full((2, 2, 1), 0.5, np.float32), ("A",), oiio.UINT16)
    assert read_header(path).parts[0].channels == ("Y",)


def test_a_palette_is_read_as_its_colours(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0))
    data = (
        head
        + chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255]))
        + chunk(b"IDAT", zlib.compress(b"\0\0\1"))
        + chunk(b"IEND", b"")
    )
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    read, _ = read_pixels(path, ("R", "G", "B"))
    assert read[:, 0].T.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_parts_are_found_by_name_by_number_and_by_what_they_hold(shared: Path) -> None:
    path = shared / "parts" / "multipart.0001.exr"
    info = read_header(path)
    assert info.parts[4].name == "rgba_left"
    by_name, left = read_pixels(path, ("R",), "rgba_left")
    by_number, _ = read_pixels(path, ("R",), "4")
    np.testing.assert_array_equal(by_name, by_number)
    assert left.data == info.parts[4].header.data != info.parts[0].header.data
    assert read_pixels(path, ("Z",))[1].data == info.parts[1].header.data
    with pytest.raises(SourceError, match="Its channels are: Z"):
        read_pixels(path, ("R",), "depth_left")


def test_an_unknown_part_lists_the_parts(shared: Path) -> None:
    with pytest.raises(UsageError, match=r"no part 'hair'.*rgba_right, depth_left"):
        read_header(shared / "parts" / "multipart.0001.exr").part("hair")


def test_a_missing_channel_lists_the_channels(tmp_path: Path, picture: Picture, noise: Noise) -> None:
    path = picture(tmp_path / "a.1001.exr", noise(2, 2, 3))
    with pytest.raises(SourceError, match=r"a\.1001\.exr \(frame 1001\) has no hair\.A\. Its channels are: R, G, B\."):
        read_pixels(path, ("hair.A",), "", 1001)


def test_the_header_keeps_content_and_drops_storage(tmp_path: Path, picture: Picture, noise: Noise) -> None:
    entries = {
        "compression": "piz",
        "smpte:TimeCode": (oiio.TypeTimeCode, (18_088_706, 0)),
        "reelName": "A001",
        "cryptomatte/f834d0a/name": "object",
        "matte/stamp": "0123",
        "colorInteropID": "lin_ap1_scene",
    }
    info = read_header(picture(tmp_path / "a.exr", noise(4, 4, 3), attributes=entries))
    header = info.parts[0].header
    names = [entry.name for entry in header.metadata]
    assert {"smpte:TimeCode", "reelName", "colorInteropID"} <= set(names)
    assert not [
        n
        for n in names
        if n.startswith(("openexr:", "cryptomatte/", "matte/")) or n in ("compression", "PixelAspectRatio")
    ]
    assert header.attribute("smpte:TimeCode") == [18_088_706, 0]
    assert info.written == {"matte/stamp": "0123"}
    assert info.parts[0].compression == "piz"
    assert header.linear
    assert header.colour_space == ""


@pytest.mark.parametrize(
    "name", ["name", "version", "view", "multiView", "chunkCount", "compression", "PixelAspectRatio"]
)
def test_what_describes_the_file_and_not_its_content_is_no_metadata(name: str) -> None:
    spec = oiio.ImageSpec(2, 2, 3, oiio.HALF)
    spec.attribute(name, 1)
    spec.attribute("reelName", "A001")
    assert [entry.name for entry in metadata(spec)] == ["reelName"]


def test_the_facts_of_a_file_are_plain(tmp_path: Path, picture: Picture, noise: Noise) -> None:
    import json

    path = picture(tmp_path / "a.exr", noise(4, 6, 4), ("R", "G", "B", "A"), origin=(-1, 2), display=(0, 0, 8, 8))
    facts = read_header(path).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["data_window"] == "6 x 4 at -1, 2"
    assert facts["display_window"] == "8 x 8 at 0, 0"
    assert facts["alpha"] is True
