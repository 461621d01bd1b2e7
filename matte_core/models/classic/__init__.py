"""Classic solvers through pymatting: alpha from the plate and a trimap alone, no weights, no training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from matte_core.errors import ModelError
from matte_core.models.base import Card, Guides, Layers


@dataclass(frozen=True)
class ClassicModel:
    """A solver of `solver.py` behind the models' protocol; `function` is its name there."""

    card: Card
    function: str

    def load(self, weights: Path | None, device: torch.device) -> ModuleType:
        """The module of solvers, imported here because compiling it takes seconds."""
        from matte_core.models.classic import solver

        return solver

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        """{"alpha": (T, K, H, W)}: known pixels of the trimap as they are, unknown ones solved, in 0..1.

        Raises ModelError where a trimap with unknown pixels has no foreground or no background.
        """
        solve = getattr(net, self.function)
        alpha = torch.round(guides["trimap"] * 2) / 2
        for frame, layers in zip(frames, alpha, strict=True):
            if not (layers == 0.5).any():
                continue
            image = np.ascontiguousarray(frame.permute(1, 2, 0).cpu().numpy(), np.float64)
            for layer in layers:
                trimap = layer.cpu().numpy()
                unknown = trimap == 0.5
                if not unknown.any():
                    continue
                if not (trimap == 1).any() or not (trimap == 0).any():
                    raise ModelError(
                        f"{self.card.name} needs both foreground (white) and background (black) in the trimap, "
                        f"and {'foreground' if (trimap == 0).any() else 'background'} is missing. Paint some."
                    )
                solved = trimap.copy()
                solved[unknown] = np.clip(solve(image, trimap), 0, 1)
                layer.copy_(torch.from_numpy(solved))
        return {"alpha": alpha}, state


def _card(name: str, title: str, memory: int) -> Card:
    return Card(name, title, encoding="linear", memory=memory, on_cpu_only=True)


CLOSED_FORM = ClassicModel(_card("closed-form", "Closed-form matting (Levin et al. 2008)", 700), "closed_form")
KNN = ClassicModel(_card("knn", "KNN matting (Chen et al. 2013)", 600), "nearest_neighbours")
LEARNING_BASED = ClassicModel(
    _card("learning-based", "Learning-based matting (Zheng and Kambhamettu 2009)", 700), "learning_based"
)
RANDOM_WALK = ClassicModel(_card("random-walk", "Random walk matting (Grady et al. 2005)", 500), "random_walk")
