"""Two processes do not make the same frames; what a dead one claimed is free."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from matte_core.errors import OutputError
from matte_core.frame import FrameRange
from matte_core.io import claims
from matte_core.io.claims import Taken, claimed
from matte_core.io.sequence import Pattern, parse

ROOT = Path(__file__).parents[2]
HOLDING = """
import sys, time
sys.path.insert(0, {root!r})
from matte_core.frame import FrameRange
from matte_core.io.claims import claimed
from matte_core.io.sequence import parse
with claimed([(parse({pattern!r})[0], FrameRange.parse({frames!r}))]):
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def pattern(tmp_path: Path) -> Pattern:
    return parse(str(tmp_path / "m.####.exr"))[0]


def frames(text: str) -> FrameRange:
    return FrameRange.parse(text)


def held_elsewhere(pattern: Pattern, text: str) -> subprocess.Popen[str]:
    """A process that has claimed the frames."""
    program = HOLDING.format(root=str(ROOT), pattern=f"{pattern.folder}/{pattern.name}", frames=text)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "holding\n"
    return process


def test_a_claim_stands_beside_the_files_while_it_is_held(pattern: Pattern, tmp_path: Path) -> None:
    with claimed([(pattern, frames("1001-1003"))]):
        (path,) = tmp_path.iterdir()
        assert path.name.startswith(".m.####.exr.") and f".{os.getpid()}." in path.name
    assert list(tmp_path.iterdir()) == []


def test_the_same_frames_are_taken_and_others_are_free(pattern: Pattern, tmp_path: Path) -> None:
    other = parse(str(tmp_path / "n.####.exr"))[0]
    with claimed([(pattern, frames("1001-1003"))]):
        meeting = claimed([(other, frames("1")), (pattern, frames("1003-1009"))], patience=0.1)
        said = rf"frames 1001-1003 of m\.####\.exr .* process {os.getpid()} on .*--share"
        with pytest.raises(Taken, match=said), meeting:
            pytest.fail("it was free")
        with claimed([(pattern, frames("1004-1009")), (other, frames("1001"))]):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked after there")
def test_what_a_killed_process_claimed_is_free_at_once_even_before_it_is_buried(pattern: Pattern) -> None:
    process = held_elsewhere(pattern, "1001-1010")
    with pytest.raises(Taken, match=f"process {process.pid}"), claimed([(pattern, frames("1005"))], patience=0):
        pytest.fail("it was free")
    process.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # it dies in its own time
        try:
            with claimed([(pattern, frames("1005"))]):
                break
        except Taken:
            continue
    else:
        pytest.fail("it was never free")
    process.communicate()
    assert list(Path(pattern.folder).iterdir()) == []


def test_another_machines_claim_is_dead_after_a_silence_by_the_servers_clock(pattern: Pattern) -> None:
    far = Path(pattern.folder) / ".m.####.exr.00000000.1.abcdef01.claim"
    far.write_text('{"frames": "1001-1100", "machine": "far"}')
    with pytest.raises(Taken, match="process 1 on far"), claimed([(pattern, frames("1001"))], patience=0):
        pytest.fail("it was free")
    silent = time.time() - claims.DEAD - 5
    os.utime(far, (silent, silent))
    with claimed([(pattern, frames("1001"))], patience=0):
        assert not far.exists()


def test_a_claim_that_cannot_be_read_is_for_all_frames(pattern: Pattern) -> None:
    far = Path(pattern.folder) / ".m.####.exr.00000000.1.abcdef01.claim"
    for content in ("", "[" * 5000, '{"frames": 7}', '{"frames": "x", "machine": 1}'):
        far.write_text(content)
        with pytest.raises(Taken, match=r"frames of m\.####\.exr"), claimed([(pattern, frames("7"))], patience=0):
            pytest.fail("it was free")


def test_a_living_claim_is_told_alive(pattern: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.02)
    with claimed([(pattern, frames("1001"))]):
        (path,) = Path(pattern.folder).iterdir()
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 20
        while path.stat().st_mtime < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 2


def test_of_many_that_ask_at_once_one_holds_at_a_time(pattern: Pattern) -> None:
    holding, most, done = 0, 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal holding, most, done
        with claimed([(pattern, frames("1001-1002"))], patience=60):
            with lock:
                holding += 1
                most = max(most, holding)
            time.sleep(0.01)
            with lock:
                holding -= 1
                done += 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 6)


def test_a_folder_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    nowhere = claimed([(parse(str(tmp_path / "no" / "m.####.exr"))[0], frames("1"))])
    with pytest.raises(OutputError, match="cannot be written to"), nowhere:
        pytest.fail("it was claimed")
