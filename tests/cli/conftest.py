"""A small plate on disk, and the command run as a person would run it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from matte_core.cli import main

WIDTH, HEIGHT, OVERSCAN = 48, 32, 4
FIRST, COUNT = 1001, 5


def save(path: Path, pixels: NDArray[np.float32], names: Sequence[str], number: int = 0, overscan: int = 0) -> None:
    """Writes `pixels` (H, W, C): a half EXR with windows and a timecode of its own, or an 8-bit picture."""
    height, width, channels = pixels.shape
    exr = path.suffix == ".exr"
    spec = oiio.ImageSpec(width, height, channels, oiio.HALF if exr else oiio.UINT8)
    spec.channelnames = tuple(names)
    if exr:
        spec.x = spec.y = -overscan
        spec.full_width, spec.full_height = width - 2 * overscan, height - 2 * overscan
        spec.attribute("compression", "zip")
        spec.attribute("FramesPerSecond", oiio.TypeRational, (24, 1))
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (int(f"{1000000 + number % 24:08d}", 16), 0))
        spec.attribute("reelName", "A001")
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(np.ascontiguousarray(pixels, np.float32)), output.geterror()
    assert output.close(), output.geterror()


def load(path: Path) -> tuple[NDArray[np.float32], oiio.ImageSpec]:
    """Pixels (H, W, C) and header of a file."""
    source = oiio.ImageInput.open(str(path))
    assert source is not None, oiio.geterror()
    pixels = source.read_image(format="float")
    spec = oiio.ImageSpec(source.spec())
    source.close()
    return np.atleast_3d(pixels), spec


def a_picture(number: int, overscan: int = OVERSCAN) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A plate (H, W, 3) with -0.1 and 40.0 in its subject and background, and the subject's alpha (H, W)."""
    rows, columns = np.mgrid[0 : HEIGHT + 2 * overscan, 0 : WIDTH + 2 * overscan].astype(np.float32)
    distance = np.hypot(columns - WIDTH / 2 - overscan - (number - FIRST), rows - HEIGHT / 2 - overscan)
    alpha = np.clip((11 - distance) / 4 + 0.5, 0, 1)
    front = np.stack([0.7 + 0 * rows, 0.4 + rows / 200, 0.2 + columns / 300], -1)
    back = np.stack([0.1 + columns / 400, 0.2 + 0 * rows, 0.5 + rows / 300], -1)
    plate = alpha[..., None] * front + (1 - alpha[..., None]) * back
    middle = (HEIGHT // 2 + overscan, WIDTH // 2 + overscan + number - FIRST)
    plate[middle] = (-0.1, 40.0, 0.5)
    plate[2, 2] = (40.0, -0.1, 0.25)
    return plate.astype(np.float32), alpha.astype(np.float32)


@dataclass
class Folder:
    """A folder with plate.####.exr and mask.####.png; commands are run from inside it."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def written(self) -> list[str]:
        return sorted(file.name for file in (self.path / "out").glob("*")) if (self.path / "out").is_dir() else []


@pytest.fixture
def shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.delenv("OCIO", raising=False)
    monkeypatch.chdir(tmp_path)
    for number in range(FIRST, FIRST + COUNT):
        plate, alpha = a_picture(number)
        save(tmp_path / f"plate.{number}.exr", plate, ("R", "G", "B"), number, OVERSCAN)
        rough = (alpha[OVERSCAN:-OVERSCAN, OVERSCAN:-OVERSCAN, None] > 0.5).astype(np.float32)
        save(tmp_path / f"mask.{number}.png", rough, ("Y",))
    return Folder(tmp_path)


@dataclass
class Answer:
    """How a command ended: its exit code, what it printed, and its JSON events if it printed any."""

    code: int
    out: str
    error: str

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def sentence(self) -> str:
        return " ".join(self.error.split())


Matte = Callable[..., Answer]


@pytest.fixture
def matte(capfd: pytest.CaptureFixture[str]) -> Matte:
    """Runs the command with the given words."""

    def run(*words: object) -> Answer:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        out, error = capfd.readouterr()
        return Answer(int(left.value.code or 0), out, error)

    return run


MAIN = ("sequence", "plate.####.exr", "--mask", "mask.####.png", "--grow", "3", "--shrink", "3")
