"""What the pack's workflows make, by whatever runs them: the command, Studio, ComfyUI."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from matte_core.io.image import read_header, read_pixels

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))


def by_command(workflow: Path, folder: Path) -> Path:
    """`folder`, in which `matte run` wrote what the workflow makes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "matte_core", "run", str(workflow), "--output", str(folder), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder.parent, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def pictures(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every channel of every EXR file below `folder`, by file, part and name; as half, but the ids of a Cryptomatte."""
    for file in sorted(folder.rglob("*.exr")):
        for part in read_header(file).parts:
            pixels, _ = read_pixels(file, part.channels, str(part.index))
            for name, channel in zip(part.channels, pixels, strict=True):
                ids = name.startswith("Crypto") and name.endswith((".R", ".B"))
                yield f"{file.relative_to(folder)} {part.index} {name}", channel if ids else channel.astype(np.float16)


def same_pixels(made: Path, expected: Path) -> None:
    """Asserts that below both folders lie the same files with the same channels, equal to the last bit of a half."""
    wanted, found = dict(pictures(expected)), dict(pictures(made))
    assert wanted and sorted(found) == sorted(wanted)
    different = {
        name: int((found[name] != wanted[name]).sum()) for name in wanted if (found[name] != wanted[name]).any()
    }
    assert different == {}
