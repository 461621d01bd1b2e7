"""The classic models that need no weights: what they declare and what they answer."""

from __future__ import annotations

import torch
from torch import Tensor

from matte_core.models.base import MattingModel
from matte_core.models.colour_prior import CLOSED_FORM, COLOUR_PRIOR

CPU = torch.device("cpu")


def two_layers() -> tuple[Tensor, Tensor, Tensor]:
    """Frames (2, 3, 48, 64), trimaps (2, 2, 48, 64) and alphas (2, 2, 48, 64): a left and a right half."""
    ramp = (torch.arange(64) - 28).div(8).clamp(0, 1).expand(2, 1, 48, 64)
    alphas = torch.cat([1 - ramp, ramp], 1)
    front, back = (torch.tensor(c)[:, None, None] for c in ([0.8, 0.2, 0.1], [0.1, 0.3, 3.0]))
    frames = front * alphas[:, :1] + back * alphas[:, 1:]
    trimaps = torch.where((alphas > 0) & (alphas < 1), 0.5, alphas.round())
    trimaps[..., 24:40] = 0.5
    return frames, trimaps, alphas


def answer(model: MattingModel, frames: Tensor, trimaps: Tensor) -> Tensor:
    layers, state = model.step(model.load(None, CPU), frames, {"trimap": trimaps}, None)
    assert state is None
    return layers["alpha"]


def test_every_layer_and_frame_is_solved_in_the_light_it_comes_in() -> None:
    frames, trimaps, alphas = two_layers()
    for model in (COLOUR_PRIOR, CLOSED_FORM):
        assert model.card.encoding == "linear"
        assert float((answer(model, frames, trimaps) - alphas).abs().max()) < 0.02


def test_a_frame_s_answer_does_not_depend_on_the_frames_beside_it() -> None:
    frames, trimaps, _ = two_layers()
    frames[1] += 0.2
    together = answer(COLOUR_PRIOR, frames, trimaps)
    alone = answer(COLOUR_PRIOR, frames[1:], trimaps[1:])
    assert torch.equal(together[1:], alone)


def test_layers_without_unknown_are_their_trimap() -> None:
    frames, trimaps, _ = two_layers()
    known = trimaps.round()
    assert torch.equal(answer(COLOUR_PRIOR, frames, known), known)


def test_the_prior_closes_a_hole_that_the_closed_form_floods() -> None:
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    inside = torch.hypot(rows - 32.0, columns - 32.0)
    alpha = ((inside < 28) & (inside > 8)).float()
    grain = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1)) * 0.02
    frame = torch.tensor([0.7, 0.3, 0.1])[:, None, None] * alpha + torch.tensor([0.1, 0.3, 0.7])[:, None, None] * (
        1 - alpha
    )
    trimap = torch.where(inside > 32, 0.0, torch.where((inside > 18) & (inside < 24), 1.0, 0.5))
    errors = [
        float((answer(model, (frame + grain)[None], trimap[None, None])[0, 0] - alpha).abs()[inside < 6].mean())
        for model in (COLOUR_PRIOR, CLOSED_FORM)
    ]
    assert errors[0] < 0.05
    assert errors[0] < errors[1]
