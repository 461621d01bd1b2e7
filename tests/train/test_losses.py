"""The published losses: the unknown's mean, its hardest half, the alpha before refinement."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from matte_core.train.losses import LossWeights, balanced, hard_mean, masked_mean, matting_loss, pyramid_loss

PUBLISHED = LossWeights(absolute=1, squared=0, pyramid=0, composite=0, own=0, hard=1, coarse=1)


def test_hard_mining_takes_the_worst_half_of_the_unknown_alone() -> None:
    error, unknown = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    error[0, 0, 0] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    error[0, 0, 3] = 9.0
    unknown[0, 0, 0] = 1
    assert float(hard_mean(error, unknown, 0.5)) == pytest.approx(0.35)
    assert float(hard_mean(error, unknown, 1.0)) == pytest.approx(float(masked_mean(error, unknown)))
    assert float(hard_mean(error, unknown, 0.01)) == pytest.approx(0.4), "one pixel at least"


def test_nothing_unknown_costs_nothing_and_has_a_slope_of_nothing() -> None:
    error = torch.rand(1, 1, 4, 4, requires_grad=True)
    hard_mean(error, torch.zeros(1, 1, 4, 4), 0.5).backward()  # type: ignore[no-untyped-call]
    assert error.grad is not None and float(error.grad.abs().sum()) == 0


def losses(coarse: Tensor, refined: Tensor, truth: Tensor) -> tuple[float, dict[str, float]]:
    everywhere = torch.ones_like(truth)
    total, parts = matting_loss(refined, refined.logit(1e-4), truth, everywhere, everywhere, PUBLISHED, coarse)
    return float(total), parts


def test_the_published_loss_asks_twice_of_the_coarse_and_of_the_refined() -> None:
    truth = torch.full((1, 1, 32, 32), 0.5)
    off = truth.clone()
    off[..., :16] = 0.7  # half of the pixels are wrong by 0.2: mean 0.1, hardest half 0.2
    total, parts = losses(off, off, truth)
    assert parts["absolute"] == pytest.approx(0.1, rel=1e-4)
    assert parts["hard"] == pytest.approx(0.2, rel=1e-4)
    assert parts["coarse"] == pytest.approx(0.3, rel=1e-4)
    assert total == pytest.approx(0.6, rel=1e-4)
    assert losses(truth, off, truth)[0] == pytest.approx(0.3, rel=1e-4)
    assert losses(truth, truth, truth)[0] == pytest.approx(0, abs=1e-6)


def test_losses_that_are_not_asked_for_are_not_computed() -> None:
    truth = torch.rand(1, 1, 32, 32)
    _, parts = matting_loss(truth, truth.logit(1e-4), truth, truth.ceil(), truth, LossWeights(), truth)
    assert "hard" not in parts and "coarse" not in parts


def test_a_perfect_alpha_costs_nothing_and_the_error_outside_the_unknown_does_not_count() -> None:
    truth = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    unknown = torch.zeros_like(truth)
    unknown[..., :32] = 1
    wrong_outside = torch.where(unknown > 0, truth, 1 - truth)
    total, parts = matting_loss(wrong_outside, truth.logit(1e-6), truth, unknown, unknown, LossWeights(own=0.0))
    assert float(total) == pytest.approx(0, abs=1e-6)
    assert set(parts) == {"absolute", "squared", "pyramid", "composite", "own"}
    assert float(pyramid_loss(truth * 0.5, truth, unknown)) > 0.01


def test_the_loss_of_a_surely_wrong_answer_still_has_a_slope() -> None:
    logit = torch.full((1, 1, 32, 32), -9.0, requires_grad=True)
    truth = unknown = torch.ones(1, 1, 32, 32)
    total, _ = matting_loss(logit.sigmoid(), logit, truth, unknown, unknown, LossWeights(own=1.0))
    total.backward()
    assert logit.grad is not None
    assert float(logit.grad.sum()) < -0.9


def test_a_crop_that_is_nearly_right_counts_more_than_one_nobody_can_solve() -> None:
    truth, unknown = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    solved = torch.cat([torch.full((1, 2, 4, 4), 0.05), torch.full((1, 2, 4, 4), 0.35)])
    weights = balanced(unknown, solved, truth, 0.05)[:, 0, 0, 0]
    assert float(weights[0] / weights[1]) == pytest.approx(4)
    assert float(weights.mean()) == pytest.approx(1)
    assert balanced(unknown, solved, truth, 0.0) is unknown
