"""High-dynamic-range photographs to cut textures from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import cv2
import numpy as np

from matte_core.io.image import read_pixels
from matte_core.train.procedural.fields import Map, Random, log_uniform

Photographs = Sequence[Map]
_ENDINGS = (".exr", ".hdr")
_BRIGHTEST = 1000.0


def load_photographs(folder: Path, without: Collection[Path] = ()) -> list[Map]:
    """Scene-linear pictures (H, W, 3), 0 to 1000, of every .exr and .hdr file under `folder`, in name order.

    Files in `without` are passed over.

    A picture twice as wide as high is taken for a panorama and loses its stretched top and bottom.
    Raises SourceError where a file cannot be read or has no R, G and B.
    """
    return [_load(path) for path in sorted(folder.rglob("*")) if path.suffix in _ENDINGS and path not in without]


def _load(path: Path) -> Map:
    pixels = read_pixels(path, ("R", "G", "B"))[0].transpose(1, 2, 0)
    clean = np.ascontiguousarray(np.clip(np.nan_to_num(pixels), 0, _BRIGHTEST), dtype=np.float32)
    height, width = clean.shape[:2]
    return clean[height // 8 : height * 7 // 8] if width == 2 * height else clean


def cut(random: Random, photographs: Photographs, size: int) -> Map:
    """(size, size, 3) scene-linear part of a random photograph at a random scale; mean about 0.3."""
    picture = photographs[int(random.integers(0, len(photographs)))]
    height, width = picture.shape[:2]
    side = int(log_uniform(random, min(64, height), min(height, width)))
    top, left = int(random.integers(0, height - side + 1)), int(random.integers(0, width - side + 1))
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    part = cv2.resize(picture[top : top + side, left : left + side], (size, size), interpolation=method)
    level = np.percentile(part.mean(2), random.uniform(40, 95))
    return np.asarray(part * (random.uniform(0.2, 0.6) / max(float(level), 1e-4)), dtype=np.float32)
