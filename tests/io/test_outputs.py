"""Channel names, codecs and formats: what is let through to a file, and why the rest is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange
from matte_core.io.reader import read_sequence
from matte_core.io.writer import write_frames
from matte_core.shot import Shot

Picture = Callable[..., Path]
Noise = Callable[..., Any]
Pull = Callable[..., list[Frame]]
Raw = Callable[..., Any]

RGB = ("R", "G", "B")


def at(pattern: str, number: int) -> Path:
    return Path(pattern.replace("####", str(number)))


@pytest.mark.parametrize("codec", ["none", "rle", "zips", "zip", "piz", "dwaa", "dwab", "dwaa:80"])
def test_a_matte_is_bit_exact_in_every_codec_that_is_let_through(
    codec: str, tmp_path: Path, picture: Picture, noise: Noise, out: str, pull: Pull, raw: Raw
) -> None:
    pixels = noise(64, 64, 2)
    matte = read_sequence(
        str(picture(tmp_path / "m.1001.exr", pixels, ("hair.A", "coat.A"))), kind="matte", channel="hair.A,coat.A"
    )
    pull(write_frames([matte], [["hair.A", "coat.A"]], out, compression=codec))
    channels, read, entries = raw(at(out, 1001))
    assert entries["compression"] == codec.partition(":")[0]
    for column, name in enumerate(("hair.A", "coat.A")):
        np.testing.assert_array_equal(read[..., channels.index(name)], pixels[..., column])


@pytest.mark.parametrize("codec", ["bogus", "htj2k", "htj2k32", "zstd", "ZIP", "zip:99", "dwaa:x", ""])
def test_a_codec_that_is_not_known_is_refused_and_not_replaced(codec: str, plate: Shot, out: str) -> None:
    with pytest.raises(UsageError, match=r"is not known\. Use one of none, rle, zips, zip"):
        write_frames([plate], [RGB], out, compression=codec)


@pytest.mark.parametrize("codec", ["b44", "b44a", "pxr24"])
def test_a_lossy_codec_is_refused_for_a_matte(codec: str, plate: Shot, matte: Shot, out: str) -> None:
    with pytest.raises(UsageError, match=f"{codec} would change the matte A"):
        write_frames([plate, matte], [RGB, ["A"]], out, compression=codec)
    write_frames([plate], [RGB], out, compression=codec)


def test_dwa_is_refused_for_a_matte_named_like_colour(plate: Shot, matte: Shot, out: str) -> None:
    for name in ("R", "Y", "hair.R", "hair.Y"):
        with pytest.raises(UsageError, match="would change the matte"):
            write_frames([matte], [[name]], out, compression="dwaa")
    write_frames([plate, matte], [RGB, ["A"]], out, compression="dwaa")


def test_names_that_nuke_would_lose_are_refused(plate: Shot, matte: Shot, out: str) -> None:
    for name in ("hair", "1.A", "a.b.A", "hair mask.A", "hair.", "Ä.A"):
        with pytest.raises(UsageError, match="Nuke would not keep"):
            write_frames([matte], [[name]], out)
    with pytest.raises(UsageError, match=r"Two channels are called 'hair\.A' and 'Hair\.A'"):
        write_frames([matte, matte], [["hair.A"], ["Hair.A"]], out)
    with pytest.raises(UsageError, match="has 3 channels"):
        write_frames([plate], [["R", "G"]], out)


def test_a_pattern_for_one_file_cannot_take_a_shot(plate: Shot, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"one file for 4 frames\. Put ####"):
        write_frames([plate], [RGB], str(tmp_path / "out.1001.exr"))


def test_frames_that_an_input_does_not_have_are_refused(plate: Shot, out: str) -> None:
    with pytest.raises(UsageError, match="1005 are to be written, but 'read' has 1001-1004"):
        write_frames([plate], [RGB], out, frames=FrameRange([1004, 1005]))


def test_inputs_of_different_windows_are_refused(
    plate: Shot, out: str, tmp_path: Path, picture: Picture, noise: Noise
) -> None:
    for number in plate.frames:
        picture(tmp_path / "small" / f"s.{number}.exr", noise(2, 2, 1), ("A",))
    small = read_sequence(str(tmp_path / "small"), kind="matte")
    with pytest.raises(UsageError, match="'read' covers 2 x 2 at 0, 0, 'read' 8 x 6 at -2, -1"):
        write_frames([plate, small], [RGB, ["A"]], out)


def test_other_formats_and_depths_are_refused(plate: Shot, out: str) -> None:
    with pytest.raises(UsageError, match=r"written as \.exr, \.png or \.tif"):
        write_frames([plate], [RGB], out.replace(".exr", ".jpg"))
    with pytest.raises(UsageError, match="no depth 'float'"):
        write_frames([plate], [RGB], out.replace(".exr", ".png"), depth="float")
    with pytest.raises(UsageError, match="one channel, RGB or RGBA"):
        write_frames([plate, plate], [RGB, ["a.R", "a.G", "a.B"]], out.replace(".exr", ".png"))
    with pytest.raises(UsageError, match="straight colour only"):
        write_frames([plate], [RGB], out.replace(".exr", ".png"), attributes={"matte/rgb": "premultiplied"})
