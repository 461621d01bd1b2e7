"""Whatever can be asked for an alpha: a model of the catalogue, or one of pymatting's solvers as it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matte_core.colour import encode_for_network, solver_light, srgb_encode
from matte_core.engine.engine import Engine, Look
from matte_core.engine.transfer import Answer
from matte_core.errors import UsageError
from matte_core.evaluate.cost import Cost, Stopwatch
from matte_core.frame import Pixels
from matte_core.guide import Guide
from matte_core.matting import matte_of, view_of
from matte_core.models.base import Card, Guides, MattingModel
from matte_core.models.catalogue import model
from matte_core.models.weights import find
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run, frames
from matte_core.shot import Shot
from matte_core.sources import matte_source, plate_source
from matte_core.trimap import snap
from matte_core.windows import over_window_of

REFERENCE = "pymatting "  # begins the name of a method that is no model of ours
REFERENCES = tuple(REFERENCE + name for name in ("closed-form", "knn", "learning-based", "random-walk"))
CLIPPED = ", clipped sRGB"  # ends the name of a method that is shown what most tools make of a scene-linear plate
_WARM_UP = 64  # pixels a side of the picture that is solved before anything is counted

Solve = Callable[["Question"], tuple[Pixels, Cost]]


@dataclass(frozen=True)
class Question:
    """One picture to answer: files of its plate and of its trimap; `space` as for a plate read by hand."""

    plate: Path
    trimap: Path
    space: str = ""

    def shots(self) -> tuple[Shot, Shot]:
        """The plate, and the trimap over its window."""
        plate = plate_source(str(self.plate), space=self.space)
        return plate, over_window_of(plate, matte_source(str(self.trimap)), "trimap")


def check(name: str) -> None:
    """Raises UsageError or ModelError where no method is called `name`, or it needs more than a trimap."""
    if name.startswith(REFERENCE):
        if name.removesuffix(CLIPPED) not in REFERENCES:
            raise UsageError(f"there is no '{name}'. Choose one of: {', '.join(REFERENCES)}.")
        return
    card = model(name).card
    if card.answers != "alpha" or card.guides != ("trimap",):
        raise UsageError(f"{name} does not answer a trimap with an alpha. See: matte models")


def prepare(name: str, device: torch.device, precision: str) -> Solve:
    """The method called `name`, loaded and warmed up: from a question to alpha (H, W) in 0..1 and its cost."""
    if name.startswith(REFERENCE):
        return _reference(name)
    engine = MeasuredEngine(device)
    chosen = model(name)
    engine.step(chosen, *example(chosen.card))
    engine.stopwatch.take()

    def solve(question: Question) -> tuple[Pixels, Cost]:
        plate, trimap = question.shots()
        matte = matte_of(plate, Guide(trimap=trimap), name, precision, device)
        return pull_one(matte, engine)[0], engine.stopwatch.take()

    return solve


def pull_one(shot: Shot, engine: Engine) -> Pixels:
    """Pixels (C, H, W) of a shot of one frame, computed in the caller's thread."""
    (frame,) = Run(Plan([(shot, shot.frames)]), lanes=SERIAL, tools=engine, inside=torch.inference_mode)
    return np.asarray(frame.pixels)


class MeasuredEngine(Engine):
    """The engine, with what its steps cost: the model's own work and what it is shown, without reading."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device, find)
        self.stopwatch = Stopwatch(device)

    def begin(
        self,
        model: MattingModel,
        frames: Tensor,
        guides: Guides,
        state: Any = None,
        precision: str = "fp32",
        look: Look | None = None,
        half: bool = False,
    ) -> tuple[Answer, Any]:
        with self.stopwatch.running():
            answer, state = super().begin(model, frames, guides, state, precision, look, half)
            return Answer(answer.take()), state


def _reference(name: str) -> Solve:
    from matte_core.models.classic.reference import reference_alpha  # compiles for seconds

    stopwatch = Stopwatch(torch.device("cpu"))
    solver = name.removesuffix(CLIPPED).removeprefix(REFERENCE)
    pictures, guides = example(Card(name, name))
    reference_alpha(solver, pictures[0].numpy(), guides["trimap"][0, 0].numpy())

    def solve(question: Question) -> tuple[Pixels, Cost]:
        plate, trimap = question.shots()
        pixels, regions = (next(frames(shot)).pixels for shot in (plate, trimap))
        image = (_clipped if name.endswith(CLIPPED) else solver_light)(pixels, view_of(plate))
        known = snap(regions)[0]
        with stopwatch.running():
            alpha = reference_alpha(solver, image, known)
        return alpha, stopwatch.take()

    return solve


def _clipped(pixels: Pixels, view: Any) -> Pixels:
    """The plate as an 8-bit tool has it: exposed, clipped to 0..1, sRGB-encoded."""
    if view.display:
        return encode_for_network(pixels, view)
    return srgb_encode(np.clip(solver_light(pixels, view), 0, 1))


def example(card: Card, height: int = _WARM_UP, width: int = _WARM_UP) -> tuple[Tensor, dict[str, Tensor]]:
    """A picture of a disc a quarter as high as it, and every guide the card asks for, to load and measure with."""
    count = 2 if card.propagates else card.before + 1 + card.after
    across = torch.arange(width, dtype=torch.float32)
    rows, columns = torch.meshgrid(torch.arange(height, dtype=torch.float32), across, indexing="ij")
    distance = torch.hypot(rows - height / 2, columns - width / 2) * _WARM_UP / height
    colours = torch.stack([(distance < 16).float() * 0.5 + 0.1, rows / height, columns / width])
    trimap = torch.where(distance < 12, 1.0, torch.where(distance > 20, 0.0, 0.5))
    told = {
        "trimap": trimap[None],
        "background": colours.flip(0),
        "motion": torch.zeros_like(colours),
        "light": torch.ones(1, height, width),
    }
    names = [
        *card.guides,
        *(["alpha"] if card.first else []),
        *(["motion"] if card.motion else []),
        *(["light"] if card.light else []),
    ]
    guides = {name: told.get(name, (distance < 16).float()[None]) for name in names}
    handed = {name: guide.repeat(count, 1, 1, 1) for name, guide in guides.items()}
    if card.propagates:
        regions = [(trimap == value).float() for value in (0, 0.5, 1)]
        handed["carried"] = torch.stack([*regions, torch.ones_like(trimap)])[None]
    return colours.repeat(count, 1, 1, 1), handed
