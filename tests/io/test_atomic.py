"""A file appears whole or not at all, and dead leftovers are swept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from matte_core.io.atomic import replacing, sweep
from matte_core.io.sequence import parse

ROOT = Path(__file__).parents[2]


def test_the_name_is_taken_only_when_the_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "a.1001.exr"
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".a.1001.exr.")
        assert temporary.name.endswith(".tmp")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path: Path, stop: type[BaseException]) -> None:
    target = tmp_path / "a.exr"
    target.write_bytes(b"old")
    with pytest.raises(stop), replacing(target) as temporary:
        temporary.write_bytes(b"half of the n")
        raise stop
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.exr"
    with replacing(target) as first:
        first.write_bytes(b"first")
        with replacing(target) as second:
            assert second != first
            second.write_bytes(b"second")
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


KILLED = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from matte_core.io.atomic import replacing
with replacing(Path({target!r})) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked after there")
def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a.1001.exr", "b.1001.exr"):
        subprocess.run([sys.executable, "-c", KILLED.format(root=str(ROOT), target=str(tmp_path / name))], check=False)
    (dead, other) = sorted(tmp_path.iterdir())
    with replacing(tmp_path / "a.1002.exr") as living:
        elsewhere = dead.with_name(dead.name.replace(dead.name.split(".")[4], "0" * 8))
        elsewhere.write_bytes(b"")
        mine = tmp_path / ".a.1003.exr.notes.tmp"
        mine.write_bytes(b"")
        assert sweep(parse(str(tmp_path / "a.####.exr"))[0]) == 1
        assert not dead.exists()
        for kept in (other, living, elsewhere, mine):
            assert kept.exists(), kept.name


def test_the_process_number_stands_in_the_name(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.exr") as temporary:
        assert f".{os.getpid()}." in temporary.name
