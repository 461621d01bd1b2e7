"""Configurations, headers and plates that the tests of colour share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as ocio
import pytest
import torch

from matte_core import colour
from matte_core.frame import Attribute, Header, Window

LINEAR = [
    "Linear Rec.709 (sRGB)",
    "ACEScg",
    "ACES2065-1",
    "Linear P3-D65",
    "Linear Rec.2020",
    "Linear ARRI Wide Gamut 4",
]

LOG = ["ACEScct", "ARRI LogC3 (EI800)", "ARRI LogC4", "Log3G10 REDWideGamutRGB", "S-Log3 S-Gamut3.Cine", "Apple Log"]

STUDIO = """ocio_profile_version: 2
roles: {scene_linear: show_ap1, aces_interchange: aces_ref, default: plain}
file_rules:
  - !<Rule> {name: Plates, pattern: "*plate*", extension: exr, colorspace: show_ap1}
  - !<Rule> {name: Default, colorspace: plain}
displays: {screen: [!<View> {name: plain, colorspace: plain}]}
colorspaces:
  - !<ColorSpace> {name: aces_ref}
  - !<ColorSpace> {name: plain, isdata: true}
  - !<ColorSpace> {name: show_ap1, to_scene_reference: !<BuiltinTransform> {style: ACEScg_to_ACES2065-1}}
  - !<ColorSpace> {name: twisted, to_scene_reference: !<CDLTransform> {sat: 0.5, power: [2, 2, 2]}}
"""


@pytest.fixture(autouse=True)
def one_thread_and_no_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OCIO", raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def studio(tmp_path: Path) -> colour.Config:
    file = tmp_path / "studio.ocio"
    file.write_text(STUDIO)
    return colour.load_config(str(file))


def header(linear: bool = True, **metadata: Any) -> Header:
    window = Window(0, 0, 4, 4)
    entries = tuple(Attribute(name.replace("__", ":"), "", value) for name, value in metadata.items())
    return Header(window, window, linear=linear, metadata=entries)


def view(space: str, exposure: float = 1.0) -> colour.View:
    return colour.make_view(colour.load_config(), space, exposure)


def through_ocio(space: str, pixels: Any) -> Any:
    """Linear Rec.709 (3, H, W) as OpenColorIO makes it, without its approximations."""
    processor = colour.load_config().handle.getProcessor(space, "Linear Rec.709 (sRGB)")
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    depth = ocio.BIT_DEPTH_F32
    processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_NONE).applyRGB(rows)
    return rows.transpose(2, 0, 1)


def plate(space: str) -> Any:
    """A grey ramp from black to light of 100, and colours inside the gamut of Rec.709, in `space`."""
    ramp = np.geomspace(1e-4, 100, 512, dtype=np.float32)
    ramp[0] = 0
    colours = np.random.default_rng(3).random((512, 3), np.float32)
    light = np.concatenate([np.repeat(ramp[:, None], 3, axis=1), colours])
    processor = colour.load_config().handle.getProcessor("Linear Rec.709 (sRGB)", space)
    depth = ocio.BIT_DEPTH_F32
    processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_NONE).applyRGB(light)
    return light.T.reshape(3, 32, 32).copy()
