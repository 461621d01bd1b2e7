"""The networks in the paper's size: their parameters to the last one, their shapes, and the fusion of their answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from matte_core.models.layers.fusion import hard_fusion, soft_fusion
from matte_core.models.layers.nonlocal_attention import LightNonLocal, coarse_unknown, query_weights
from matte_core.models.layers.spectral import fold
from matte_core.models.net_m.net import CoarseNet, NetM, Settings
from matte_core.models.net_m.refinement import Refinement
from matte_core.models.net_t.net import NetT


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.fixture(scope="module")
def full() -> NetM:
    torch.manual_seed(0)
    return NetM(Settings()).eval()


def test_net_t_has_the_published_size() -> None:
    assert parameters(NetT()) == 40_491_235


def test_net_m_has_the_published_size(full: NetM) -> None:
    assert parameters(full.coarse) == 25_140_721
    assert full.refine is not None and parameters(full.refine) == 482_177
    assert full.coarse.attention is not None and parameters(full.coarse.attention) == 25_984
    assert full.coarse.guide is not None and parameters(full.coarse.guide) == 42_256


@torch.no_grad()
def test_net_m_answers_in_the_picture_s_size(full: NetM) -> None:
    pixels, trimap = torch.rand(1, 3, 64, 96), torch.full((1, 1, 64, 96), 0.5)
    answer = full(pixels, trimap)
    assert answer.coarse.shape == answer.alpha.shape == (1, 1, 64, 96)
    assert float(answer.coarse.min()) >= 0 and float(answer.coarse.max()) <= 1
    assert not torch.equal(answer.coarse, answer.alpha)


@torch.no_grad()
def test_folding_spectral_and_batch_norm_changes_no_answer(full: NetM) -> None:
    pixels, trimap = torch.rand(1, 3, 64, 64), torch.full((1, 1, 64, 64), 0.5)
    again = NetM(Settings())
    again.load_state_dict(full.state_dict())
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in again.modules())
    folded = fold(again)
    assert not any("parametrizations" in name for name in folded.state_dict())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) < norms / 3
    assert torch.allclose(folded(pixels, trimap).alpha, full(pixels, trimap).alpha, atol=1e-6)


@torch.no_grad()
def test_net_t_answers_three_logits_in_the_picture_s_size() -> None:
    logits = NetT().eval()(torch.rand(1, 3, 64, 80), torch.rand(1, 1, 64, 80))
    assert logits.shape == (1, 3, 64, 80)


def test_gradients_reach_every_parameter_of_net_m() -> None:
    net = CoarseNet(Settings())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and float(module.weight.detach().abs().max()) == 0:
            nn.init.ones_(module.weight)
    trimap = torch.rand(2, 1, 64, 64).mul(3).floor() / 2
    net(torch.cat([torch.rand(2, 3, 64, 64), trimap < 0.5, trimap == 0.5, trimap > 0.5], 1)).mean().backward()
    assert [name for name, parameter in net.named_parameters() if parameter.numel() and parameter.grad is None] == []


def test_refinement_adds_to_the_alpha() -> None:
    refine = Refinement().eval()
    nn.init.zeros_(refine.out.weight)
    assert refine.out.bias is not None
    nn.init.zeros_(refine.out.bias)
    alpha = torch.rand(1, 1, 32, 48)
    assert torch.equal(refine(alpha), alpha)


def test_keys_are_taken_four_times_coarser_than_queries() -> None:
    block = LightNonLocal()
    assert block.coarser(torch.zeros(1, 32, 64, 64)).shape[-2:] == (16, 16)
    features = torch.rand(1, 128, 16, 24)
    assert block(features, features, torch.ones(1, 1, 16, 24)).shape == features.shape


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_trimap_without_unknown_or_without_known_keeps_query_weights_bounded(value: float) -> None:
    weights = query_weights(torch.full((1, 1, 8, 8), value))
    assert bool(torch.isfinite(weights).all())
    assert float(weights.min()) >= 0.1 and float(weights.max()) <= 10


def test_query_weights_follow_the_share_of_the_unknown() -> None:
    unknown = torch.zeros(1, 1, 4, 8)
    unknown[..., :2] = 1
    weights = query_weights(unknown)
    assert float(weights[0, 0, 0, 0]) == pytest.approx((8 / 24) ** 0.5)
    assert float(weights[0, 0, 0, 7]) == pytest.approx((24 / 8) ** 0.5)
    trimap = torch.nn.functional.interpolate(unknown, scale_factor=8) * 0.5
    assert torch.equal(coarse_unknown(trimap), unknown)


def test_soft_fusion_is_the_published_formula() -> None:
    probabilities = torch.softmax(torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)), 1)
    alpha = torch.rand(2, 1, 5, 7)
    background, unknown, foreground = probabilities.split(1, 1)
    published = (1 - unknown) * foreground / (foreground + background) + unknown * alpha
    assert torch.allclose(soft_fusion(probabilities, alpha), published, atol=1e-6)


def test_hard_fusion_keeps_certain_regions_and_changes_nothing_the_second_time() -> None:
    probabilities = torch.softmax(3 * torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(1)), 1)
    alpha = torch.rand(1, 1, 9, 9)
    fused = hard_fusion(probabilities, alpha)
    likeliest = probabilities.argmax(1, keepdim=True)
    assert bool((fused[likeliest == 0] == 0).all()) and bool((fused[likeliest == 2] == 1).all())
    assert torch.equal(fused[likeliest == 1], alpha[likeliest == 1])
    assert torch.equal(hard_fusion(probabilities, fused), fused)
    certain = torch.nn.functional.one_hot(likeliest[:, 0], 3).permute(0, 3, 1, 2).float()
    assert torch.allclose(soft_fusion(certain, alpha), hard_fusion(certain, alpha))
