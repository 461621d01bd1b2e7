"""What cannot be right gets one sentence (what, where, cure), an exit code that is not 0, and nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .conftest import MAIN, Folder, Matte, a_picture, save

SHARED = Path(__file__).parents[3] / "shared" / "data" / "exr"
OUT = ("--out", "out/m.####.exr")
PLATE, MASK = ("sequence", "plate.####.exr"), ("--mask", "mask.####.png")


def spoil_mask(value: float) -> Callable[[Folder], None]:
    def spoil(shot: Folder) -> None:
        for number in range(1001, 1006):
            save(shot / f"mask.{number}.png", np.full((32, 48, 1), value, np.float32), ("Y",))

    return spoil


def mask_of_another_size(shot: Folder) -> None:
    for number in range(1001, 1006):
        save(shot / f"mask.{number}.png", np.ones((20, 20, 1), np.float32), ("Y",))


def mask_of_other_frames(shot: Folder) -> None:
    for number in range(1001, 1006):
        (shot / f"mask.{number}.png").rename(shot / f"mask.{number + 100}.png")


def nothing(shot: Folder) -> None:
    return None


def a_gap(shot: Folder) -> None:
    (shot / "plate.1003.exr").unlink()


def a_file_for_a_folder(shot: Folder) -> None:
    (shot / "out").write_text("not a folder")


def an_unreadable_config(shot: Folder) -> None:
    (shot / "broken.ocio").write_text("ocio_profile_version: nonsense")


CASES = {
    "a keyframe outside the shot": (
        nothing,
        ("sequence", "plate.####.exr", "--mask", "mask.1001.png", "--model", "flow-mask", "--keyframes", "1050", *OUT),
        2,
        ["keyframe 1050 is outside the shot (1001-1005)"],
    ),
    "no keyframe": (
        mask_of_other_frames,
        (*PLATE, *MASK, "--model", "flow-mask", *OUT),
        2,
        ["no keyframe: the guide has frames 1101-1105", "1001-1005"],
    ),
    "a take without a keyframe": (
        nothing,
        (*PLATE, *MASK, "--model", "flow-mask", "--keyframes", "1001", "--cuts", "1004", *OUT),
        2,
        ["the take from frame 1004 to 1005 has no keyframe"],
    ),
    "a model that carries masks, told by a trimap": (
        nothing,
        (*PLATE, "--trimap", "mask.####.png", "--model", "flow-mask", *OUT),
        2,
        ["flow-mask goes from masks on keyframes", "--mask"],
    ),
    "no such sequence": (nothing, ("sequence", "plaet.####.exr", *MASK, *OUT), 3, ["plaet.####.exr", "plate"]),
    "a gap": (a_gap, (*MAIN, *OUT), 3, ["plate.1003.exr is missing", "1 of 5 frames: 1003", "--missing hold"]),
    "mask of another size": (mask_of_another_size, (*MAIN, *OUT), 2, ["20x20", "56x40", "plate's size"]),
    "mask of another range": (mask_of_other_frames, (*MAIN, *OUT), 2, ["1101-1105", "1001-1005"]),
    "empty mask": (spoil_mask(0), (*MAIN, *OUT), 2, ["empty", "Give a guide that shows the subject"]),
    "full mask": (spoil_mask(1), (*MAIN, *OUT, "--shrink", 0), 2, ["Give a guide that shows the subject"]),
    "trimap without unknown": (nothing, (*PLATE, "--trimap", "mask.####.png", *OUT), 2, ["unknown"]),
    "neither mask nor trimap": (nothing, (*PLATE, *OUT), 2, ["--mask or --trimap"]),
    "unknown layer": (nothing, (*MAIN, *OUT, "--layer", "beauty"), 2, ["beauty"]),
    "unknown part": (nothing, (*MAIN, *OUT, "--part", "hair"), 2, ["no part 'hair'"]),
    "unknown colour space": (nothing, (*MAIN, *OUT, "--in-space", "ACESgc"), 3, ["'ACESgc'", "ACEScg"]),
    "unknown codec": (nothing, (*MAIN, *OUT, "--compression", "zap"), 2, ["zap", "zip"]),
    "lossy codec for a matte": (nothing, (*MAIN, *OUT, "--compression", "b44"), 2, ["b44", "matte"]),
    "unknown model": (
        nothing,
        (*MAIN, *OUT, "--model", "closed-from"),
        4,
        ["'closed-from'", "Did you mean closed-form?"],
    ),
    "unknown device": (nothing, (*MAIN, *OUT, "--device", "gpu"), 2, ["'gpu' is no device"]),
    "unknown precision": (nothing, (*MAIN, *OUT, "--precision", "fp8"), 2, ["'fp8' is no precision"]),
    "unknown deliverable": (nothing, (*MAIN, *OUT, "--deliver", "core"), 2, ["'core' is no deliverable"]),
    "unknown option": (nothing, (*MAIN, *OUT, "--sharpen", "1"), 2, ["--sharpen"]),
    "missing folder": (nothing, (*MAIN, "--out", "no/such/m.####.exr"), 6, ["no/such", "Make it"]),
    "a file for a folder": (a_file_for_a_folder, (*MAIN, *OUT), 6, ["out"]),
    "output equal to the input": (nothing, (*MAIN, "--out", "plate.####.exr"), 2, ["plate.1001.exr is an input"]),
    "output without a frame number": (nothing, (*MAIN, "--out", "out/m.exr"), 2, ["m.exr", "####"]),
    "frames outside the shot": (nothing, (*MAIN, *OUT, "--frames", "1004-1010"), 2, ["1001-1005"]),
    "frames not understood": (nothing, (*MAIN, *OUT, "--frames", "1001..1005"), 2, ["'1001..1005'", "1001-1100x2"]),
    "no such config": (nothing, (*MAIN, *OUT, "--ocio", "none.ocio"), 3, ["none.ocio", "--ocio"]),
    "unreadable config": (an_unreadable_config, (*MAIN, *OUT, "--ocio", "broken.ocio"), 3, ["broken.ocio"]),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_one_sentence(name: str, shot: Folder, matte: Matte) -> None:
    spoil, words, code, expected = CASES[name]
    spoil(shot)
    plates = {path.name: path.read_bytes() for path in shot.path.glob("plate.*")}
    answer = matte(*words)
    assert answer.code == code, answer.error
    for phrase in expected:
        assert phrase in answer.sentence
    assert "Traceback" not in answer.error and len(answer.error.strip().splitlines()) <= 3
    assert not [made for made in shot.written if made.endswith(".exr")]
    assert {path.name: path.read_bytes() for path in shot.path.glob("plate.*")} == plates


def test_the_same_error_is_one_json_line_for_machines(shot: Folder, matte: Matte) -> None:
    a_gap(shot)
    answer = matte(*MAIN, *OUT, "--json")
    assert answer.code == 3
    assert answer.events[-1]["event"] == "error" and answer.events[-1]["exit_code"] == 3
    assert "plate.1003.exr is missing" in str(answer.events[-1]["message"])


@pytest.mark.parametrize(
    ("policy", "numbers"), [("hold", [1001, 1002, 1003, 1004, 1005]), ("skip", [1001, 1002, 1004, 1005])]
)
def test_a_gap_is_held_or_skipped_when_asked(policy: str, numbers: list[int], shot: Folder, matte: Matte) -> None:
    a_gap(shot)
    assert matte(*MAIN, *OUT, "--missing", policy).code == 0
    assert shot.written == [f"m.{number}.exr" for number in numbers]


def test_a_truncated_frame_is_named_before_anything_is_computed(shot: Folder, matte: Matte) -> None:
    path = shot / "plate.1003.exr"
    path.write_bytes(path.read_bytes()[:-500])
    answer = matte(*MAIN, *OUT)
    assert answer.code == 3
    assert "plate.1003.exr (frame 1003)" in answer.sentence and "--missing hold" in answer.sentence
    assert shot.written == []
    assert matte(*MAIN, *OUT, "--missing", "hold").code == 0


def test_nan_in_one_frame_costs_that_frame_and_no_other(shot: Folder, matte: Matte) -> None:
    plate, _ = a_picture(1002)
    plate[5, 6] = np.nan
    plate[7, 8] = np.inf
    save(shot / "plate.1002.exr", plate, ("R", "G", "B"), 1002, 4)
    answer = matte(*MAIN, *OUT)
    assert answer.code == 5
    assert "plate.1002.exr (frame 1002) has 6 values that are NaN or infinite" in answer.sentence
    assert "--nan repair" in answer.sentence
    assert shot.written == ["m.1001.exr", "m.1003.exr", "m.1004.exr", "m.1005.exr"]
    again = matte(*MAIN, *OUT, "--nan", "repair", "--overwrite")
    assert again.code == 0 and len(shot.written) == 5


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("deep/11.deep.exr", "deep"),
        ("compressions/comp_b44.exr", "half resolution"),
        ("damaged/invalid.exr", "invalid.exr"),
    ],
)
def test_deep_subsampled_and_damaged_plates_are_refused(file: str, expected: str, shot: Folder, matte: Matte) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared EXR files are not here")
    shutil.copy(SHARED / file, shot / "odd.exr")
    answer = matte("sequence", "odd.exr", "--mask", "mask.1001.png", "--out", "out/m.####.exr")
    assert answer.code == 3
    assert "odd.exr" in answer.sentence or expected in answer.sentence
    assert expected in answer.sentence.replace("odd.exr", "invalid.exr")


def test_a_read_only_folder_is_refused(shot: Folder, matte: Matte, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # whoever runs the tests may be allowed everywhere
    answer = matte(*MAIN, *OUT)
    assert answer.code == 6
    assert f"{shot / 'out'} cannot be written to: Permission denied" in answer.sentence


def test_a_full_disk_keeps_what_is_finished_and_says_so(shot: Folder, matte: Matte) -> None:
    """A limit on file size stands in for the disk: every write beyond it fails, as on a full one."""
    straight = (*MAIN, "--deliver", "straight")
    assert matte(*straight, *OUT, "--frames", "1001-1002").code == 0
    assert matte(*straight, "--out", "whole/m.####.exr").code == 0

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))

    command = [sys.executable, "-m", "matte_core", *MAIN, *OUT, "--deliver", "straight"]
    environment = {**os.environ, "NUMBA_DISABLE_CACHING": "1"}
    done = subprocess.run(
        command, cwd=shot.path, stderr=subprocess.PIPE, text=True, preexec_fn=limit, env=environment, check=False
    )
    assert done.returncode != 0
    assert "cannot be written" in " ".join(done.stderr.split())
    assert shot.written == ["m.1001.exr", "m.1002.exr"]
    assert matte(*straight, *OUT).code == 0  # there is room again
    made, whole = ({path.name: path.read_bytes() for path in (shot / name).iterdir()} for name in ("out", "whole"))
    assert made == whole
