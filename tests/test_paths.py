"""Which files a workflow may touch: only those below the folders that the person opened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from matte_core.errors import SourceError, UsageError
from matte_core.paths import Roots


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in (
        "input/plate/plate.1001.exr",
        "input/plate/plate.1002.exr",
        "samples/plate/still.png",
        "secret/key.txt",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    (tmp_path / "output").mkdir()
    return tmp_path


@pytest.fixture
def roots(folders: Path) -> Roots:
    return Roots.of([folders / "input", folders / "samples"], [folders / "output"])


def test_a_relative_sequence_is_found_in_the_first_root_that_has_it(folders: Path, roots: Roots) -> None:
    assert roots.reading("plate/plate.####.exr") == str(folders / "input/plate/plate.####.exr")
    assert roots.reading("plate/plate.%04d.exr") == str(folders / "input/plate/plate.%04d.exr")
    assert roots.reading("plate/plate.$F4.exr") == str(folders / "input/plate/plate.$F4.exr")
    assert roots.reading("plate/plate.1001-1002#.exr") == str(folders / "input/plate/plate.1001-1002#.exr")
    assert roots.reading("plate/still.png") == str(folders / "samples/plate/still.png")
    assert roots.reading("plate") == str(folders / "input/plate")


def test_backslashes_of_a_workflow_made_on_windows_are_understood(folders: Path, roots: Roots) -> None:
    assert roots.reading("plate\\plate.1001.exr") == str(folders / "input/plate/plate.1001.exr")


def test_an_absolute_path_inside_a_root_is_allowed(folders: Path, roots: Roots) -> None:
    assert roots.reading(f"{folders}/input/plate/plate.@@@@.exr") == f"{folders}/input/plate/plate.@@@@.exr"
    assert roots.writing(f"{folders}/output/a/b.####.exr") == f"{folders}/output/a/b.####.exr"


def test_what_may_be_written_may_be_read_but_not_the_other_way_round(folders: Path, roots: Roots) -> None:
    (folders / "output/matte.1001.exr").write_text("x")
    assert roots.reading("matte.####.exr") == str(folders / "output/matte.####.exr")
    with pytest.raises(UsageError, match="may write"):
        roots.writing(f"{folders}/input/plate/plate.1001.exr")


def test_a_relative_path_is_written_below_the_first_writable_folder(folders: Path, roots: Roots) -> None:
    assert roots.writing("hero/matte.####.exr") == str(folders / "output/hero/matte.####.exr")


def test_a_path_elsewhere_is_refused_in_one_sentence(roots: Roots, elsewhere: dict[str, str]) -> None:
    for text, phrase in {**elsewhere, "": "is no file name", "  ": "is no file name"}.items():
        for refuse in (roots.reading, roots.writing):
            with pytest.raises(UsageError, match=re.escape(phrase)) as refusal:
                refuse(text)
            assert len(str(refusal.value).splitlines()) == 1 and len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "plate/plate.100%.exr",
        "plate/$F4 cam~1.####.exr",
        "plate/auxiliary.%d.exr",
        "plate/v1.2/a.1-9:2####.exr",
        "./a.exr",
    ],
)
def test_names_that_only_look_odd_are_allowed(folders: Path, roots: Roots, text: str) -> None:
    assert roots.writing(text) == str(folders / "output" / text)


def test_a_folder_whose_name_begins_like_a_root_is_outside(folders: Path, roots: Roots) -> None:
    (folders / "input2").mkdir()
    (folders / "input2/a.exr").write_text("x")
    with pytest.raises(UsageError, match="outside"):
        roots.reading(f"{folders}/input2/a.exr")


def test_a_link_that_leads_out_is_refused(folders: Path, roots: Roots) -> None:
    (folders / "input/door").symlink_to(folders / "secret")
    (folders / "input/plate/plate.1003.exr").symlink_to(folders / "secret/key.txt")
    (folders / "output/door").symlink_to(folders / "secret")
    for text in ("door/key.txt", "door/key.####.txt", "plate/plate.1003.exr", "plate/plate.####.exr"):
        with pytest.raises((UsageError, SourceError)):
            roots.reading(text)
    with pytest.raises(UsageError, match="outside"):
        roots.reading("plate/plate.####.exr")
    with pytest.raises(UsageError, match="outside"):
        roots.writing("door/new.####.exr")
    (folders / "output/new.1001.exr").symlink_to(folders / "secret/new.exr")
    with pytest.raises(UsageError, match="outside"):
        roots.writing("new.####.exr")
    with pytest.raises(UsageError, match="outside"):
        roots.reading("plate")


def test_a_link_that_leads_to_itself_is_refused_in_one_sentence(folders: Path, roots: Roots) -> None:
    (folders / "input/loop").symlink_to(folders / "input/loop")
    with pytest.raises((UsageError, SourceError)):
        roots.reading("loop")


def test_a_root_that_is_itself_a_link_is_what_the_person_chose(folders: Path) -> None:
    (folders / "mount").symlink_to(folders / "secret")
    assert Roots.of([folders / "mount"], []).reading("key.txt") == str(folders / "mount/key.txt")


def test_a_file_that_is_nowhere_says_where_it_was_looked_for(folders: Path, roots: Roots) -> None:
    with pytest.raises(SourceError, match=r"plate/hero\.####\.exr is not there\. Put it into one of: .*input"):
        roots.reading("plate/hero.####.exr")


def test_a_built_in_colour_configuration_is_no_file(roots: Roots) -> None:
    assert roots.reading("ocio://cg-config-v2.2.0_aces-v1.3_ocio-v2.4") == "ocio://cg-config-v2.2.0_aces-v1.3_ocio-v2.4"
    with pytest.raises(UsageError):
        roots.reading("ocio://../../secret/key.txt")


def test_without_folders_nothing_is_open() -> None:
    with pytest.raises(SourceError):
        Roots((), ()).reading("plate.exr")
    with pytest.raises(UsageError, match="no folder is open for writing"):
        Roots((), ()).writing("matte.exr")
