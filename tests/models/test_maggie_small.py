"""The MaGGIe that ships: it mends rough masks, its instances and clips are as the published form promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from matte_core.models.maggie import SMALL_IMAGE, SMALL_VIDEO, MaggieModel
from matte_core.models.maggie.evidence import (
    COARSE_EVIDENCE,
    FINE_EVIDENCE,
    FineEvidence,
    coarse_evidence,
    colours,
)
from matte_core.models.maggie.net import Maggie, normalised
from matte_core.models.maggie.refine import Refined
from matte_core.models.maggie.sites import GatheredSites, MaskedSites
from matte_core.models.maggie.stream import step, window_by_window
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
    coarse = functional.avg_pool2d(alphas, 16) > 0.5
    return plates, alphas, coarse.float().repeat_interleave(16, 2).repeat_interleave(16, 3)


def streamed(net: Maggie, pictures: Tensor, masks: Tensor) -> list[Tensor]:
    answers, passed = [], None
    for place in range(len(pictures)):
        window = slice(max(place - 1, 0), place + 3)
        answer, passed = step(net, pictures[window], masks[window], passed)
        answers.append(answer)
    return answers


def test_colours_and_masks_make_a_matte_far_nearer_to_the_truth(small: tuple[MaggieModel, Maggie]) -> None:
    model, net = small
    plates, alphas, masks = discs()
    found = model.step(net, plates, {"instances": masks}, None)[0]["alpha"]
    before, after = float((masks - alphas).abs().mean()), float((found - alphas).abs().mean())
    assert found.shape == alphas.shape and after < 0.5 * before, (before, after)


@pytest.mark.parametrize("grey", [0.0, 0.5])
def test_where_colours_say_nothing_the_mask_stands(small: tuple[MaggieModel, Maggie], grey: float) -> None:
    """A fade to black, an empty beauty pass: what was drawn is not lost."""
    model, net = small
    masks = discs()[2]
    found = model.step(net, torch.full((1, 3, 128, 128), grey), {"instances": masks}, None)[0]["alpha"]
    overlap = ((found > 0.5) & (masks > 0.5)).sum() / ((found > 0.5) | (masks > 0.5)).sum()
    assert overlap > 0.8, float(overlap)


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
    told = coarse_evidence(colours(plates, masks), masks)
    assert told.shape == (1, 2, COARSE_EVIDENCE, 16, 16) and torch.isfinite(told).all()
    assert told.abs().max() <= 1.4 + 1e-5
    assert torch.equal(told[:, :, 0], functional.avg_pool2d(masks, 8) * 2 - 1)
    by_colour = (told[:, :, 2] + 1) / 2
    small = functional.avg_pool2d(alphas, 8)
    inside, outside = small > 0.99, small.sum(1, keepdim=True).expand_as(small) < 0.01
    assert float(by_colour[inside].mean()) > 0.8 and float(by_colour[outside].mean()) < 0.2
    alone = coarse_evidence(colours(plates, masks[:, :1]), masks[:, :1])
    assert torch.equal(alone[:, 0, 1], torch.full((1, 16, 16), -1.0))
    assert torch.isfinite(coarse_evidence(colours(plates, masks * 0), masks * 0)).all()


def test_refinement_is_told_more_by_coarse_alphas_than_by_masks_and_the_same_at_sites_as_on_maps() -> None:
    plates, alphas, masks = discs()
    told = FineEvidence(colours(plates, masks), masks, functional.avg_pool2d(alphas, 8))
    region = (alphas > 0).flatten(0, 1)
    gathered, mapped = told.at(GatheredSites(region), 1), told.at(MaskedSites(region), 1)
    assert gathered.shape == (int(region.sum()), FINE_EVIDENCE)
    torch.testing.assert_close(mapped.permute(0, 2, 3, 1)[region], gathered, atol=1e-5, rtol=0)
    truth = alphas.flatten(0, 1)[region]
    by_mask, by_coarse = (float(((gathered[:, k] + 1) / 2 - truth).abs().mean()) for k in (2, 5))
    assert by_coarse < 0.12 and by_coarse < by_mask + 0.01, (by_coarse, by_mask)


def test_gathered_and_masked_sites_give_the_same_alphas(small: tuple[MaggieModel, Maggie]) -> None:
    net = small[1]
    plates, _, masks = discs(3)
    trunk = net.trunk(normalised(plates), masks)
    one, other = (net.head(trunk, masks, masked=masked) for masked in (False, True))
    assert 0.01 < float(one.region.float().mean()) < 0.9
    torch.testing.assert_close(one.alphas, other.alphas, atol=1e-5, rtol=0)


def test_a_network_for_clips_begins_with_the_answers_of_the_one_for_pictures() -> None:
    """Of a clip that stands still; a frame may miss an instance, or all of them."""
    torch.manual_seed(1)
    pictures = SMALL_IMAGE.load(find(SMALL_IMAGE.card), torch.device("cpu"))
    clips = Maggie(replace(SMALL_IMAGE.settings, temporal=True))
    clips.load_state_dict({**clips.state_dict(), **pictures.state_dict()})
    plates, _, masks = (each.repeat(3, 1, 1, 1) for each in discs())
    alone = pictures(normalised(plates[:1]), masks[:1]).alphas[0]
    for answer in streamed(clips.eval(), normalised(plates), masks):
        torch.testing.assert_close(answer, alone, atol=1e-4, rtol=0)
    masks[1, 0], masks[2] = 0, 0
    assert torch.isfinite(torch.stack(streamed(clips, normalised(plates), masks))).all()


@pytest.mark.parametrize("still", [False, True])
def test_a_clip_frame_by_frame_is_what_the_windows_give_and_only_what_matters_is_refined(
    still: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where much is taken for unchanged, of the frame after the middle one what is asked for is refined, too."""
    net = SMALL_VIDEO.load(find(SMALL_VIDEO.card), torch.device("cpu"))
    plates, _, masks = discs(4, 256)
    if still:
        plates, masks = plates[:1].repeat(4, 1, 1, 1), masks[:1].repeat(4, 1, 1, 1)
        assert net.decoder.diff_module is not None
        monkeypatch.setattr(net.decoder.diff_module, "between", lambda other, _: _halved_picture(other))
    wanted = window_by_window(net, normalised(plates), masks)
    refined: list[float] = []
    plain = net.decoder.refine

    def counted(*given: Any) -> Refined:
        refined.append(float(given[4].sum()))
        return plain(*given)

    monkeypatch.setattr(net.decoder, "refine", counted)
    found = torch.stack(streamed(net, normalised(plates), masks))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
    once, whole = 4, refined[0]
    assert (len(refined) > once) == still and sum(refined) < (once + 2) * whole


def _halved_picture(details: Tensor) -> Tensor:
    """A left quarter that did not change, and the rest that did, (T, 1, H, W)."""
    changed = torch.ones(len(details), 1, 8 * details.shape[2], 8 * details.shape[3])
    changed[..., : changed.shape[3] // 4] = 0
    return changed


def test_ten_instances_multiply_hardly_more_than_one_in_the_dense_part(small: tuple[MaggieModel, Maggie]) -> None:
    net, plates = small[1], normalised(torch.rand(1, 3, 256, 256))
    counted = []
    for count in (1, 10):
        masks = torch.zeros(1, count, 256, 256)
        for place in range(count):
            masks[0, place, 40:200, 20 * place : 20 * place + 60] = 1
        with FlopCounterMode(display=False) as counter:
            net.decoded(net.trunk(plates, masks), masks)
        counted.append(counter.get_total_flops())
    assert counted[1] < 1.3 * counted[0], counted
