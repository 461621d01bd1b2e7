"""Pictures of a run: the learning curve, and rows of answers beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from matte_core.errors import OutputError
from matte_core.train.checkpoint import Curve

Picture = NDArray[np.uint8]
_WIDTH, _HEIGHT, _MARGIN = 1000, 600, 70
_INKS = ((200, 120, 20), (40, 140, 240), (60, 160, 60), (60, 60, 210), (160, 60, 160), (120, 120, 120))


def save_curve(curve: Curve, path: Path) -> None:
    """Write the learning curve as a PNG: losses as lines, validation errors as lines with dots, a log scale."""
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    lines = [(name, curve.iterations, _smooth(values), False) for name, values in curve.losses.items()]
    lines += [(f"validation {name}", curve.validated, values, True) for name, values in curve.scores.items()]
    values = [value for _, _, line, _ in lines for value in line if value > 0]
    if values:
        low, high = np.log10(min(values)) - 0.02, np.log10(max(values)) + 0.02
        last = max(curve.iterations + curve.validated)
        _grid(canvas, low, high, last)
        for number, (name, at, line, dotted) in enumerate(lines):
            _line(canvas, at, line, (low, high, last), _INKS[number % len(_INKS)], dotted)
            place = (_WIDTH - 300, _MARGIN + 22 * number)
            cv2.putText(canvas, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INKS[number % len(_INKS)], 1, cv2.LINE_AA)
    _write(path, canvas)


def tile(values: Tensor) -> Picture:
    """A picture (H, W, 3), blue first, of display-referred `values` (3, H, W) or of a matte (1, H, W), 0..1."""
    colours = values.detach().float().clamp(0, 1).expand(3, -1, -1).flip(0).permute(1, 2, 0)
    return np.ascontiguousarray((colours * 255).round().to("cpu", torch.uint8).numpy())


def save_rows(rows: Mapping[str, Sequence[Picture]], path: Path) -> None:
    """Write a PNG with a row of tiles of one size under every name."""
    drawn = []
    for name, tiles in rows.items():
        row = np.ascontiguousarray(np.concatenate(tiles, 1))
        cv2.putText(row, name, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 200, 255), 1, cv2.LINE_AA)
        drawn.append(row)
    _write(path, np.concatenate(drawn))


def _grid(canvas: Picture, low: float, high: float, last: int) -> None:
    for exponent in np.arange(np.floor(low * 4) / 4, high, 0.25):
        if exponent >= low:
            at = _HEIGHT - _MARGIN - round((exponent - low) / (high - low) * (_HEIGHT - 2 * _MARGIN))
            cv2.line(canvas, (_MARGIN, at), (_WIDTH - 20, at), (225, 225, 225), 1)
            _label(canvas, f"{10**exponent:.3g}", (8, at + 4))
    for part in range(5):
        at = _MARGIN + round(part / 4 * (_WIDTH - 20 - _MARGIN))
        _label(canvas, str(last * part // 4), (at - 16, _HEIGHT - _MARGIN + 22))


def _label(canvas: Picture, text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (90, 90, 90), 1, cv2.LINE_AA)


def _line(
    canvas: Picture,
    at: list[int],
    values: list[float],
    scale: tuple[float, float, int],
    ink: tuple[int, int, int],
    dotted: bool,
) -> None:
    low, high, last = scale
    logs = np.log10(np.maximum(values, 1e-12))
    across = _MARGIN + np.array(at) / max(last, 1) * (_WIDTH - 20 - _MARGIN)
    down = _HEIGHT - _MARGIN - (logs - low) / (high - low) * (_HEIGHT - 2 * _MARGIN)
    points = np.round(np.stack([across, down], 1)).astype(np.int32)
    cv2.polylines(canvas, [points], False, ink, 2 if dotted else 1, cv2.LINE_AA)
    for x, y in points.tolist() if dotted else []:
        cv2.circle(canvas, (x, y), 4, ink, -1, cv2.LINE_AA)


def _smooth(values: list[float], keep: float = 0.8) -> list[float]:
    smoothed: list[float] = []
    for value in values:
        smoothed.append(value if not smoothed else keep * smoothed[-1] + (1 - keep) * value)
    return smoothed


def _write(path: Path, picture: Picture) -> None:
    if not cv2.imwrite(str(path), picture):
        raise OutputError(f"{path} cannot be written. Check the folder and the free space.")
