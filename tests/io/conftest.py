"""Pictures made by OpenImageIO directly, so that the code under test does not judge itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.frame import Frame
from matte_core.io.reader import read_sequence
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

SHARED = Path(__file__).parents[3] / "shared" / "data" / "exr"


@pytest.fixture
def shared() -> Path:
    """The folder of other people's EXR files."""
    if not SHARED.is_dir():
        pytest.skip("the shared EXR files are not here")
    return SHARED


@pytest.fixture
def noise() -> Callable[..., Any]:
    """Pixels (H, W, C) in 0..1, exact in half, the same for the same seed."""

    def make(height: int, width: int, channels: int, seed: int = 0) -> Any:
        drawn = np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
        return drawn.astype(np.float16).astype(np.float32)

    return make


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Writes pixels (H, W, C) to a path with the attributes given; returns the path."""

    def write(
        path: Path,
        pixels: Any,
        channels: Sequence[str] | None = None,
        pixel_type: Any = oiio.HALF,
        attributes: Mapping[str, Any] | None = None,
        origin: tuple[int, int] = (0, 0),
        display: tuple[int, int, int, int] | None = None,
        tile: int = 0,
    ) -> Path:
        pixels = np.ascontiguousarray(pixels)
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], pixel_type)
        if channels:
            spec.channelnames = tuple(channels)
        spec.x, spec.y = origin
        if display:
            spec.full_x, spec.full_y, spec.full_width, spec.full_height = display
        spec.tile_width = spec.tile_height = tile
        for name, value in (attributes or {}).items():
            kind, content = value if isinstance(value, tuple) and isinstance(value[0], oiio.TypeDesc) else (None, value)
            spec.attribute(name, kind, content) if kind else spec.attribute(name, content)
        path.parent.mkdir(exist_ok=True)
        target = oiio.ImageOutput.create(str(path))
        assert target.open(str(path), spec), target.geterror()
        assert target.write_image(pixels), target.geterror()
        assert target.close()
        target.geterror()
        return path

    return write


@pytest.fixture
def pull() -> Callable[..., list[Frame]]:
    """The frames of a shot, made one after the other."""

    def run(shot: Shot, numbers: Sequence[int] | None = None) -> list[Frame]:
        return list(Run(Plan([(shot, numbers if numbers is not None else shot.frames)]), lanes=SERIAL))

    return run


def raw(path: Path) -> tuple[tuple[str, ...], Any, dict[str, Any]]:
    """Channel names, pixels (H, W, C) and attributes of a file, as OpenImageIO has them."""
    source = oiio.ImageInput.open(str(path))
    spec = source.spec()
    pixels = source.read_image(0, 0, 0, spec.nchannels, oiio.FLOAT)
    entries = {entry.name: entry.value for entry in spec.extra_attribs}
    entries["windows"] = (
        spec.x,
        spec.y,
        spec.width,
        spec.height,
        spec.full_x,
        spec.full_y,
        spec.full_width,
        spec.full_height,
    )
    source.close()
    return tuple(spec.channelnames), pixels, entries


@pytest.fixture(name="raw")
def raw_fixture() -> Callable[[Path], tuple[tuple[str, ...], Any, dict[str, Any]]]:
    return raw


METADATA = {
    "FramesPerSecond": (oiio.TypeRational, (24000, 1001)),
    "smpte:KeyCode": (oiio.TypeKeyCode, (1, 2, 3, 4, 5, 6, 7)),
    "reelName": "A001_C002",
    "nuke/node_hash": "abc",
    "owner": "the studio",
    "comments": "x" * 300,
    "DateTime": "2026:01:02 03:04:05",
    "worldToCamera": (oiio.TypeMatrix44, tuple(float(np.float32(i / 7)) for i in range(16))),
    "m33": (oiio.TypeMatrix33, tuple(float(i) for i in range(9))),
    "v2i": (oiio.TypeVector2i, (1, 2)),
    "v3i": (oiio.TypeVector3i, (1, 2, 3)),
    "box2i": (oiio.TypeBox2i, (0, 1, 2, 3)),
    "views": (oiio.TypeDesc("string[2]"), ("left", "right")),
    "gain": (oiio.TypeFloat, 0.5),
    "takes": (oiio.TypeInt, -5),
    "screenWindowWidth": (oiio.TypeFloat, 2.0),
    "PixelAspectRatio": (oiio.TypeFloat, 2.0),
}


def _inverted(job: Job) -> Result:
    frames = [job.one(0, number) for number in job.numbers]
    return Result([frame.having(1 - frame.pixels[:1]) for frame in frames])


register(Verb("test inverted", _inverted))


@pytest.fixture
def plate(tmp_path: Path, picture: Callable[..., Path], noise: Callable[..., Any]) -> Shot:
    """Four frames with overscan and metadata, a timecode each."""
    (tmp_path / "plates").mkdir()
    for number in range(1001, 1005):
        entries = {**METADATA, "smpte:TimeCode": (oiio.TypeTimeCode, (number, 89))}
        path = tmp_path / "plates" / f"p_v003.{number}.exr"
        picture(
            path, noise(6, 8, 3, number), ("R", "G", "B"), attributes=entries, origin=(-2, -1), display=(0, 0, 5, 4)
        )
    return read_sequence(str(tmp_path / "plates" / "p_v003.####.exr"))


@pytest.fixture
def matte(plate: Shot) -> Shot:
    """One minus the red of the plate."""
    return make("test inverted", (plate,), kind="matte", channels=("A",))


@pytest.fixture
def out(tmp_path: Path) -> str:
    (tmp_path / "out").mkdir()
    return str(tmp_path / "out" / "m_v001.####.exr")
