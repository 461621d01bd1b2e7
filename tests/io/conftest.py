"""Pictures made by OpenImageIO directly, so that the code under test does not judge itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.frame import Frame
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot

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
