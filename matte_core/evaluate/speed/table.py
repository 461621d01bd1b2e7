"""What was measured as a table, as JSON and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from matte_core.errors import OutputError
from matte_core.evaluate.speed.measure import STAGES, Measured

_HEAD = (
    "model", "size", "precision", "decode", "colour", "network", "other", "encode", "plain loop", "frames/s",
    "to plain loop", "to slowest stage", "to pymatting", "host MB", "card MB", "floor", "reached",
)  # fmt: skip
_INKS = {
    "decode": (190, 140, 60), "colour": (90, 190, 230), "network": (70, 110, 220), "copy": (160, 160, 160),
    "other": (120, 170, 120), "encode": (150, 90, 150),
}  # fmt: skip
_LEFT, _RIGHT, _ROW, _TOP, _LONG = 330, 160, 64, 70, 800


def markdown(found: Sequence[Measured], setting: str) -> str:
    """One row for each model and size; what each column says stands below."""
    rows = ["| " + " | ".join(_HEAD) + " |", "|---|---|---|" + "--:|" * (len(_HEAD) - 3)]
    rows += ["| " + " | ".join(_cells(row)) + " |" for row in found if not row.failure]
    notes = [f"\n{row.model}, {row.width}x{row.height}: {row.failure}" for row in found if row.failure] + [
        f"\n{row.model}: plain loop and lanes wrote different files."
        for row in found
        if not row.failure and not row.same
    ]
    legend = (
        "\nSeconds per frame, EXR to EXR. Stages are those of the plain loop, which reads, infers and writes one "
        "frame after another; frames/s is what `matte sequence` reaches. To plain loop, to pymatting (its closed "
        "form in the model's place): how many times as fast, in turns in the same process. To slowest stage: time of "
        "a frame over that of the longest stage; 1 is what overlapping alone can reach. Floor: operations and bytes "
        "over rates measured here (a large convolution, a large copy); reached: floor over the time of a frame."
    )
    return "\n".join([setting, "", *rows, *notes, legend, ""])


def _cells(row: Measured) -> list[str]:
    stages = [_seconds(row.stages.get(stage)) for stage in STAGES if stage != "copy"]
    return [
        row.model,
        f"{row.width}x{row.height}",
        row.precision,
        *stages,
        _seconds(row.naive),
        f"{1 / row.lanes:.3g}",
        f"{row.ratio:.2f}x",
        f"{row.lanes / row.slowest:.2f}x",
        "" if row.reference is None else f"{row.reference / row.lanes:.2f}x",
        "" if row.host is None else f"{row.host:.0f}",
        f"{row.device:.0f}" if row.device else "",
        _seconds(row.floor),
        "" if row.floor is None else f"{row.floor / row.lanes:.0%}",
    ]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def content(found: Sequence[Measured], settings: dict[str, Any]) -> dict[str, Any]:
    """All of it as plain JSON."""
    return {"settings": settings, "measured": [{**asdict(row), "slowest": row.slowest} for row in found]}


def save_plot(found: Sequence[Measured], file: Path) -> None:
    """A PNG: for each model and size the stages of the plain loop end to end, the lanes below, the floor as a line."""
    rows = [row for row in found if not row.failure]
    canvas = np.full((_TOP + _ROW * len(rows) + 30, _LEFT + _LONG + _RIGHT, 3), 255, np.uint8)
    for place, stage in enumerate(STAGES):
        at = _LEFT + place * 110
        cv2.rectangle(canvas, (at, 18), (at + 14, 32), _INKS[stage], -1)
        _text(canvas, stage, (at + 20, 31))
    _text(canvas, "seconds per frame; above: plain loop, below: lanes; line: floor", (_LEFT, 55))
    longest = max((max(row.naive, row.lanes) for row in rows), default=1.0)
    for place, row in enumerate(rows):
        _bars(canvas, row, _TOP + place * _ROW, _LONG / longest)
    if not cv2.imwrite(str(file), canvas):
        raise OutputError(f"{file} cannot be written. Check the folder and the free space.")


def _bars(canvas: np.ndarray[Any, Any], row: Measured, top: int, scale: float) -> None:
    _text(canvas, row.model, (12, top + 20))
    _text(canvas, f"{row.width}x{row.height} {row.precision}", (12, top + 40))
    at = float(_LEFT)
    for stage, seconds in row.stages.items():
        cv2.rectangle(canvas, (round(at), top + 6), (round(at + seconds * scale), top + 24), _INKS[stage], -1)
        at += seconds * scale
    cv2.rectangle(canvas, (_LEFT, top + 28), (round(_LEFT + row.lanes * scale), top + 46), (60, 60, 60), -1)
    _text(canvas, f"{row.naive:.3g} s", (round(_LEFT + row.naive * scale) + 8, top + 20))
    _text(canvas, f"{row.lanes:.3g} s", (round(_LEFT + row.lanes * scale) + 8, top + 42))
    if row.floor is not None:
        floor = round(_LEFT + row.floor * scale)
        cv2.line(canvas, (floor, top + 2), (floor, top + 50), (40, 40, 230), 2)


def _text(canvas: np.ndarray[Any, Any], text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60, 60, 60), 1, cv2.LINE_AA)
