"""What stands in a frame that was written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.frame import Attribute, Frame, FrameRange
from matte_core.io.image import read_header
from matte_core.io.reader import read_sequence
from matte_core.io.writer import finished, pending, write_frames
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

Picture = Callable[..., Path]
Noise = Callable[..., Any]
Pull = Callable[..., list[Frame]]
Raw = Callable[..., Any]

RGB = ("R", "G", "B")


def _turned(job: Job) -> Result:
    """Pixels that lie in memory as columns: what numpy makes of a transposed picture."""
    frames = [job.one(0, number) for number in job.numbers]
    return Result([frame.having(np.asfortranarray(frame.pixels)) for frame in frames])


def _broken(job: Job) -> Result:
    frames = [job.one(0, number) for number in job.numbers]
    return Result(
        [frame.having(np.array([np.nan, np.inf, -np.inf, 1e5, 1, 0], np.float32).reshape(1, 1, 6)) for frame in frames]
    )


for name, compute in (("test turned", _turned), ("test broken", _broken)):
    register(Verb(name, compute))


def at(pattern: str, number: int) -> Path:
    return Path(pattern.replace("####", str(number)))


def test_a_file_holds_the_channels_of_all_inputs_under_the_plates_header(
    plate: Shot, matte: Shot, out: str, pull: Pull, raw: Raw
) -> None:
    pull(write_frames([plate, matte], [RGB, ["A"]], out))
    for number in plate.frames:
        channels, pixels, entries = raw(at(out, number))
        _, source, before = raw(Path(plate.parameters["folder"]) / f"p_v003.{number}.exr")
        assert channels == ("R", "G", "B", "A")
        np.testing.assert_array_equal(pixels[..., :3], source)
        np.testing.assert_array_equal(pixels[..., 3], (1 - source[..., 0]).astype(np.float16))
        assert entries["windows"] == before["windows"] == (-2, -1, 8, 6, 0, 0, 5, 4)
        assert entries["smpte:TimeCode"] == (number, 89)


def test_metadata_comes_through_unchanged_with_its_types(plate: Shot, out: str, pull: Pull) -> None:
    pull(write_frames([plate], [RGB], out), [1002])
    before = read_header(Path(plate.parameters["folder"]) / "p_v003.1002.exr").parts[0].header
    after = read_header(at(out, 1002)).parts[0].header
    entries = {entry.name: entry for entry in before.metadata}
    assert {"smpte:TimeCode", "FramesPerSecond", "worldToCamera", "box2i", "v2i", "v3i", "views", "reelName"} <= set(
        entries
    )
    assert {entry.name: entry for entry in after.metadata} == entries
    assert after.pixel_aspect == before.pixel_aspect == 2.0


def test_windows_in_every_relation_come_back(shared: Path, tmp_path: Path, pull: Pull, raw: Raw) -> None:
    for path in sorted((shared / "windows").glob("t*.exr")):
        shot = read_sequence(str(path))
        target = tmp_path / path.name
        pull(write_frames([shot], [RGB], str(target), depth="float"))
        (_, before, first), (_, after, second) = raw(path), raw(target)
        assert first["windows"] == second["windows"], path.name
        np.testing.assert_array_equal(after, before[..., :3])


def test_a_frame_says_how_it_was_made(plate: Shot, matte: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([matte], [["A"]], out, attributes={"matte/alpha": "coverage"})
    pull(shot, [1002])
    said = read_header(at(out, 1002)).written
    assert said["matte/stamp"] == shot.stamp(1002)
    assert said["matte/settings"] == shot.settings()
    assert said["matte/alpha"] == "coverage"
    assert said["matte/software"].startswith("Matte ")
    steps = json.loads(said["matte/recipe"])
    assert [step["verb"] for step in steps] == ["read", "test inverted", "write"]
    assert [step["inputs"] for step in steps] == [[], [0], [1]]
    assert str(Path(out).parent) not in said["matte/recipe"]
    assert plate.parameters["folder"] not in said["matte/recipe"]


def test_two_runs_give_the_same_bytes_and_the_date_is_the_plates(
    plate: Shot, tmp_path: Path, pull: Pull, picture: Picture, noise: Noise
) -> None:
    undated = read_sequence(str(picture(tmp_path / "undated.exr", noise(2, 2, 3), attributes={"DateTime": ""})))
    for shot in (plate, undated):
        made = []
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir(exist_ok=True)
            pattern = str(tmp_path / folder / f"{shot.frames[0]}.####.exr")
            pull(write_frames([shot], [RGB], pattern), shot.frames[:1])
            made.append(Path(pattern.replace("####", f"{shot.frames[0]:04d}")))
            os.utime(made[-1], (0, 0))
        assert made[0].read_bytes() == made[1].read_bytes()
        date = read_header(made[0]).parts[0].header.attribute("DateTime")
        assert date == ("2026:01:02 03:04:05" if shot is plate else None)


def test_the_stamp_follows_what_is_in_the_file_and_not_where_it_is(plate: Shot, tmp_path: Path) -> None:
    def stamp(
        names: tuple[str, ...] = RGB, place: str = "a.####.exr", tags: tuple[Attribute, ...] = (), **settings: Any
    ) -> str:
        return write_frames([plate], [names], str(tmp_path / place), tags=tags, **settings).stamp(1002)

    same = stamp()
    assert stamp(place="other/b_v002.%04d.exr") == same
    others = {
        stamp(compression="piz"),
        stamp(depth="float"),
        stamp(names=("fg.R", "fg.G", "fg.B")),
        stamp(attributes={"matte/rgb": "straight"}),
        stamp(tags=(Attribute("colorInteropID", "string", "lin_ap1_scene"),)),
        stamp(place="a.####.tif"),
    }
    assert len(others) == 6
    assert same not in others


def test_colour_tags_are_the_callers_and_a_matte_has_none(
    plate: Shot, out: str, tmp_path: Path, picture: Picture, noise: Noise, pull: Pull
) -> None:
    primaries = (oiio.TypeDesc("float[8]"), (0.71, 0.29, 0.16, 0.83, 0.12, 0.04, 0.32, 0.33))
    entries = {"colorInteropID": "lin_ap1_scene", "chromaticities": primaries}
    tagged = read_sequence(str(picture(tmp_path / "tagged.1001.exr", noise(2, 2, 3), attributes=entries)))
    assert tagged.header.attribute("colorInteropID") == "lin_ap1_scene"
    pull(write_frames([tagged], [RGB], out))
    bare = read_header(at(out, 1001)).parts[0].header
    assert bare.attribute("colorInteropID") is None
    assert bare.attribute("chromaticities") is None
    tags = [
        Attribute("colorInteropID", "string", "lin_rec709_scene"),
        Attribute("chromaticities", "float[8]", [0.5] * 8),
    ]
    pull(write_frames([tagged], [RGB], out, tags=tags))
    told = read_header(at(out, 1001)).parts[0].header
    assert told.attribute("colorInteropID") == "lin_rec709_scene"
    assert told.attribute("chromaticities") == [0.5] * 8


def test_the_mark_of_an_aces_container_does_not_stop_the_writing(
    tmp_path: Path, picture: Picture, noise: Noise, out: str, pull: Pull
) -> None:
    name = "acesImageContainerFlag"
    path = picture(tmp_path / "p.1001.exr", noise(4, 4, 3), attributes={name[:-1] + "#": (oiio.TypeInt, 1)})
    data = path.read_bytes()
    assert data.count(name[:-1].encode() + b"#") == 1
    path.write_bytes(data.replace(name[:-1].encode() + b"#", name.encode()))
    pull(write_frames([read_sequence(str(path))], [RGB], out))
    assert at(out, 1001).is_file()


def test_pixels_in_any_memory_order_are_written(plate: Shot, out: str, pull: Pull, raw: Raw) -> None:
    pull(write_frames([make("test turned", (plate,))], [RGB], out), [1001])
    np.testing.assert_array_equal(raw(at(out, 1001))[1], raw(Path(plate.parameters["folder"]) / "p_v003.1001.exr")[1])


def test_half_holds_no_nan_and_no_infinity_and_keeps_zero_and_one(
    tmp_path: Path, picture: Picture, noise: Noise, out: str, pull: Pull, raw: Raw
) -> None:
    flat = read_sequence(str(picture(tmp_path / "p.1001.exr", noise(1, 6, 3))))
    broken = make("test broken", (flat,), kind="matte", channels=("A",))
    pull(write_frames([broken], [["A"]], out))
    assert raw(at(out, 1001))[1].ravel().tolist() == [0, 65504, -65504, 65504, 1, 0]


def test_float_is_kept_to_the_last_bit(tmp_path: Path, picture: Picture, out: str, pull: Pull, raw: Raw) -> None:
    pixels = np.array([[[1e-30, 1e30, np.float32(1) / 3]]], np.float32)
    shot = read_sequence(str(picture(tmp_path / "p.1001.exr", pixels, pixel_type=oiio.FLOAT)))
    pull(write_frames([shot], [RGB], out, depth="float"))
    np.testing.assert_array_equal(raw(at(out, 1001))[1], pixels)


@pytest.mark.parametrize(
    ("kind", "depth", "step"), [("png", "half", 65535), ("png", "8", 255), ("tif", "16", 65535), ("tif", "8", 255)]
)
def test_png_and_tiff_hold_the_display_window_clamped(
    kind: str, depth: str, step: int, plate: Shot, matte: Shot, out: str, pull: Pull, raw: Raw
) -> None:
    pattern = out.replace(".exr", f".{kind}")
    shot = write_frames([plate, matte], [RGB, ["A"]], pattern, depth=depth)
    pull(shot, [1002])
    path = at(pattern, 1002)
    assert finished(path, shot.stamp(1002))
    assert pending(shot) == FrameRange([1001, 1003, 1004])
    straight = oiio.ImageSpec()
    straight.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), straight)
    pixels = source.read_image(oiio.FLOAT)
    source.close()
    whole = raw(Path(plate.parameters["folder"]) / "p_v003.1002.exr")[1]
    expected = np.dstack([whole, 1 - whole[..., 0]])[1:5, 2:7]
    np.testing.assert_allclose(pixels, np.clip(expected, 0, 1), atol=0.51 / step + 1e-6)


def test_receipts_weigh_nothing(plate: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([plate], [RGB], out)
    assert shot.kind == "receipt"
    assert shot.frame_bytes == 4
    assert [frame.number for frame in pull(shot)] == [1001, 1002, 1003, 1004]


def test_a_written_shot_is_read_again_as_it_was(plate: Shot, matte: Shot, out: str, pull: Pull) -> None:
    pull(write_frames([matte], [["A"]], out))
    again = read_sequence(out, kind="matte")
    assert again.header.data == plate.header.data
    for before, after in zip(pull(matte), pull(again), strict=True):
        np.testing.assert_array_equal(after.pixels, before.pixels.astype(np.float16).astype(np.float32))
        assert after.header.attribute("smpte:TimeCode") == before.header.attribute("smpte:TimeCode")
        assert not [entry for entry in after.header.metadata if entry.name.startswith("matte/")]
