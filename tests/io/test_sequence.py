"""What a pattern means on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from matte_core.errors import SourceError, UsageError
from matte_core.frame import FrameRange
from matte_core.io.sequence import find, one_file, output_file, parse, with_part


def touch(folder: Path, names: Iterable[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    return touch(tmp_path / "sh010", [f"plate_v003.{number}.exr" for number in range(1001, 1011)])


@pytest.mark.parametrize("place", ["####", "%04d", "@@@@", "$F4", "#"])
def test_each_spelling_of_four_digits_finds_the_shot(shot: Path, place: str) -> None:
    found = find(f"{shot}/plate_v003.{place}.exr")
    assert str(found.wanted) == "1001-1010"
    assert found.file_for(1004) == shot / "plate_v003.1004.exr"


@pytest.mark.parametrize(
    ("place", "digits"), [("###", 3), ("#####", 5), ("%06d", 6), ("@", 1), ("%d", 1), ("$F", 1), ("##", 2)]
)
def test_the_number_of_digits_is_what_was_written(place: str, digits: int) -> None:
    assert parse(f"shot.{place}.exr")[0].padding == digits


def test_one_sign_is_four_digits_when_written_too(tmp_path: Path) -> None:
    assert output_file(f"{tmp_path}/a.#.exr", 7).name == "a.0007.exr"
    assert output_file(f"{tmp_path}/a.@.exr", 7).name == "a.7.exr"


def test_digits_in_the_folder_and_in_the_version_are_never_replaced(tmp_path: Path) -> None:
    pattern = str(tmp_path / "sh010" / "plate_v003.####.exr")
    assert output_file(pattern, 1001) == tmp_path / "sh010" / "plate_v003.1001.exr"
    assert output_file(str(tmp_path / "sh010" / "plate-v003.####.exr"), 7) == tmp_path / "sh010" / "plate-v003.0007.exr"


@pytest.mark.parametrize("name", ["take1####.exr", "sh010-####.exr", "sh-1####.exr", "comp_2024-11-20####.exr"])
def test_digits_just_before_the_place_belong_to_the_name(tmp_path: Path, name: str) -> None:
    assert output_file(str(tmp_path / name), 1001).name == name.replace("####", "1001")


def test_a_version_with_a_dash_is_no_frame_number(tmp_path: Path) -> None:
    touch(tmp_path, ["plate-v003.1001.exr", "plate-v003.1002.exr"])
    assert str(find(str(tmp_path / "plate-v003.####.exr")).wanted) == "1001-1002"
    assert find(str(tmp_path / "plate-v003.1002.exr")).wanted == FrameRange([1002])


@pytest.mark.parametrize(("digits", "first"), [(3, 101), (4, 1001), (5, 10001)])
def test_three_to_five_digits(tmp_path: Path, digits: int, first: int) -> None:
    touch(tmp_path, [f"plate_v003.{number}.exr" for number in range(first, first + 3)])
    found = find(f"{tmp_path}/plate_v003.{'#' * digits}.exr")
    assert found.wanted == FrameRange(range(first, first + 3))


def test_numbers_longer_than_the_padding_are_frames_of_the_same_shot(tmp_path: Path) -> None:
    touch(tmp_path, [f"a.{number}.exr" for number in range(9998, 10003)])
    found = find(f"{tmp_path}/a.####.exr")
    assert str(found.wanted) == "9998-10002"
    assert found.file_for(10001).name == "a.10001.exr"
    assert output_file(f"{tmp_path}/a.####.exr", 10001).name == "a.10001.exr"


def test_five_padded_digits_are_not_frames_of_a_four_digit_shot(tmp_path: Path) -> None:
    touch(tmp_path, ["a.01001.exr", "a.01002.exr"])
    with pytest.raises(SourceError, match=r"a\.####\.exr is not in .* a\.#####\.exr 1001-1002"):
        find(f"{tmp_path}/a.####.exr")


def test_a_range_may_stand_in_the_pattern(shot: Path) -> None:
    assert str(find(f"{shot}/plate_v003.1002-1005#.exr").wanted) == "1002-1005"
    assert str(find(f"{shot}/plate_v003.1001-1010x2####.exr").wanted) == "1001-1009x2"
    assert str(find(f"{shot}/plate_v003.####.exr", "1003-1004").wanted) == "1003-1004"


def test_a_range_that_another_program_reads_differently_is_refused(shot: Path) -> None:
    with pytest.raises(UsageError, match="not understood"):
        find(f"{shot}/plate_v003.1001-1010:2####.exr")


def test_a_shot_rendered_every_second_frame_has_no_gaps(tmp_path: Path) -> None:
    touch(tmp_path, [f"a.{number}.exr" for number in range(1001, 1010, 2)])
    found = find(f"{tmp_path}/a.####.exr")
    assert str(found.wanted) == "1001-1009x2"
    assert len(found.missing) == 0


def test_a_single_file_is_one_frame_with_its_number(shot: Path) -> None:
    found = find(f"{shot}/plate_v003.1004.exr")
    assert found.wanted == FrameRange([1004])
    assert not found.still


@pytest.mark.parametrize("name", ["mask.png", "mask_v003.png", "mask2.png", "clean_plate_02.png", "sky_4k.exr"])
def test_a_picture_without_a_frame_number_is_a_still(tmp_path: Path, name: str) -> None:
    touch(tmp_path, [name])
    found = find(str(tmp_path / name))
    assert found.still
    assert found.wanted == FrameRange([0])
    assert found.file_for(0) == tmp_path / name


@pytest.mark.parametrize(
    ("name", "number"), [("0007.png", 7), ("a.7.png", 7), ("frame0012.png", 12), ("a_1001.exr", 1001)]
)
def test_common_ways_of_numbering_a_single_file(tmp_path: Path, name: str, number: int) -> None:
    touch(tmp_path, [name])
    assert find(str(tmp_path / name)).wanted == FrameRange([number])


def test_a_folder_with_one_sequence_is_that_sequence(shot: Path) -> None:
    touch(shot, [".plate_v003.1001.exr.0000.tmp", "notes.txt", "Thumbs.db"])
    found = find(str(shot))
    assert str(found.wanted) == "1001-1010"
    assert found.pattern.name == "plate_v003.####.exr"


def test_a_folder_with_more_says_what_is_there(shot: Path) -> None:
    touch(shot, ["plate_v004.1001.exr", "mask.png"])
    with pytest.raises(SourceError, match=r"mask\.png, plate_v003\.####\.exr 1001-1010, plate_v004\.####\.exr 1001\."):
        find(str(shot))


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no pictures"):
        find(str(tmp_path))


def test_a_wrong_name_lists_the_nearest_sequences_with_their_ranges(shot: Path) -> None:
    touch(shot, ["bg.1001.exr"])
    with pytest.raises(SourceError) as caught:
        find(f"{shot}/plate_v002.####.exr")
    text = str(caught.value)
    assert "plate_v002.####.exr" in text
    assert str(shot) in text
    assert text.index("plate_v003.####.exr 1001-1010") < text.index("bg.####.exr 1001")


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere is not there"):
        find(f"{tmp_path}/nowhere/a.####.exr")


def test_a_range_outside_the_shot_names_the_shot(shot: Path) -> None:
    with pytest.raises(UsageError, match="1001-1010, but 1011-1012 was asked for"):
        find(f"{shot}/plate_v003.####.exr", "1005-1012")


def test_a_gap_names_the_first_file_and_all_numbers(shot: Path) -> None:
    (shot / "plate_v003.1004.exr").unlink()
    (shot / "plate_v003.1007.exr").unlink()
    found = find(f"{shot}/plate_v003.####.exr")
    with pytest.raises(SourceError) as caught:
        found.settle("error")
    assert str(caught.value) == (
        "plate_v003.1004.exr is missing (2 of 10 frames: 1004, 1007). Render it again or use --missing hold."
    )


def test_hold_takes_the_frame_before_and_at_the_start_the_frame_after(tmp_path: Path) -> None:
    touch(tmp_path, ["a.1002.exr", "a.1004.exr", "a.1005.exr"])
    found = find(f"{tmp_path}/a.1002-1005####.exr")
    assert found.settle("hold") == {1002: 1002, 1003: 1002, 1004: 1004, 1005: 1005}
    assert found.without([1002]).settle("hold")[1002] == 1004


def test_skip_leaves_the_numbers_out(tmp_path: Path) -> None:
    touch(tmp_path, ["a.1002.exr", "a.1004.exr", "a.1005.exr"])
    assert list(find(f"{tmp_path}/a.####.exr").settle("skip")) == [1002, 1004, 1005]


def test_negative_frames_are_read_after_a_separator(tmp_path: Path) -> None:
    touch(tmp_path, ["a.-0002.exr", "a.-0001.exr", "a.0000.exr", "a.0001.exr"])
    found = find(f"{tmp_path}/a.####.exr")
    assert found.wanted == FrameRange([-2, -1, 0, 1])
    assert found.file_for(-2).name == "a.-0002.exr"


def test_a_dash_before_the_number_is_part_of_the_name_where_the_pattern_says_so(tmp_path: Path) -> None:
    touch(tmp_path, ["sh010-1001.exr", "sh010-1002.exr"])
    assert find(f"{tmp_path}/sh010-####.exr").wanted == FrameRange([1001, 1002])


def test_a_folder_name_with_brackets_and_signs_is_taken_as_it_is(tmp_path: Path) -> None:
    touch(tmp_path / "a [v#1] %d", ["p.0001.exr", "p.0002.exr"])
    assert find(f"{tmp_path}/a [v#1] %d/p.####.exr").wanted == FrameRange([1, 2])


def test_two_places_for_the_number_are_refused() -> None:
    with pytest.raises(UsageError, match="2 places"):
        parse("a.####.b.####.exr")


def test_one_file_cannot_hold_a_shot(tmp_path: Path) -> None:
    assert one_file(f"{tmp_path}/out.1001.exr")
    assert not one_file(f"{tmp_path}/out.####.exr")
    assert output_file(f"{tmp_path}/out.1001.exr", 1005).name == "out.1001.exr"


def test_a_range_in_an_output_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--frames"):
        output_file(f"{tmp_path}/out.1001-1010####.exr", 1001)


@pytest.mark.parametrize(
    ("pattern", "with_straight"),
    [
        ("/a/v001/shot.####.exr", "/a/v001/shot_straight.####.exr"),
        ("/a/shot_####.exr", "/a/shot_straight_####.exr"),
        ("/a/shot%04d.exr", "/a/shot_straight%04d.exr"),
        ("/a/####.exr", "/a/straight.####.exr"),
        ("/a/out.v2.exr", "/a/out.v2_straight.exr"),
    ],
)
def test_a_deliverable_is_named_in_the_base_name(pattern: str, with_straight: str) -> None:
    assert Path(with_part(pattern, "straight")) == Path(with_straight)


def test_a_sequence_beyond_reason_asks_for_a_range(tmp_path: Path) -> None:
    touch(tmp_path, ["a.1.exr", "a.20261120.exr"])
    with pytest.raises(UsageError, match="--frames"):
        find(f"{tmp_path}/a.%d.exr")
