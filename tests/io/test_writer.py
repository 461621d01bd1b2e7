"""Frames written: what stands in the file, when it is finished, what is never done to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.errors import FrameError, OutputError, UsageError
from matte_core.frame import Attribute, Frame, FrameRange
from matte_core.io.image import read_header
from matte_core.io.reader import read_sequence
from matte_core.io.writer import check_output, finished, pending, sweep, write_frames
from matte_core.shot import Job, Result, Shot, Verb, make, register

ROOT = Path(__file__).parents[2]
Picture = Callable[..., Path]
Noise = Callable[..., Any]
Pull = Callable[..., list[Frame]]
Raw = Callable[..., Any]

RGB = ("R", "G", "B")
METADATA = {
    "FramesPerSecond": (oiio.TypeRational, (24000, 1001)),
    "smpte:KeyCode": (oiio.TypeKeyCode, (1, 2, 3, 4, 5, 6, 7)),
    "reelName": "A001_C002",
    "nuke/node_hash": "abc",
    "owner": "the studio",
    "comments": "x" * 300,
    "DateTime": "2026:01:02 03:04:05",
    "worldToCamera": (oiio.TypeMatrix44, tuple(float(np.float32(i / 7)) for i in range(16))),
    "m33": (oiio.TypeMatrix33, tuple(float(i) for i in range(9))),
    "v2i": (oiio.TypeVector2i, (1, 2)),
    "v3i": (oiio.TypeVector3i, (1, 2, 3)),
    "box2i": (oiio.TypeBox2i, (0, 1, 2, 3)),
    "views": (oiio.TypeDesc("string[2]"), ("left", "right")),
    "gain": (oiio.TypeFloat, 0.5),
    "takes": (oiio.TypeInt, -5),
    "screenWindowWidth": (oiio.TypeFloat, 2.0),
    "PixelAspectRatio": (oiio.TypeFloat, 2.0),
}


def _inverted(job: Job) -> Result:
    return Result([job.one(0, number).having(1 - job.one(0, number).pixels[:1]) for number in job.numbers])


def _turned(job: Job) -> Result:
    """Pixels that lie in memory as columns: what numpy makes of a transposed picture."""
    frames = [job.one(0, number) for number in job.numbers]
    return Result([frame.having(np.asfortranarray(frame.pixels)) for frame in frames])


def _broken(job: Job) -> Result:
    frames = [job.one(0, number) for number in job.numbers]
    return Result(
        [frame.having(np.array([np.nan, np.inf, -np.inf, 1e5, 1, 0], np.float32).reshape(1, 1, 6)) for frame in frames]
    )


for name, compute in (("test inverted", _inverted), ("test turned", _turned), ("test broken", _broken)):
    register(Verb(name, compute))


@pytest.fixture
def plate(tmp_path: Path, picture: Picture, noise: Noise) -> Shot:
    """Four frames with overscan and metadata, a timecode each."""
    (tmp_path / "plates").mkdir()
    for number in range(1001, 1005):
        entries = {**METADATA, "smpte:TimeCode": (oiio.TypeTimeCode, (number, 89))}
        path = tmp_path / "plates" / f"p_v003.{number}.exr"
        picture(path, noise(6, 8, 3, number), RGB, attributes=entries, origin=(-2, -1), display=(0, 0, 5, 4))
    return read_sequence(str(tmp_path / "plates" / "p_v003.####.exr"))


def matte_of(plate: Shot) -> Shot:
    return make("test inverted", (plate,), kind="matte", channels=("A",))


@pytest.fixture
def out(tmp_path: Path) -> str:
    (tmp_path / "out").mkdir()
    return str(tmp_path / "out" / "m_v001.####.exr")


def at(pattern: str, number: int) -> Path:
    return Path(pattern.replace("####", str(number)))


def test_a_file_holds_the_channels_of_all_inputs_under_the_plates_header(
    plate: Shot, out: str, pull: Pull, raw: Raw
) -> None:
    pull(write_frames([plate, matte_of(plate)], [RGB, ["A"]], out))
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
    assert len(entries) > len(METADATA) - 1
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


def test_a_frame_says_how_it_was_made(plate: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([matte_of(plate)], [["A"]], out, attributes={"matte/alpha": "coverage"})
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


@pytest.mark.parametrize("name", ["acesImageContainerFlag", "version"])
def test_an_attribute_that_stops_the_library_from_writing_is_left_out(
    name: str, tmp_path: Path, picture: Picture, noise: Noise, out: str, pull: Pull
) -> None:
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
def test_a_lossy_codec_is_refused_for_a_matte(codec: str, plate: Shot, out: str) -> None:
    with pytest.raises(UsageError, match=f"{codec} would change the matte A"):
        write_frames([plate, matte_of(plate)], [RGB, ["A"]], out, compression=codec)
    write_frames([plate], [RGB], out, compression=codec)


def test_dwa_is_refused_for_a_matte_named_like_colour(plate: Shot, out: str) -> None:
    matte = matte_of(plate)
    for name in ("R", "Y", "hair.R", "hair.Y"):
        with pytest.raises(UsageError, match="would change the matte"):
            write_frames([matte], [[name]], out, compression="dwaa")
    write_frames([plate, matte], [RGB, ["A"]], out, compression="dwaa")


def test_names_that_nuke_would_lose_are_refused(plate: Shot, out: str) -> None:
    matte = matte_of(plate)
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


@pytest.mark.parametrize(
    ("kind", "depth", "step"), [("png", "half", 65535), ("png", "8", 255), ("tif", "16", 65535), ("tif", "8", 255)]
)
def test_png_and_tiff_hold_the_display_window_clamped(
    kind: str, depth: str, step: int, plate: Shot, out: str, pull: Pull, raw: Raw
) -> None:
    pattern = out.replace(".exr", f".{kind}")
    shot = write_frames([plate, matte_of(plate)], [RGB, ["A"]], pattern, depth=depth)
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


def test_other_formats_and_depths_are_refused(plate: Shot, out: str) -> None:
    with pytest.raises(UsageError, match=r"written as \.exr, \.png or \.tif"):
        write_frames([plate], [RGB], out.replace(".exr", ".jpg"))
    with pytest.raises(UsageError, match="no depth 'float'"):
        write_frames([plate], [RGB], out.replace(".exr", ".png"), depth="float")
    with pytest.raises(UsageError, match="one channel, RGB or RGBA"):
        write_frames([plate, plate], [RGB, ["a.R", "a.G", "a.B"]], out.replace(".exr", ".png"))
    with pytest.raises(UsageError, match="straight colour only"):
        write_frames([plate], [RGB], out.replace(".exr", ".png"), attributes={"matte/rgb": "premultiplied"})


def test_only_frames_that_are_not_finished_are_pending(plate: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([matte_of(plate)], [["A"]], out)
    assert pending(shot) == shot.frames
    pull(shot)
    assert len(pending(shot)) == 0
    at(out, 1002).unlink()
    path = at(out, 1003)
    path.write_bytes(path.read_bytes()[:-3])
    assert read_header(path).written["matte/stamp"] == shot.stamp(1003)
    assert pending(shot) == FrameRange([1002, 1003])
    assert pending(shot, [1001, 1002]) == FrameRange([1002])


def test_a_new_plate_makes_its_own_frame_pending(plate: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([matte_of(plate)], [["A"]], out)
    pull(shot)
    os.utime(Path(plate.parameters["folder"]) / "p_v003.1003.exr", (0, 0))
    assert pending(shot) == FrameRange([1003])
    check_output(shot)


def test_frames_of_other_settings_are_not_overwritten_without_a_word(plate: Shot, out: str, pull: Pull) -> None:
    pull(write_frames([matte_of(plate)], [["A"]], out))
    other = write_frames([matte_of(plate)], [["hair.A"]], out)
    assert pending(other) == other.frames
    with pytest.raises(OutputError, match=r"m_v001\.1001\.exr stands in .* \(4 of 4 frames\)\. .*--overwrite"):
        check_output(other)
    check_output(other, overwrite=True)
    check_output(write_frames([matte_of(plate)], [["A"]], out))


def test_a_file_of_someone_else_is_not_overwritten_without_a_word(plate: Shot, out: str) -> None:
    at(out, 1003).write_text("not a picture")
    shot = write_frames([plate], [RGB], out)
    with pytest.raises(OutputError, match=r"1003\.exr stands in .* \(1 of 4 frames\)"):
        check_output(shot)
    check_output(shot, numbers=[1001, 1002])


def test_an_input_is_never_overwritten(plate: Shot) -> None:
    shot = write_frames([plate], [RGB], plate.parameters["folder"] + "/p_v003.%04d.exr")
    with pytest.raises(UsageError, match=r"p_v003\.1001\.exr is an input of this shot"):
        check_output(shot, overwrite=True)


def test_the_last_folder_is_made_and_no_more(plate: Shot, tmp_path: Path) -> None:
    check_output(write_frames([plate], [RGB], str(tmp_path / "new" / "a.####.exr")))
    assert (tmp_path / "new").is_dir()
    assert not list((tmp_path / "new").iterdir())
    with pytest.raises(OutputError, match="nor is the one above it"):
        check_output(write_frames([plate], [RGB], str(tmp_path / "no" / "such" / "a.####.exr")))


def test_a_file_in_place_of_the_folder_is_named(plate: Shot, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken cannot be written to"):
        check_output(write_frames([plate], [RGB], str(tmp_path / "taken" / "a.####.exr")))


def test_a_folder_that_goes_away_names_the_path_and_the_cure(plate: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([plate], [RGB], out)
    Path(out).parent.rmdir()
    with pytest.raises(FrameError, match=r"write, frame 1001: m_v001\.1001\.exr cannot be written to .*run again"):
        pull(shot)


FULL = """
import resource, signal, sys
sys.path.insert(0, {root!r})
import numpy as np
from pathlib import Path
from matte_core.errors import OutputError
from matte_core.frame import Header, Window
from matte_core.io.atomic import replacing
from matte_core.io.exr import write_picture
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
window = Window(0, 0, 40, 30)
folder = Path({folder!r})
for kind, format in (("exr", "openexr"), ("png", "png"), ("tif", "tiff")):
    pixels = np.random.default_rng(0).random((1, 30, 40), dtype=np.float32)
    def write(path):
        codec = "zip" if format == "openexr" else ""
        with replacing(path) as temporary:
            depth = "half" if codec else "16"
            write_picture(temporary, format, ["A"], [pixels], Header(window, window), codec, depth, [])
    write(folder / ("whole." + kind))
    size = (folder / ("whole." + kind)).stat().st_size
    for limit in [*range(0, size, size // 25), size - 8, size - 1]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            write(folder / ("short." + kind))
            sys.exit(f"{{limit}} of {{size}} bytes of {{kind}} passed")
        except (OutputError, OSError):
            pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert sorted(path.name for path in folder.glob("*" + kind)) == ["whole." + kind]
assert not list(folder.glob(".*"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to play a full disk with")
def test_a_full_disk_leaves_nothing_under_the_name_whatever_byte_it_stops_at(tmp_path: Path) -> None:
    program = FULL.format(root=str(ROOT), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_failed_frame_leaves_the_finished_one_as_it_was(
    plate: Shot, out: str, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = write_frames([plate], [RGB], out)
    pull(shot)
    before = at(out, 1002).read_bytes()
    monkeypatch.setattr("matte_core.io.exr.chunks.cut_short", lambda path: "its last chunk is cut off")
    with pytest.raises(FrameError, match=r"m_v001\.1002\.exr cannot be written .* its last chunk is cut off"):
        pull(shot, [1002])
    assert at(out, 1002).read_bytes() == before
    assert len(list(Path(out).parent.iterdir())) == 4


def test_receipts_weigh_nothing(plate: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([plate], [RGB], out)
    assert shot.kind == "receipt"
    assert shot.frame_bytes == 4
    assert [frame.number for frame in pull(shot)] == [1001, 1002, 1003, 1004]


def test_sweep_takes_this_shots_leftovers(plate: Shot, out: str) -> None:
    shot = write_frames([plate], [RGB], out)
    assert sweep(shot) == 0


def test_a_written_shot_is_read_again_as_it_was(plate: Shot, out: str, pull: Pull) -> None:
    pull(write_frames([matte_of(plate)], [["A"]], out))
    again = read_sequence(out, kind="matte")
    assert again.header.data == plate.header.data
    for before, after in zip(pull(matte_of(plate)), pull(again), strict=True):
        np.testing.assert_array_equal(after.pixels, before.pixels.astype(np.float16).astype(np.float32))
        assert after.header.attribute("smpte:TimeCode") == before.header.attribute("smpte:TimeCode")
        assert not [entry for entry in after.header.metadata if entry.name.startswith("matte/")]
