"""Patience with a disk is counted while the process runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from matte_core import patience
from matte_core.errors import SourceError
from matte_core.patience import AtDisk, Awake, attended

WAITING = """
import sys
from matte_core import patience
patience.PATIENCE = 1.0

def work(turn_to):
    turn_to("plate.1001.exr")
    print("asked", flush=True)
    return sys.stdin.readline()

print(patience.attended(work).strip())
"""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("matte_core.patience.time.monotonic", lambda: now[0])
    return now


def test_time_goes_by_in_looks_and_not_while_nobody_could_look(clock: list[float]) -> None:
    awake = Awake(2.0)
    for _ in range(3):
        clock[0] += 1.5
        assert awake.seconds() == pytest.approx(clock[0] - 100)
    clock[0] += 300
    assert awake.seconds() == pytest.approx(6.5)


def test_a_process_that_was_stopped_has_not_waited_for_its_disk(clock: list[float]) -> None:
    disk = AtDisk(300)
    with disk.waiting("read", "read, frame 1"):
        clock[0] += 600
        disk.check()
        for _ in range(298):
            clock[0] += 1
            disk.check()
        clock[0] += 1
        with pytest.raises(SourceError, match="read, frame 1: the disk has not answered for 300 s"):
            disk.check()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
def test_a_stop_longer_than_the_patience_ends_nothing() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)  # it looks at its clock before the disk answers
        said, errors = process.communicate("answered\n", timeout=60)
    assert said == "answered\n", errors


def test_a_disk_that_never_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.3)
    answers = threading.Event()

    def work(turn_to: Callable[[str], None]) -> bool:
        turn_to("mask.7.png")
        return answers.wait(60)

    with pytest.raises(SourceError, match=r"mask\.7\.png has not answered for 0\.3 s"):
        attended(work)
    answers.set()
