"""Damaged files of a fixed seed through every reader; `scripts/fuzz.py` does the same with thousands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from matte_core.io.cryptomatte import choose, parse_manifest

ROOT = Path(__file__).parents[1]
FUZZ = ROOT / "scripts" / "fuzz.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the watch reads /proc")
def test_damaged_files_end_in_a_sentence_in_time_in_little_memory_and_inside_their_folder() -> None:
    words = [sys.executable, str(FUZZ), "--files", "400", "--seed", "7"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["faults"] == []
    assert told["files"] == 400
    for reader in ("exr", "picture", "workflow", "weights", "manifest"):
        assert told["counts"][f"{reader} refused"] > 0
    assert told["counts"]["workflow read"] > 0 and told["counts"]["manifest read"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the watch reads /proc")
def test_the_watch_sees_a_crash_a_hang_an_escape_and_a_blow_up(tmp_path: Path) -> None:
    """A reader with every fault, put in the place of the readers."""
    (tmp_path / "fuzz_targets.py").write_text(
        """
import os, signal, time
from pathlib import Path
from dataclasses import dataclass
@dataclass
class Target:
    name: str
    share: float
    damage = staticmethod(lambda chance, samples: b"x")
FAULTS = {
    "crash": lambda folder: os.kill(os.getpid(), signal.SIGSEGV),
    "error": lambda folder: {}["no such key"],
    "hang": lambda folder: all(True for _ in iter(int, 1)),
    "write": lambda folder: (folder.parent / "new").write_text("x"),
    "read": lambda folder: open(folder.parent / "secret", "r"),
    "memory": lambda folder: len(b"a" * (1 << 27)),
    "fine": lambda folder: None,
}
TARGETS = [Target(name, 1) for name in FAULTS]
def attempt(target, data, folder, chance):
    FAULTS[target.name](folder)
    return "read"
def samples_of(target):
    return []
def prepare_workflows(folder):
    (folder.parent / "secret").write_text("x")
"""
    )
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(FUZZ.parent)!r}]; import fuzz; sys.exit(fuzz.main())"
    )
    told = {}
    for name in ("crash", "error", "hang", "write", "read", "memory", "fine"):
        words = [sys.executable, "-c", program, "--only", f"{name}:0", "--seconds", "2", "--memory", "0.1"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        told[name] = [fault["fault"].strip().splitlines()[-1] for fault in json.loads(done.stdout)["faults"]]
    assert told.pop("fine") == []
    assert "died (exit code -11)" in told["crash"][0]
    assert "KeyError" in told["error"][0]
    assert "no answer" in told["hang"][0]
    assert told["write"][0].startswith("touched open ") and told["read"][0].startswith("touched open ")
    assert "GiB for a file" in told["memory"][0]


def test_wildcards_and_deep_manifests_of_strangers_take_no_time() -> None:
    manifest = {"a" * 3000: 1, "b" * 3000: 2, "set_a/prop_1": 3, "set\\b*": 4}
    started = time.process_time()
    assert choose(manifest, "*a" * 30 + "*") == {"a" * 3000: 1}
    for pattern in ("*a" * 30 + "c", "x" * 6000, "?" * 5000 + "*"):
        with pytest.raises(Exception, match="has no instance"):
            choose(manifest, pattern)
    assert time.process_time() - started < 5
    assert choose(manifest, "set_?/*_1") == {"set_a/prop_1": 3} and choose(manifest, "*\\b*") == {"set\\b*": 4}
    assert choose(manifest, "set_a*prop_1") == {"set_a/prop_1": 3}
    for overlapping in ("set_a/prop_1*1", "*prop_1?"):
        with pytest.raises(Exception, match="has no instance"):
            choose(manifest, overlapping)
    assert parse_manifest("[" * 100_000) == {} == parse_manifest('{"a": 12345678, "b": null, "c": ["00000001"]}')
