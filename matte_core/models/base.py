"""What every matting model declares and offers: a card, and a load and a step behind it.

The engine knows this file and no model; a model knows this file and no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

GuideName = Literal["mask", "trimap", "instances", "background"]
Encoding = Literal["display", "linear"]
Guides = Mapping[str, Tensor]
Layers = Mapping[str, Tensor]
_TRAINED_ON = "textures from 18 CC0 panoramas (Poly Haven) and 8 OpenEXR photographs (ILM); machine: 2-core CPU"


@dataclass(frozen=True)
class Weights:
    """Where a model's weights come from and what they may be used for."""

    file: str  # file name in the package's weights folder or in the models folder
    sha256: str  # "" where it is noted when the file is fetched
    licence: str
    commercial: bool
    megabytes: float
    repository: str = ""  # id on the public model hub, "" when the file ships in the package
    convert: str = ""  # which file of a person's own it is converted from, "" where it ships or is fetched
    origin: str = ""  # recipe, seed, iterations, data, machine: how the weights were made

    @classmethod
    def ours(cls, name: str, sha256: str, megabytes: float, made: str) -> Weights:
        """Weights trained here that ship in the package: `made` names recipe, seed, iterations and pictures."""
        return cls(f"{name}.safetensors", sha256, "Apache-2.0", True, megabytes, origin=f"{made}; {_TRAINED_ON}")


@dataclass(frozen=True)
class Card:
    """A model's declaration, which the engine obeys.

    answers       what `step` returns first
    guides        guides it must be given; () for a model that finds the subject by itself
    keyed         whether its guides are given on keyframes alone: it carries them through the shot, both ways
    encoding      the light its pixels must be in: "display" is 0..1 after the shot's exposure, shoulder and
                  sRGB curve; "linear" is scene-linear Rec.709 times the shot's exposure, unclipped
                  (display-referred plates are handed over as they are in both cases)
    alpha_domain  whether its alpha is coverage in linear light or in display light
    before, after frames of context; `carries` a state, with `warm_up` frames (None = from the first frame)
    light         whether it is told the light of its pixels, as guide "light"
    first         model whose alpha of every frame it begins with, handed to it as guide "alpha"; "" for none. Smoothed
                  over time (Smooth Matte) where it is handed the motion too
    motion        whether it is handed the motion to every frame of its window, as guide "motion"
    ends          what stands for context beyond the shot's ends: its last frame again, or nothing (fewer frames)
    batch         frames at once, speed only; `clip` frames that change each other's answer (0 = none)
    overlap       pixels of overlap when the picture is cut into tiles; None = it must see the whole frame
    multiple      width and height are padded to a multiple of this
    smallest      pixels that the plate's shorter side must have
    side_limit    a longer picture is shown to it reduced to this, guides too, and its answer enlarged; 0 = none
    precisions    what it may run in; the first is the default on a CPU, the last on CUDA
    short_limit   a picture whose shorter side is longer is reduced to this by the model itself; 0 = none
    memory        bytes per pixel of a frame while it works, beside its weights; `memory_unknown` more for each
                  unknown pixel of one layer's trimap
    fixed         names of its network's parts ("" = all of it) that do the same operations on every picture of one
                  size: those may be compiled, and recorded as CUDA graphs
    """

    name: str
    title: str
    answers: Literal["alpha", "trimap", "guide", "foreground"] = "alpha"
    guides: tuple[GuideName, ...] = ("trimap",)
    keyed: bool = False
    encoding: Encoding = "display"
    alpha_domain: Literal["linear", "display"] = "linear"
    before: int = 0
    after: int = 0
    carries: bool = False
    warm_up: int | None = 0
    light: bool = False
    first: str = ""
    motion: bool = False
    ends: Literal["repeat", "cut"] = "repeat"
    batch: int = 1
    clip: int = 0
    overlap: int | None = None
    multiple: int = 1
    smallest: int = 1
    side_limit: int = 0
    precisions: tuple[Literal["fp32", "bf16", "fp16"], ...] = ("fp32",)
    short_limit: int = 0
    memory: int = 400
    memory_unknown: int = 0
    fixed: tuple[str, ...] = ()
    on_cpu_only: bool = False
    weights: Weights | None = None
    version: int = 1
    note: str = ""

    @property
    def propagates(self) -> bool:
        """Whether it finds a frame's trimap from those of other frames, which stand behind it in what it is handed."""
        return self.answers == "trimap" and "trimap" in self.guides


@dataclass(frozen=True)
class ModelChoice:
    """A model by name and the arithmetic it is to run in: a choice, handed from one operation to others."""

    name: str
    precision: str = "auto"
    kind: ClassVar[str] = "model"  # what a socket compares, as a shot's kind


@runtime_checkable
class Convertible(Protocol):
    """A model that takes a file of weights in names that are not ours."""

    def converted(self, checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
        """The file's tensors under our names, none missing, none left over. Raises ModelError."""
        ...


class MattingModel(Protocol):
    """A model: its card, how it is loaded, and one step of it."""

    @property
    def card(self) -> Card: ...

    def load(self, weights: Path | None, device: torch.device) -> Any:
        """The network (or solver) on `device`, ready to step. Raises ModelError where weights do not fit."""
        ...

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """Layers, {"alpha": (T, K, H, W)} in 0..1, for `frames` (T, 3, H, W) in the card's encoding.

        A model that answers with a trimap gives {"regions": (T, 3 * K, H, W)}: the probabilities of background,
        unknown and foreground of layer after layer, which sum to 1.

        `guides` holds (T, K, H, W) per guide: a mask in 0..1 (1 = selected), a trimap of 0, 0.5 and 1.
        A `keyed` model is given them on keyframes alone, where it begins anew, and none on other frames.
        "alpha" is an alpha (T, K, H, W) in 0..1; "motion" (T, 3, H, W) leads from the frame that is answered to every
        one: x, y in pixels, and how far it is to be trusted, 0..1. "light" (T, 1, H, W) is 1 for scene-linear pixels
        and -1 for display-referred ones.
        With context (before, after) T is before + batch + after and layers hold the batch alone; a card whose ends
        are "cut" gets fewer frames where the shot has no more.
        `state` is what the step before returned, None at the start; the new state is returned.
        """
        ...
