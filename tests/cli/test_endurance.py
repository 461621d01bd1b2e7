"""What a long night brings: each is injected, and the same command then ends with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from matte_core.cli.screen import Screen
from matte_core.frame import FrameRange
from matte_core.io import reader
from matte_core.io.claims import claimed
from matte_core.io.sequence import parse

from .conftest import COUNT, MAIN, Folder, Matte
from .test_sequence import contents

NIGHT = (*MAIN, "--model", "closed-form")
OUT = ("--out", "out/m.####.exr")


SLOW = """
import threading, time
from matte_core.cli import main
from matte_core.io import reader

read = reader.read_pixels

def slowly(*words):
    if threading.current_thread().name.startswith("matte-read"):
        time.sleep(0.7)
    return read(*words)

reader.read_pixels = slowly
main()
"""


@pytest.fixture
def whole(shot: Folder, matte: Matte) -> dict[str, str]:
    """What an undisturbed run makes."""
    assert matte(*NIGHT, "--out", "whole/m.####.exr").code == 0
    return contents(shot / "whole")


def in_the_run(change: Callable[[Path], None]) -> Callable[..., Any]:
    """`read_pixels` that calls `change` with each file that a run's own threads read."""
    read = reader.read_pixels

    def changed(path: Path, *rest: Any) -> Any:
        if threading.current_thread().name.startswith("matte-read"):
            change(path)
        return read(path, *rest)

    return changed


def test_a_plate_frame_that_is_deleted_under_us_costs_itself_alone(
    shot: Folder, matte: Matte, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Path(shutil.copy2(shot / "plate.1005.exr", shot / "kept.exr"))
    tell = Screen.frame

    def frame(screen: Screen, number: int) -> None:
        (shot / "plate.1005.exr").unlink(missing_ok=True)
        tell(screen, number)

    with monkeypatch.context() as patch:
        patch.setattr(Screen, "frame", frame)
        answer = matte(*NIGHT, *OUT)
    assert answer.code in (0, 5), answer.error  # 0 where it was read and written before
    if answer.code:
        assert "plate.1005.exr (frame 1005)" in answer.sentence and "only these frames are made" in answer.sentence
    assert shot.written[: COUNT - 1] == [f"m.{number}.exr" for number in range(1001, 1005)]
    shutil.copy2(kept, shot / "plate.1005.exr")
    assert matte(*NIGHT, *OUT).code == 0
    assert contents(shot / "out") == whole


def test_a_slow_disk_changes_no_byte(
    shot: Folder, matte: Matte, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "read_pixels", in_the_run(lambda path: time.sleep(0.1)))
    assert matte(*NIGHT, *OUT).code == 0
    assert contents(shot / "out") == whole


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """A disk that does not answer until the event is set, at the latest when the test is over."""
    answers = threading.Event()
    yield answers
    answers.set()


def test_a_reader_that_hangs_is_named_and_finished_frames_stay(
    shot: Folder, matte: Matte, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    def hang(path: Path) -> None:
        if path.name == "plate.1004.exr":
            hanging.wait(60)

    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_pixels", in_the_run(hang))
        patch.setattr("matte_core.patience.PATIENCE", 1.0)
        answer = matte(*NIGHT, *OUT)
    assert answer.code == 3
    assert "read, frame 1004: the disk has not answered for 1 s" in answer.sentence
    finished = {name for name in shot.written if not name.startswith(".")}
    assert {"m.1001.exr", "m.1002.exr", "m.1003.exr"} <= finished and "m.1004.exr" not in finished
    assert matte(*NIGHT, *OUT).code == 0
    assert contents(shot / "out") == whole


def test_a_header_that_hangs_is_named_before_anything_is_made(
    shot: Folder, matte: Matte, monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    read = reader.read_header

    def hang(path: Path, number: int | None = None) -> Any:
        if path.name == "plate.1003.exr":
            hanging.wait(60)
        return read(path, number)

    monkeypatch.setattr(reader, "read_header", hang)
    monkeypatch.setattr("matte_core.patience.PATIENCE", 0.5)
    answer = matte(*NIGHT, *OUT)
    assert answer.code == 3 and "plate.1003.exr has not answered for 0.5 s" in answer.sentence
    assert shot.written == []


def test_a_second_process_on_one_output_says_so_and_leaves(shot: Folder, matte: Matte, whole: dict[str, str]) -> None:
    (shot / "out").mkdir()
    pattern = parse(str(shot / "out/m.####.exr"))[0]
    with claimed([(pattern, FrameRange.parse("1001-1003"))]):
        answer = matte(*NIGHT, *OUT)
        assert answer.code == 6
        assert f"frames 1001-1003 of m.####.exr are being made by process {os.getpid()}" in answer.sentence
        assert not [name for name in shot.written if name.endswith(".exr")]
        assert matte(*NIGHT, *OUT, "--frames", "1004-1005").code == 0
    assert matte(*NIGHT, *OUT).code == 0
    assert contents(shot / "out") == whole


def test_two_workers_and_chunks_of_one_frame_make_the_bytes_of_one_process(
    shot: Folder, matte: Matte, whole: dict[str, str]
) -> None:
    answer = matte(*NIGHT, *OUT, "--workers", 2, "--chunk", 1, "--json")
    assert answer.code == 0, answer.error
    assert contents(shot / "out") == whole
    events = [event["event"] for event in answer.events]
    assert events.count("start") == events.count("done") == 1 and events.count("frame") == COUNT
    again = matte(*NIGHT, *OUT, "--workers", 2, "--frames", "1001-1002", "--compression", "rle")
    assert again.code == 6 and again.sentence.count("was not made with these settings") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be stopped there")
def test_the_chunk_of_a_killed_worker_is_finished_by_another(shot: Folder, matte: Matte, whole: dict[str, str]) -> None:
    command = [sys.executable, "-c", SLOW, *NIGHT, *OUT, "--share", "--chunk", str(COUNT)]
    process = subprocess.Popen(command, cwd=shot.path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not [name for name in shot.written if name.endswith(".claim")] and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGSTOP)  # it holds its frames and does nothing
    held = [name for name in shot.written if name.endswith(".claim")]
    finished = len([name for name in shot.written if name.startswith("m.")])
    assert len(held) == 1 and finished < COUNT
    alone = matte(*NIGHT, *OUT)
    assert alone.code == 6 and f"process {process.pid}" in alone.sentence
    killer = threading.Timer(1.5, process.kill)
    killer.start()
    answer = matte(*NIGHT, *OUT, "--share", "--chunk", 2, "--json")
    process.wait()
    assert answer.code == 0, answer.error
    made = [event["number"] for event in answer.events if event["event"] == "frame"]
    assert len(made) == COUNT - finished
    assert contents(shot / "out") == whole


def test_workers_stop_where_the_process_that_started_them_is_gone(shot: Folder, matte: Matte) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATTE_WORKER_OF", "1")
        patch.setattr(os, "getppid", lambda: 2)
        assert matte(*NIGHT, *OUT).code == 143
    assert shot.written == []


def test_workers_are_spread_over_the_cards_and_split_the_cores(
    monkeypatch: pytest.MonkeyPatch, shot: Folder, matte: Matte
) -> None:
    from matte_core.cli import workers

    monkeypatch.setattr(workers.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert workers.devices("auto", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert workers.devices("cpu", 2) == ["cpu", "cpu"] and workers.devices("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert workers.count_of("auto") == 2 and workers.count_of("3") == 3
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    made = workers.environment(3)
    assert (made["OMP_NUM_THREADS"], made["NUMBA_NUM_THREADS"]) == ("2", "1")
    answer = matte(*NIGHT, *OUT, "--workers", "many")
    assert answer.code == 2 and "--workers is a number from 1 to 256, or auto, not 'many'" in answer.sentence
