"""The losses of video matting: what each of them asks, by numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from matte_core.train.video_losses import (
    VideoLossWeights,
    coherence,
    composition,
    difference,
    divergence,
    gradient,
    slope,
    steadiness,
    video_loss,
)


def test_the_known_counts_half_of_the_unknown() -> None:
    truth, alpha = torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    unknown = torch.zeros(1, 1, 2, 4)
    unknown[..., :2] = 1
    alpha[..., :2], alpha[..., 2:] = 0.2, 0.4
    # four pixels each; the published mean divides by their number and one
    assert float(difference(alpha, truth, unknown)) == pytest.approx(0.8 / 5 + 0.5 * 1.6 / 5, abs=1e-5)


def test_composition_asks_nothing_where_foreground_and_background_are_one_colour() -> None:
    truth, alpha, unknown = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert float(composition(alpha, truth, unknown, torch.zeros(1, 1, 2, 2))) == pytest.approx(0, abs=1e-5)
    assert float(composition(alpha, truth, unknown, torch.full((1, 1, 2, 2), 0.5))) == pytest.approx(2 / 5, abs=1e-5)


def test_gradient_weighs_errors_by_how_far_slopes_are_apart() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8) / 8
    assert float(slope(ramp)[0, 0, 4, 4]) == pytest.approx(1 / 8, abs=1e-5)
    unknown = torch.ones(1, 1, 8, 8)
    assert float(gradient(ramp + 0.1, ramp, unknown)) == pytest.approx(0, abs=1e-4)  # as steep, only higher
    assert float(gradient(ramp * 0, ramp, unknown)) > 0.1


def test_divergence_is_zero_for_the_truth_alone() -> None:
    truth = torch.rand(2, 2, 6, 6)
    assert float(divergence(truth, truth)) == pytest.approx(0, abs=1e-5)
    assert float(divergence(truth.flip(-1), truth)) > 0.1


def test_coherence_asks_for_the_same_change_and_not_for_the_same_alpha() -> None:
    truth = torch.rand(1, 3, 4, 4)
    assert float(coherence(truth + 0.3, truth)) == pytest.approx(0, abs=1e-6)
    assert float(coherence(truth.flip(1), truth)) > 0.01
    assert float(coherence(truth[:, :1], truth[:, :1])) == 0


def test_steadiness_is_the_root_mean_square_of_changes_in_the_unknown() -> None:
    truth, unknown = torch.rand(2, 3, 10, 10), torch.zeros(2, 3, 10, 10)
    unknown[:, :, :5] = 1
    assert float(steadiness(truth + 0.3, truth, unknown)) == pytest.approx(0, abs=1e-4)
    flicker = truth + 0.2 * torch.tensor([0.0, 1.0, 0.0])[:, None, None]
    assert float(steadiness(flicker, truth, unknown)) == pytest.approx(0.2 * (50 / 51) ** 0.5, abs=1e-4)
    assert float(steadiness(truth[:, :1], truth[:, :1], unknown[:, :1])) == 0


def test_a_loss_of_weight_0_is_measured_and_not_counted() -> None:
    truth = torch.rand(1, 2, 8, 8)
    alpha = (truth + 0.1).requires_grad_()
    unknown, contrast = torch.ones_like(truth), torch.ones_like(truth)
    only = VideoLossWeights(1.0, 0.0, 0.0, 0.0, 0.0)
    total, parts = video_loss(alpha, truth, unknown, contrast, only)
    assert float(total.detach()) == pytest.approx(parts["difference"])
    assert set(parts) == {"difference", "composition", "gradient", "divergence", "coherence", "steadiness"}
