"""The matting solver: as exact as the reference, never a NaN, one system for every prior."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from matte_core.models.layers.colour_models import colour_models, fill_in
from matte_core.models.layers.solver import MattingSystem, prepared, unknown_box


def scene(side: int = 96, brightest: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels (3, H, W), trimap (H, W) and true alpha (H, W) of a soft disc, its colours and the background's uneven."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    distance = torch.hypot(rows - side / 2, columns - side / 2)
    alpha = ((side / 3 - distance) / 8 + 0.5).clamp(0, 1)
    grain = torch.rand(2, 3, side, side, generator=random) * 0.04
    front = torch.tensor([0.7, 0.3, 0.2])[:, None, None] * (1 + rows / side) + grain[0]
    back = brightest * torch.tensor([0.1, 0.5, 0.7])[:, None, None] * (1 + columns / side) / 2 + grain[1]
    trimap = torch.full((side, side), 0.5)
    trimap[distance < side / 3 - 8] = 1
    trimap[distance > side / 3 + 8] = 0
    return front * alpha + back * (1 - alpha), trimap, alpha


def difference(first: Tensor, second: Tensor, trimap: Tensor) -> float:
    return float((first - second).abs()[trimap == 0.5].mean())


def test_the_closed_form_is_the_reference_library_s() -> None:
    pymatting = pytest.importorskip("pymatting")
    pixels, trimap, _ = scene()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = pymatting.estimate_alpha_cf(pixels.permute(1, 2, 0).double().numpy(), trimap.double().numpy())
    ours = MattingSystem(pixels, trimap).solve([None], [0.0], tolerance=1e-7, most=300)[0]
    assert difference(ours, torch.from_numpy(reference).float(), trimap) < 2e-3


def test_iterating_reaches_the_direct_solution_of_the_equations() -> None:
    pixels, trimap, _ = scene(48)
    system = MattingSystem(pixels, trimap)
    prior = torch.full_like(trimap, 0.3)
    exact = system.solve([None, prior], [0.0, 1e-2], tolerance=1e-12, most=500)
    usual = system.solve([None, prior], [0.0, 1e-2])
    assert difference(usual[0], exact[0], trimap) < 2e-3
    assert difference(usual[1], exact[1], trimap) < 2e-3


def test_known_pixels_stay_exactly_what_they_are() -> None:
    pixels, trimap, _ = scene()
    alpha = MattingSystem(pixels, trimap).solve([None], [0.0])[0]
    assert torch.equal(alpha[trimap == 1], torch.ones(int((trimap == 1).sum())))
    assert torch.equal(alpha[trimap == 0], torch.zeros(int((trimap == 0).sum())))


def test_solving_for_two_priors_at_once_gives_what_solving_for_each_gives() -> None:
    pixels, trimap, alpha = scene()
    system = MattingSystem(pixels, trimap)
    both = system.solve([alpha, 1 - alpha], [1e-3, 1e-2], tolerance=1e-9, most=300)
    first = system.solve([alpha], [1e-3], tolerance=1e-9, most=300)
    second = system.solve([1 - alpha], [1e-2], tolerance=1e-9, most=300)
    assert torch.allclose(both, torch.cat([first, second]), atol=1e-5)


def test_a_stronger_prior_draws_the_alpha_nearer_to_it() -> None:
    pixels, trimap, _ = scene()
    prior = torch.full_like(trimap, 0.5)
    weak, strong = MattingSystem(pixels, trimap).solve([prior, prior], [1e-4, 1.0])
    assert difference(strong, prior, trimap) < 0.5 * difference(weak, prior, trimap)


def test_a_sky_far_above_one_is_solved_unclipped() -> None:
    pixels, trimap, alpha = scene(brightest=12.0)
    _, solved = prepared(pixels, trimap)
    assert float(pixels.max()) > 5
    assert difference(solved[0], alpha, trimap) < 0.05
    assert difference(solved[1], alpha, trimap) < 0.05


@pytest.mark.parametrize("side", [3, 5, 17])
def test_tiny_pictures_are_finite(side: int) -> None:
    pixels, trimap = torch.rand(3, side, side), torch.full((side, side), 0.5)
    trimap[0], trimap[-1] = 1, 0
    _, solved = prepared(pixels, trimap)
    assert bool(torch.isfinite(solved).all())


@pytest.mark.parametrize("known", [0.0, 0.5, 1.0])
def test_a_trimap_that_knows_one_side_or_nothing_gives_a_finite_answer(known: float) -> None:
    pixels, trimap = torch.rand(3, 24, 24), torch.full((24, 24), 0.5)
    trimap[:4] = known
    _, solved = prepared(pixels, trimap)
    assert bool(torch.isfinite(solved).all())
    assert torch.allclose(solved, torch.full_like(solved, known), atol=0.05)


def test_a_flat_picture_and_one_with_nan_give_finite_answers() -> None:
    _, trimap, _ = scene(64)
    flat = torch.full((3, 64, 64), 0.4)
    broken = flat.clone()
    broken[:, 20:30, 20:30] = float("nan")
    broken[:, 40, 40] = float("inf")
    for pixels in (flat, broken):
        _, solved = prepared(pixels, trimap)
        assert bool(torch.isfinite(solved).all())


def test_a_system_without_unknown_returns_the_trimap() -> None:
    trimap = torch.zeros(16, 16)
    trimap[4:8] = 1
    assert torch.equal(MattingSystem(torch.rand(3, 16, 16), trimap).solve([None], [0.0])[0], trimap)


def test_the_unknown_box_holds_all_unknown_and_its_margin() -> None:
    trimap = torch.zeros(40, 50)
    trimap[10:12, 20:25] = 0.5
    assert unknown_box(trimap, 3) == (slice(7, 15), slice(17, 28))
    assert unknown_box(trimap, 100) == (slice(0, 40), slice(0, 50))
    assert unknown_box(torch.ones(4, 4), 3) == (slice(0, 0), slice(0, 0))


def test_colours_are_carried_into_the_unknown_and_known_ones_stay() -> None:
    values, weight = torch.full((1, 3, 33, 47), 0.25), torch.zeros(1, 1, 33, 47)
    weight[..., :10] = 1
    filled = fill_in(values, weight)
    assert torch.allclose(filled, values, atol=1e-4)
    assert torch.equal(fill_in(values, 0 * weight), 0 * values)


def test_colour_models_tell_two_plain_colours_apart() -> None:
    pixels, trimap, alpha = scene()
    models = colour_models(pixels[None], trimap[None, None])
    assert difference(models.discriminant[0, 0], alpha, trimap) < 0.06
    inside, outside = trimap == 1, trimap == 0
    nearer = models.foreground_distance[0, 0] < models.background_distance[0, 0]
    assert float(nearer[inside].float().mean()) > 0.99
    assert float(nearer[outside].float().mean()) < 0.01


def test_memory_does_not_grow_from_solve_to_solve() -> None:
    resource = pytest.importorskip("resource")
    pixels, trimap, _ = scene(128)
    for _ in range(3):
        prepared(pixels, trimap)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(8):
        prepared(pixels, trimap)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40_000, f"{grown} KiB more after 8 solves"
    assert np.isfinite(grown)


@pytest.mark.parametrize(("height", "width"), [(64, 48), (37, 51), (64, 3)])
def test_colour_models_are_the_same_a_few_rows_at_a_time(
    height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = torch.Generator().manual_seed(1)
    pixels, trimap = torch.rand(2, 3, height, width, generator=random), torch.zeros(2, 1, height, width)
    trimap[..., height // 3 : height // 2, :], trimap[..., height // 2 :, :] = 0.5, 1
    whole = colour_models(pixels, trimap).stacked()
    monkeypatch.setattr("matte_core.models.layers.colour_models._STRIP", 8 * width)
    assert torch.equal(colour_models(pixels, trimap).stacked(), whole)
    filled = fill_in(pixels, (trimap > 0.75).float())
    assert torch.allclose(whole[:, :3], filled, atol=1e-6)
