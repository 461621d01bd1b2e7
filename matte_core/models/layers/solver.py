"""Alpha by solving the matting Laplacian, with or without a prior: one set-up, any number of solves.

Source: A. Levin, D. Lischinski, Y. Weiss, A closed-form solution to natural image matting, IEEE TPAMI 2008,
eq. 12 (the Laplacian, windows of radius 1). The prior adds w |a - p|^2 on the unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from matte_core.models.layers.blocks import Grid
from matte_core.models.layers.colour_models import colour_models
from matte_core.models.layers.laplacian import matting_stencil
from matte_core.models.layers.multigrid import Hierarchy

REGULAR = 1e-7  # of the colour covariance in a window, as published
PRIOR_WEIGHT = 3e-4  # what the colours' own alpha is trusted with
BRIGHTEST = 16.0
_ANCHOR = 1e-6  # holds what nothing known reaches, at one half


class MattingSystem:
    """The matting equations of one picture and trimap, reduced to the unknown pixels.

    pixels   (3, H, W) in one light, scene-linear (unclipped) or display-referred; values above 16 are cut
    trimap   (H, W) of 0, 0.5 and 1
    """

    def __init__(self, pixels: Tensor, trimap: Tensor) -> None:
        colours = torch.nan_to_num(pixels.double(), posinf=BRIGHTEST, neginf=0.0).clamp(-BRIGHTEST, BRIGHTEST)
        self._unknown = (trimap > 0.25) & (trimap < 0.75)
        self._known = (trimap >= 0.75).double()
        self._shape = trimap.shape
        stencil = matting_stencil(colours, self._unknown, REGULAR)
        self._pull = stencil.towards_known(self._known)
        self._hierarchy: Hierarchy | None = None
        if stencil.count:
            candidates = _candidates(colours, self._unknown)
            self._hierarchy = Hierarchy(Grid(stencil.among_unknown(), stencil.rows, stencil.columns, candidates))

    @property
    def unknown(self) -> Tensor:
        """(H, W) bool, where alpha is solved for."""
        return self._unknown

    def solve(
        self, priors: Sequence[Tensor | None], weights: Sequence[float], tolerance: float = 1e-4, most: int = 80
    ) -> Tensor:
        """Alphas (S, H, W) float32 in 0..1, known pixels exactly 0 or 1, one per prior.

        `priors` are alphas (H, W), each drawn to with its weight; None solves the plain closed form, whatever
        its weight. Stops at a residual of `tolerance` or after `most` iterations. Never NaN: where the
        iteration fails the prior stands (0.5 without one).
        """
        count = len(self._pull)
        target = torch.full((count, len(priors)), 0.5, dtype=torch.float64, device=self._pull.device)
        pulls = [
            _ANCHOR if prior is None else max(float(weight), _ANCHOR)
            for prior, weight in zip(priors, weights, strict=True)
        ]
        for column, prior in enumerate(priors):
            if prior is not None:
                target[:, column] = torch.nan_to_num(prior[self._unknown].double(), 0.5).clamp(0, 1)
        diagonal = torch.tensor(pulls, dtype=torch.float64, device=target.device)
        start = next((target[:, [k]] for k, prior in enumerate(priors) if prior is not None), target[:, :1])
        start = torch.where(diagonal > _ANCHOR, target, start)
        solved = start
        if self._hierarchy is not None:
            right = self._pull[:, None] + diagonal * target
            solved = self._hierarchy.solve(right, diagonal, start, tolerance, most)
        solved = torch.where(torch.isfinite(solved), solved, target)
        alphas = self._known.repeat(len(priors), 1, 1)
        alphas[:, self._unknown] = solved.clamp(0, 1).T
        return alphas.float()


def _candidates(colours: Tensor, unknown: Tensor) -> Tensor:
    """(N, 4) of 1, red, green, blue at the unknown pixels: locally, alpha is nearly a sum of these."""
    return torch.cat([torch.ones_like(colours[:1]), colours])[:, unknown].T.contiguous()


def prepared(pixels: Tensor, trimap: Tensor) -> tuple[MattingSystem, Tensor]:
    """The matting system of `pixels` (3, H, W) and `trimap` (H, W), and its two solves (2, H, W): closed form,
    colour prior. Without any known foreground or background the second is the first: colours say nothing then."""
    system = MattingSystem(pixels, trimap)
    if not bool((trimap > 0.75).any()) or not bool((trimap < 0.25).any()):
        return system, system.solve([None], [0.0]).repeat(2, 1, 1)
    bounded = torch.nan_to_num(pixels.float(), posinf=BRIGHTEST, neginf=0.0).clamp(-BRIGHTEST, BRIGHTEST)
    prior = colour_models(bounded[None], trimap[None, None].float()).discriminant[0, 0].clamp(0, 1)
    return system, system.solve([None, prior], [0.0, PRIOR_WEIGHT])


def unknown_box(trimap: Tensor, margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold all unknown of `trimap` (H, W), with `margin` pixels around; empty if none is."""
    unknown = (trimap > 0.25) & (trimap < 0.75)
    slices = []
    for axis, side in ((1, trimap.shape[0]), (0, trimap.shape[1])):
        lines = torch.nonzero(unknown.any(axis))
        if not len(lines):
            return slice(0, 0), slice(0, 0)
        slices.append(slice(max(int(lines[0]) - margin, 0), min(int(lines[-1]) + 1 + margin, side)))
    return slices[0], slices[1]
