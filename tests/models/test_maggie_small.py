"""The MaGGIe that ships: it mends rough masks, its instances and clips are as the published form promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from matte_core.models.maggie import SMALL_IMAGE, SMALL_VIDEO, MaggieModel
from matte_core.models.maggie.evidence import EVIDENCE, weighed
from matte_core.models.maggie.net import Maggie
from matte_core.models.weights import find


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=[SMALL_IMAGE, SMALL_VIDEO], ids=["pictures", "clips"])
def small(request: pytest.FixtureRequest) -> tuple[MaggieModel, Maggie]:
    return request.param, request.param.load(find(request.param.card), torch.device("cpu"))


def discs(frames: int = 1, side: int = 128) -> tuple[Tensor, Tensor, Tensor]:
    """Plates (T, 3, S, S) of two soft discs, a red and a blue one, their alphas (T, 2, S, S), and masks 8x coarser."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    alphas = torch.stack(
        [
            torch.stack(
                [((26 - torch.hypot(rows - 64.0, columns - 34.0 - 60 * k - t)) / 6).clamp(0, 1) for k in (0, 1)]
            )
            for t in range(frames)
        ]
    )
    colours = torch.tensor([[0.8, 0.15, 0.1], [0.1, 0.2, 0.8]])
    back = 0.5 + 0.1 * torch.rand(3, side, side, generator=torch.Generator().manual_seed(1))
    front = torch.einsum("tkhw,kc->tchw", alphas, colours)
    plates = front + (1 - alphas.sum(1, keepdim=True)) * back
    coarse = torch.nn.functional.avg_pool2d(alphas, 16) > 0.5
    return plates, alphas, coarse.float().repeat_interleave(16, 2).repeat_interleave(16, 3)


def test_colours_and_masks_make_a_matte_far_nearer_to_the_truth(small: tuple[MaggieModel, Maggie]) -> None:
    model, net = small
    plates, alphas, masks = discs()
    found = model.step(net, plates, {"instances": masks}, None)[0]["alpha"]
    before, after = float((masks - alphas).abs().mean()), float((found - alphas).abs().mean())
    assert found.shape == alphas.shape and after < 0.5 * before, (before, after)


def test_a_clip_is_the_same_however_it_is_cut_and_an_instance_may_leave_and_return() -> None:
    net = SMALL_VIDEO.load(find(SMALL_VIDEO.card), torch.device("cpu"))
    plates, _, masks = discs(6, 64 * 2)
    masks[2:4, 0] = 0

    def made(start: int, stop: int, state: object) -> tuple[list[Tensor], object]:
        answers = []
        for place in range(start, stop):
            window = slice(max(place - 1, 0), place + 3)
            layers, state = SMALL_VIDEO.step(net, plates[window], {"instances": masks[window]}, state)
            answers.append(layers["alpha"][0])
        return answers, state

    whole, _ = made(0, 6, None)
    first, state = made(0, 3, None)
    rest, _ = made(3, 6, state)
    assert all(torch.equal(one, other) for one, other in zip(whole, [*first, *rest], strict=True))
    assert all(float(frame.std()) > 0.05 for frame in whole) and whole[5][0].max() > 0.9


def test_evidence_is_what_colours_say_of_each_instance_and_never_beyond_its_bounds() -> None:
    plates, alphas, masks = discs()
    told = weighed(plates, masks)
    assert told.shape == (1, 2, EVIDENCE, 128, 128) and torch.isfinite(told).all() and told.abs().max() <= 1.4 + 1e-5
    assert torch.equal(told[:, :, 0], masks * 2 - 1)
    by_colour = (told[:, :, 2] + 1) / 2
    inside, outside = alphas > 0.99, alphas.sum(1, keepdim=True).expand_as(alphas) < 0.01
    assert float(by_colour[inside].mean()) > 0.8 and float(by_colour[outside].mean()) < 0.2
    alone = weighed(plates, masks[:, :1])
    assert torch.equal(alone[:, 0, 1], torch.full((1, 128, 128), -1.0))
    empty = weighed(plates, masks * 0)
    assert torch.isfinite(empty).all()
