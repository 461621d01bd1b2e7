"""MaGGIe's losses: nothing where the answer is right, the stated value where it is known, a slope where it is wrong."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from matte_core.models.maggie.net import Maggie
from matte_core.models.maggie.settings import Settings
from matte_core.train.instance_losses import (
    absolute_loss,
    attention_loss,
    changes,
    coarse_weight,
    gradient_loss,
    instance_loss,
    laplacian_loss,
    sparsity_loss,
    steadiness_loss,
)


def a_truth(frames: int = 3, side: int = 32) -> Tensor:
    """(T, 2, side, side): a soft disc that moves, and an instance that is not there."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    discs = [((9 - torch.hypot(rows - 16.0, columns - 12.0 - 2 * t)) / 3).clamp(0, 1) for t in range(frames)]
    return torch.stack([torch.stack([disc, torch.zeros_like(disc)]) for disc in discs])


@pytest.mark.parametrize("loss", [absolute_loss, gradient_loss, laplacian_loss, steadiness_loss])
def test_the_right_answer_costs_nothing_and_a_wrong_one_has_a_slope(loss: object) -> None:
    truth, everywhere = a_truth(), torch.ones(3, 2, 32, 32)
    assert float(loss(truth, truth, everywhere)) == pytest.approx(0, abs=1e-7)  # type: ignore[operator]
    wrong = (truth * 0.7 + 0.3 * torch.rand(truth.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    cost = loss(wrong, truth, everywhere)  # type: ignore[operator]
    cost.backward()
    assert float(cost.detach()) > 0 and wrong.grad is not None and torch.isfinite(wrong.grad).all()
    assert float(wrong.grad.abs().sum()) > 0


def test_the_absolute_loss_is_the_weighted_mean() -> None:
    truth = torch.zeros(1, 1, 2, 2)
    alpha = torch.tensor([[[[0.5, 0.1], [0.0, 0.0]]]])
    weight = torch.tensor([[[[2.0, 1.0], [1.0, 0.0]]]])
    assert float(absolute_loss(alpha, truth, weight)) == pytest.approx(1.1 / 4)


def test_the_coarse_alpha_counts_double_where_it_or_the_truth_is_soft_and_not_at_all_where_none_is_there() -> None:
    truth = torch.tensor([0.0, 0.5, 1.0, 1.0]).view(1, 1, 2, 2)
    coarse = torch.tensor([0.0, 0.0, 0.5, 1.0]).view(1, 1, 2, 2)
    assert coarse_weight(truth, coarse, torch.ones_like(truth)).flatten().tolist() == [1, 2, 2, 1]
    assert not coarse_weight(truth, coarse, torch.zeros_like(truth)).any()


def test_tokens_that_look_at_their_own_instance_alone_cost_nothing() -> None:
    truth = a_truth()
    inside = (torch.nn.functional.max_pool2d(truth, 8) > 0).float().permute(1, 2, 3, 0).flatten(1)
    inward, outward = torch.zeros(10, inside.shape[1]), torch.zeros(10, inside.shape[1])
    inward[0] = inside[0] / inside[0].sum()
    outward[0] = (1 - inside[0]) / (1 - inside[0]).sum()
    assert float(attention_loss([inward] * 3, truth)) == pytest.approx(0, abs=1e-6)
    assert float(attention_loss([outward] * 3, truth)) == pytest.approx(1 / 3)  # one instance over three frames


def test_a_change_is_where_any_instance_changes_and_around_it() -> None:
    truth = torch.zeros(2, 2, 9, 9)
    truth[1, 1, 4, 4] = 1
    moved = changes(truth, reach=2)
    assert moved.shape == (1, 1, 9, 9) and moved.sum() == 25 and not changes(truth[:1].repeat(2, 1, 1, 1)).any()
    sure, wrong = moved.clamp(0.01, 0.99), (1 - moved).clamp(0.01, 0.99)
    both = [torch.cat([torch.full_like(each, 0.5), each]) for each in (sure, wrong)]
    back = [torch.cat([each, torch.full_like(each, 0.5)]) for each in (sure, wrong)]
    assert float(sparsity_loss(both[0], back[0], truth)) < 0.05 < float(sparsity_loss(both[1], back[1], truth))


def test_every_part_of_the_network_learns_from_the_whole_loss() -> None:
    torch.manual_seed(0)
    net = Maggie(Settings(temporal=True, scrambled=False)).train()
    truth = torch.nn.functional.interpolate(a_truth(), size=(64, 64))
    answer = net(torch.randn(3, 3, 64, 64), (truth > 0.5).float())
    assert answer.forward is not None and answer.backward is not None
    alphas = {1: answer.full, 4: answer.quarter, 8: answer.coarse}
    changed = (answer.forward, answer.backward)
    seen = [each[0] for each in answer.attention]
    cost, _ = instance_loss(alphas, truth, answer.region, seen, changed)
    cost.backward()  # type: ignore[no-untyped-call]
    still = {name for name, each in net.named_parameters() if each.requires_grad and each.grad is None}
    assert all("dummy_downscale" in name for name in still), still
    assert all(torch.isfinite(each.grad).all() for each in net.parameters() if each.grad is not None)


def test_the_whole_loss_has_every_part_and_is_least_at_the_truth() -> None:
    truth = a_truth()
    attention = [torch.zeros(10, 48)] * 3
    half = torch.full((3, 1, 32, 32), 0.5)
    right = instance_loss(dict.fromkeys((1, 4, 8), truth), truth, torch.ones_like(truth), attention, (half, half))
    wrong = instance_loss(dict.fromkeys((1, 4, 8), 1 - truth), truth, torch.ones_like(truth), attention, (half, half))
    assert set(right[1]) == {"alpha", "gradient", "pyramid", "steadiness", "attention", "sparsity"}
    assert right[0] < wrong[0] and right[1]["alpha"] == pytest.approx(0, abs=1e-7)
    assert right[1]["attention"] == pytest.approx(5 / 3)  # one instance of three frames, looked at nowhere
