"""When a frame is finished, what is left to do, and what is never overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from matte_core.errors import FrameError, OutputError, UsageError
from matte_core.frame import Frame, FrameRange
from matte_core.io.atomic import replacing
from matte_core.io.image import read_header
from matte_core.io.writer import check_output, pending, sweep, write_frames
from matte_core.shot import Shot

ROOT = Path(__file__).parents[2]
Pull = Callable[..., list[Frame]]

RGB = ("R", "G", "B")


def at(pattern: str, number: int) -> Path:
    return Path(pattern.replace("####", str(number)))


def test_only_frames_that_are_not_finished_are_pending(matte: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([matte], [["A"]], out)
    assert pending(shot) == shot.frames
    pull(shot)
    assert len(pending(shot)) == 0
    at(out, 1002).unlink()
    path = at(out, 1003)
    path.write_bytes(path.read_bytes()[:-3])
    assert read_header(path).written["matte/stamp"] == shot.stamp(1003)
    assert pending(shot) == FrameRange([1002, 1003])
    assert pending(shot, [1001, 1002]) == FrameRange([1002])


def test_a_new_plate_makes_its_own_frame_pending(plate: Shot, matte: Shot, out: str, pull: Pull) -> None:
    shot = write_frames([matte], [["A"]], out)
    pull(shot)
    os.utime(Path(plate.parameters["folder"]) / "p_v003.1003.exr", (0, 0))
    assert pending(shot) == FrameRange([1003])
    check_output(shot)


def test_frames_of_other_settings_are_not_overwritten_without_a_word(matte: Shot, out: str, pull: Pull) -> None:
    pull(write_frames([matte], [["A"]], out))
    other = write_frames([matte], [["hair.A"]], out)
    assert pending(other) == other.frames
    with pytest.raises(OutputError, match=r"m_v001\.1001\.exr stands in .* \(4 of 4 frames\)\. .*--overwrite"):
        check_output(other)
    check_output(other, overwrite=True)
    check_output(write_frames([matte], [["A"]], out))


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


def test_sweep_takes_this_shots_leftovers(plate: Shot, out: str) -> None:
    shot = write_frames([plate], [RGB], out)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with replacing(at(out, 1001)) as living:
        dead = living.with_name(living.name.replace(f".{os.getpid()}.", f".{gone.pid}."))
        dead.write_bytes(b"half of a frame")
        assert sweep(shot) == (0 if sys.platform == "win32" else 1)
        assert living.exists()
