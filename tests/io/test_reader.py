"""Shots read from files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.errors import FrameError, SourceError, UsageError
from matte_core.frame import Frame, FrameRange, Window
from matte_core.io.reader import files_behind, hold, read_sequence, with_colour
from matte_core.shot import Shot

Picture = Callable[..., Path]
Noise = Callable[..., Any]
Pull = Callable[..., list[Frame]]


@pytest.fixture
def plate(tmp_path: Path, picture: Picture, noise: Noise) -> str:
    """Five frames, 1001-1005, of 6 x 8 pixels with a timecode each."""
    for number in range(1001, 1006):
        code = (oiio.TypeTimeCode, (number, 0))
        picture(tmp_path / f"p_v003.{number}.exr", noise(6, 8, 3, number), attributes={"smpte:TimeCode": code})
    return str(tmp_path / "p_v003.####.exr")


def test_a_plate_is_its_files(plate: str, pull: Pull, raw: Callable[..., Any]) -> None:
    shot = read_sequence(plate)
    assert shot.kind == "plate"
    assert shot.channels == ("R", "G", "B")
    assert str(shot.frames) == "1001-1005"
    for frame in pull(shot):
        _, pixels, _ = raw(Path(plate.replace("####", str(frame.number))))
        np.testing.assert_array_equal(frame.pixels, np.moveaxis(pixels, -1, 0))
        assert frame.header.attribute("smpte:TimeCode") == [frame.number, 0]
        assert frame.pixels.flags.c_contiguous


def test_the_shot_is_plain_and_comes_back_in_another_process(plate: str, pull: Pull) -> None:
    shot = read_sequence(plate, "1002-1003")
    again = Shot.rebuild(json.loads(json.dumps(shot.describe())))
    assert again.settings() == shot.settings()
    for one, other in zip(pull(shot), pull(again), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_the_folder_is_not_in_the_stamp_and_the_file_is(plate: str, tmp_path: Path) -> None:
    shot = read_sequence(plate)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for number in shot.frames:
        path = Path(plate.replace("####", str(number)))
        (moved / path.name).write_bytes(path.read_bytes())
        os.utime(moved / path.name, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other = read_sequence(str(moved / "p_v003.####.exr"))
    assert other.stamp(1002) == shot.stamp(1002)
    os.utime(moved / "p_v003.1002.exr", (0, 1_000_000))
    assert other.stamp(1002) != shot.stamp(1002)
    assert other.stamp(1003) == shot.stamp(1003)


def test_fractions_of_a_second_do_not_change_the_stamp(plate: str) -> None:
    path = Path(plate.replace("####", "1002"))
    os.utime(path, ns=(0, 5_000_000_000))
    before = read_sequence(plate).stamp(1002)
    os.utime(path, ns=(0, 5_700_000_000))
    assert read_sequence(plate).stamp(1002) == before


def test_a_piece_of_the_shot_has_the_stamps_of_the_whole(plate: str) -> None:
    assert read_sequence(plate, "1003-1004").stamp(1003) == read_sequence(plate).stamp(1003)


def test_held_frames_say_whom_they_stand_for(plate: str, pull: Pull) -> None:
    Path(plate.replace("####", "1003")).unlink()
    with pytest.raises(SourceError, match=r"p_v003\.1003\.exr is missing \(1 of 5 frames: 1003\)"):
        read_sequence(plate)
    shot = read_sequence(plate, missing="hold")
    frames = {frame.number: frame for frame in pull(shot)}
    np.testing.assert_array_equal(frames[1003].pixels, frames[1002].pixels)
    assert frames[1003].header.attribute("matte/held") == 1002
    assert frames[1002].header.attribute("matte/held") is None
    assert "1003" in shot.notes[0]
    assert list(read_sequence(plate, missing="skip").frames) == [1001, 1002, 1004, 1005]


def test_a_frame_that_arrives_later_leaves_the_stamps_of_the_others(plate: str) -> None:
    path = Path(plate.replace("####", "1003"))
    data = path.read_bytes()
    path.unlink()
    before = read_sequence(plate, missing="hold")
    path.write_bytes(data)
    after = read_sequence(plate)
    assert before.settings() == after.settings()
    assert [n for n in after.frames if before.stamp(n) != after.stamp(n)] == [1003]


def test_a_file_cut_short_is_found_before_anything_is_computed(plate: str) -> None:
    path = Path(plate.replace("####", "1003"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SourceError) as caught:
        read_sequence(plate)
    text = str(caught.value)
    assert text.startswith("p_v003.1003.exr (frame 1003) is cut short or damaged")
    assert text.endswith("Render it again or use --missing hold.")
    shot = read_sequence(plate, missing="hold")
    assert shot.parameters["held"] == {"1003": 1002}


def test_an_empty_file_counts_as_missing(plate: str) -> None:
    Path(plate.replace("####", "1002")).write_bytes(b"")
    Path(plate.replace("####", "1004")).write_bytes(b"")
    with pytest.raises(SourceError, match=r"1002\.exr .* is empty .*\(2 of 5 frames cannot be read\)"):
        read_sequence(plate)
    assert list(read_sequence(plate, missing="skip").frames) == [1001, 1003, 1005]


def test_damage_that_comes_later_names_the_frame(plate: str, pull: Pull) -> None:
    shot = read_sequence(plate)
    path = Path(plate.replace("####", "1003"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FrameError, match=r"read, frame 1003: p_v003\.1003\.exr \(frame 1003\)"):
        pull(shot)


def test_windows_that_vary_are_read_over_their_union(tmp_path: Path, picture: Picture, pull: Pull) -> None:
    for number, origin, size in ((1, (2, 1), (3, 4)), (2, (-4, 0), (2, 2)), (3, (5, 5), (1, 1))):
        ones = np.ones((size[1], size[0], 3), np.float32)
        picture(tmp_path / f"a.{number:04d}.exr", ones, origin=origin, display=(0, 0, 8, 8))
    shot = read_sequence(str(tmp_path / "a.####.exr"))
    union = Window(-4, 0, 10, 6)
    assert shot.header.data == union
    frames = pull(shot)
    for frame, (x, y, width, height) in zip(frames, ((2, 1, 3, 4), (-4, 0, 2, 2), (5, 5, 1, 1)), strict=True):
        assert frame.header.data == union
        assert frame.header.display == Window(0, 0, 8, 8)
        assert frame.pixels.shape == (3, 6, 10)
        assert frame.pixels.sum() == 3 * width * height
        assert frame.pixels[:, y : y + height, x + 4 : x + 4 + width].all()
    piece = read_sequence(str(tmp_path / "a.####.exr"), "2")
    assert piece.header.data == union
    assert piece.stamp(2) == shot.stamp(2)


def test_windows_that_do_not_touch_the_display_are_read(
    tmp_path: Path, picture: Picture, noise: Noise, pull: Pull
) -> None:
    pixels = noise(3, 4, 3)
    picture(tmp_path / "a.0001.exr", pixels, origin=(100, 100), display=(0, 0, 8, 8))
    (frame,) = pull(read_sequence(str(tmp_path / "a.####.exr")))
    assert frame.header.data == Window(100, 100, 4, 3)
    np.testing.assert_array_equal(frame.pixels, np.moveaxis(pixels, -1, 0))


def test_a_frame_of_another_size_is_named(plate: str, picture: Picture, noise: Noise) -> None:
    picture(Path(plate.replace("####", "1004")), noise(6, 10, 3))
    with pytest.raises(SourceError, match=r"1004\.exr \(frame 1004\) has a display window of 10 x 6 .* 8 x 6"):
        read_sequence(plate)
    assert read_sequence(plate, "1001-1003").header.data == Window(0, 0, 8, 6)


def test_a_frame_that_lacks_the_layer_is_named(tmp_path: Path, picture: Picture, noise: Noise) -> None:
    names = ("R", "G", "B", "hair.A")
    picture(tmp_path / "a.0001.exr", noise(2, 2, 4), names)
    picture(tmp_path / "a.0002.exr", noise(2, 2, 3))
    with pytest.raises(SourceError, match=r"a\.0002\.exr \(frame 2\) has no hair\.A"):
        read_sequence(str(tmp_path / "a.####.exr"), kind="matte", channel="hair.A")


def test_nan_is_repaired_and_counted_or_refused(tmp_path: Path, picture: Picture, pull: Pull) -> None:
    pixels = np.ones((2, 2, 3), np.float32)
    picture(tmp_path / "a.0001.exr", pixels)
    pixels[0, 0] = (np.nan, np.inf, -np.inf)
    picture(tmp_path / "a.0002.exr", pixels)
    path = str(tmp_path / "a.####.exr")
    good, repaired = pull(read_sequence(path))
    assert good.header.attribute("matte/repaired") is None
    assert repaired.header.attribute("matte/repaired") == 3
    assert repaired.pixels[:, 0, 0].tolist() == [0.0, 65504.0, -65504.0]
    strict = read_sequence(path, nan="error")
    assert strict.settings() == read_sequence(path).settings()
    with pytest.raises(FrameError, match=r"a\.0002\.exr \(frame 2\) has 3 values that are NaN or infinite"):
        pull(strict)


def test_a_grey_file_is_a_plate_with_three_equal_channels(
    tmp_path: Path, picture: Picture, noise: Noise, pull: Pull
) -> None:
    pixels = noise(3, 3, 1)
    picture(tmp_path / "a.0001.exr", pixels, ("Y",))
    (frame,) = pull(read_sequence(str(tmp_path / "a.####.exr")))
    np.testing.assert_array_equal(frame.pixels, np.repeat(np.moveaxis(pixels, -1, 0), 3, axis=0))


def test_the_plates_own_alpha_is_left_out(tmp_path: Path, picture: Picture, noise: Noise, pull: Pull) -> None:
    pixels = noise(3, 3, 4)
    picture(tmp_path / "a.0001.exr", pixels, ("R", "G", "B", "A"))
    (frame,) = pull(read_sequence(str(tmp_path / "a.####.exr")))
    np.testing.assert_array_equal(frame.pixels, np.moveaxis(pixels[..., :3], -1, 0))


def test_a_matte_is_clamped_and_named(tmp_path: Path, picture: Picture, pull: Pull) -> None:
    picture(tmp_path / "a.0001.exr", np.array([[[-0.01, 1.5]]], np.float32), ("hair.A", "coat.A"))
    path = str(tmp_path / "a.####.exr")
    both = read_sequence(path, kind="matte", channel="hair.A,coat.A")
    assert both.channels == ("hair", "coat")
    assert both.kind == "matte"
    (frame,) = pull(both)
    assert frame.pixels.ravel().tolist() == [0.0, 1.0]
    assert read_sequence(path, kind="matte", channel="coat.A").channels == ("A",)


def test_the_matte_of_a_mask_picture_is_settled_from_the_first_frame_of_all(
    tmp_path: Path, picture: Picture, noise: Noise
) -> None:
    for number in (1, 2, 3):
        grey = np.repeat(noise(4, 4, 1, number), 4, axis=2)
        grey[..., 3] = 1.0 if number == 1 else 0.5
        picture(tmp_path / f"m.{number:04d}.png", grey, pixel_type=oiio.UINT8, attributes={"oiio:UnassociatedAlpha": 1})
    path = str(tmp_path / "m.####.png")
    assert read_sequence(path, kind="guide").parameters["channels"] == ["R"]
    assert read_sequence(path, "2-3", kind="guide").parameters["channels"] == ["R"]
    assert read_sequence(path, kind="guide").header.linear


def test_a_colour_picture_given_as_a_mask_is_refused(tmp_path: Path, picture: Picture, noise: Noise) -> None:
    picture(tmp_path / "m.png", noise(4, 4, 3), pixel_type=oiio.UINT8)
    with pytest.raises(UsageError, match="colour picture"):
        read_sequence(str(tmp_path / "m.png"), kind="guide")
    assert read_sequence(str(tmp_path / "m.png"), kind="guide", channel="G").parameters["channels"] == ["G"]


def test_a_still_is_held_for_the_whole_shot(
    plate: str, tmp_path: Path, picture: Picture, noise: Noise, pull: Pull
) -> None:
    picture(tmp_path / "mask_v2.png", noise(6, 8, 1), ("A",), oiio.UINT16)
    still = read_sequence(str(tmp_path / "mask_v2.png"), kind="guide")
    assert list(still.frames) == [0]
    held = hold(still, read_sequence(plate).frames)
    frames = pull(held)
    assert [frame.number for frame in frames] == [1001, 1002, 1003, 1004, 1005]
    assert all(frame.pixels is frames[0].pixels for frame in frames)
    assert held.lookback(1003) == [[0]]
    with pytest.raises(UsageError, match="A still is one frame"):
        hold(read_sequence(plate), FrameRange([1]))


def test_the_colour_is_said_by_shot_and_frames(plate: str, pull: Pull) -> None:
    shot = read_sequence(plate)
    told = with_colour(shot, "ACEScg", True)
    assert told.header.colour_space == "ACEScg"
    assert pull(told, [1002])[0].header.colour_space == "ACEScg"
    assert told.settings() != shot.settings()


def test_a_changed_file_is_not_pressed_into_the_old_window(
    plate: str, picture: Picture, noise: Noise, pull: Pull
) -> None:
    shot = read_sequence(plate)
    picture(Path(plate.replace("####", "1002")), noise(9, 9, 3))
    with pytest.raises(FrameError, match="has changed since the shot was made"):
        pull(shot)


def test_a_file_that_is_gone_is_named_when_stamped(plate: str) -> None:
    shot = read_sequence(plate)
    Path(plate.replace("####", "1002")).unlink()
    with pytest.raises(SourceError, match=r"p_v003\.1002\.exr \(frame 1002\) is gone"):
        shot.stamp(1002)


def test_no_file_stays_open(plate: str, pull: Pull) -> None:
    pull(read_sequence(plate))
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("this system does not list open files")
    assert not [link for link in handles.iterdir() if link.is_symlink() and "p_v003" in str(link.resolve())]


def test_files_behind_a_shot_are_all_its_sources(plate: str) -> None:
    shot = hold(read_sequence(plate, "1002"), FrameRange([1, 2]))
    assert files_behind(shot) == [Path(plate.replace("####", "1002"))]
