"""What the small Portrait has beside the paper: the border's colours, colours around a cell, and its own weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from matte_core.evaluate.metrics import gradient, sad
from matte_core.evaluate.operations import counting
from matte_core.models.portrait import PORTRAIT_SMALL, PORTRAIT_SMALL_BUDGET
from matte_core.models.portrait.local_colours import between, local_colours
from matte_core.models.portrait.net import Portrait
from matte_core.models.portrait.refine import Refine
from matte_core.models.portrait.regions import CELL, centres, crop, enlarged
from matte_core.models.portrait.salience import PLANES, border_planes
from matte_core.models.weights import find
from matte_core.train.bank import load_shards
from matte_core.train.material import Material
from matte_core.train.portraits import Portraits
from matte_core.train.recipe import RECIPES, parse_recipe
from matte_core.train.subjects import make_pictures

HELD_OUT = 9_400_000  # a seed that no recipe has


def a_disc(height: int = 96, width: int = 128) -> tuple[Tensor, Tensor]:
    """A picture (1, 3, H, W) of a red disc before a blue ramp, and the disc's alpha (1, 1, H, W)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    alpha = ((0.3 * height - torch.hypot(rows - height / 2, columns - width / 2)) / 4 + 0.5).clamp(0, 1)[None, None]
    back = torch.stack([0.1 + 0 * rows, 0.2 + rows / height / 4, 0.5 + columns / width / 4])[None]
    front = torch.tensor([0.8, 0.2, 0.1])[None, :, None, None]
    return alpha * front + (1 - alpha) * back, alpha


@pytest.fixture(scope="module")
def small() -> Portrait:
    return PORTRAIT_SMALL.load(find(PORTRAIT_SMALL.card), torch.device("cpu"))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Portraits:
    folder = tmp_path_factory.mktemp("held out")
    make_pictures(Portraits, folder, HELD_OUT, 1, 256, Material(), count=8)
    (shard,) = load_shards(folder, Portraits)
    return shard


def test_the_recipe_makes_the_network_that_ships() -> None:
    recipe, ships = parse_recipe((RECIPES / "portrait_small.toml").read_text(encoding="utf-8")), PORTRAIT_SMALL.settings
    afterwards = {name: getattr(ships, name) for name in ("look", "mirrored", "margin")}  # chosen by validation
    assert dataclasses.replace(recipe.network, **afterwards) == ships


def test_a_place_unlike_the_border_stands_out_and_each_picture_is_told_by_itself() -> None:
    picture, alpha = a_disc()
    planes = border_planes(picture)
    assert planes.shape == (1, PLANES, 24, 32)
    truth = functional.interpolate(alpha, size=planes.shape[-2:], mode="area")
    for plane in planes[0, :3]:
        inside, outside = plane[truth[0, 0] > 0.95], plane[truth[0, 0] < 0.05]
        assert float(inside.mean()) > 3 * float(outside.mean()) and float(inside.min()) > float(outside.median())
    both = border_planes(torch.cat([torch.rand(1, 3, 96, 128), picture]))
    assert torch.allclose(both[1:], planes, atol=1e-5)


@pytest.mark.parametrize(
    "picture", [torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 16, 400), torch.full((1, 3, 1, 1), 0.5)]
)
def test_a_picture_of_one_colour_has_nothing_that_stands_out(picture: Tensor) -> None:
    planes = border_planes(picture)
    assert bool(torch.isfinite(planes).all()) and float(planes[:, 0].abs().max()) < 1e-3
    assert float(planes[:, 2].abs().max()) < 1e-3


def test_colours_around_a_cell_give_its_alpha_where_two_colours_meet() -> None:
    picture, alpha = a_disc()
    colours = local_colours(picture, alpha)
    cells = torch.nonzero(functional.avg_pool2d((alpha > 0.02).float() * (alpha < 0.98), CELL)[:, 0] > 0)
    told = between(crop(picture, cells), centres(colours, (96, 128), cells))
    assert told.shape == (len(cells), 2, CELL, CELL) and len(cells) > 10
    assert float((told[:, :1] - crop(alpha, cells)).abs().mean()) < 0.03
    assert float(told[:, 1].min()) > 0.4
    for nothing in (torch.zeros_like(alpha), torch.ones_like(alpha)):
        assert bool(torch.isfinite(local_colours(picture, nothing)).all())


@pytest.mark.parametrize("size", [(96, 160), (40, 64), (8, 8)])
def test_cells_of_an_enlarged_map_are_those_of_the_map_enlarged_whole(size: tuple[int, int]) -> None:
    values = torch.rand(2, 3, 11, 17)
    cells = torch.nonzero(torch.rand(2, size[0] // CELL, size[1] // CELL) < 0.5)
    whole = functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
    assert torch.allclose(enlarged(values, size, cells), crop(whole, cells), atol=1e-6)
    assert centres(values, size, cells).shape == (len(cells), 3)


@torch.no_grad()
def test_before_it_has_learned_the_refinement_answers_with_the_coarse_alpha() -> None:
    cells, places = torch.rand(12, 6, CELL, CELL), torch.tensor([[0, place // 4, place % 4] for place in range(12)])
    assert torch.equal(Refine(PORTRAIT_SMALL.settings.refinement).eval()(cells, places), cells[:, 3:4])


@torch.no_grad()
def test_the_refined_alpha_is_nearer_to_the_truth_than_the_coarse_one_enlarged(
    small: Portrait, held_out: Portraits
) -> None:
    scores = []
    for pixels, alpha in zip(held_out.pixels, held_out.alpha, strict=True):
        answer = small(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)
        truth, everywhere = alpha / np.float32(255), np.ones(alpha.shape, bool)
        found = [values[0, 0].numpy() for values in (answer.alpha, answer.coarse)]
        scores.append([measure(each, truth, everywhere) for measure in (sad, gradient) for each in found])
    refined_sad, coarse_sad, refined_grad, coarse_grad = np.mean(scores, 0)
    assert refined_sad < 0.97 * coarse_sad
    assert refined_grad < 0.9 * coarse_grad
    nothing = np.mean([sad(np.zeros_like(truth), truth, everywhere) for truth in held_out.alpha / np.float32(255)])
    assert refined_sad < 0.5 * nothing


@torch.no_grad()
def test_refining_fifteen_percent_of_the_cells_takes_less_than_a_quarter_of_the_coarse_look(small: Portrait) -> None:
    picture = torch.rand(1, 3, 512, 512)
    with counting() as coarse:
        scales = small.seen(picture)
    cells = torch.nonzero(torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)) < 0.15)
    with counting() as refined:
        small.compose(picture, scales, cells)
    assert refined.multiplications < 0.25 * coarse.multiplications


@torch.no_grad()
def test_a_plain_picture_has_an_empty_matte(small: Portrait) -> None:
    rows = torch.linspace(0.2, 0.6, 200)[None, :, None].expand(3, 200, 300)
    assert not bool(PORTRAIT_SMALL.step(small, rows[None], {}, None)[0]["alpha"].any())


@torch.no_grad()
def test_a_budget_bounds_how_many_cells_are_refined(held_out: Portraits) -> None:
    net = PORTRAIT_SMALL_BUDGET.load(find(PORTRAIT_SMALL_BUDGET.card), torch.device("cpu"))
    picture = torch.from_numpy(held_out.pixels[0]).permute(2, 0, 1)[None].float() / 255
    assert len(net(picture).cells) == 2 * (32 + 32)
    assert PORTRAIT_SMALL_BUDGET.card.weights == PORTRAIT_SMALL.card.weights


def test_what_it_was_trained_on_is_said_wherever_it_is_offered() -> None:
    for model in (PORTRAIT_SMALL, PORTRAIT_SMALL_BUDGET):
        assert "never on people" in model.card.title
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in readme.splitlines() if line.startswith("| `portrait-small`")]
    assert "never on people" in row


@torch.no_grad()
def test_an_8k_picture_with_ten_thousand_unknown_cells_is_answered(small: Portrait) -> None:
    picture = torch.rand(3, 1, 7680).expand(3, 4320, 7680)[None]
    chosen = torch.randperm(540 * 960, generator=torch.Generator().manual_seed(0))[:10_000].sort().values
    cells = torch.stack([torch.zeros_like(chosen), chosen // 960, chosen % 960], 1)
    answer = small(picture, cells)
    assert answer.alpha.shape == (1, 1, 4320, 7680) and 0 <= float(answer.alpha.min()) <= float(answer.alpha.max()) <= 1
    changed = functional.max_pool2d((answer.alpha != answer.coarse).float(), CELL)[0, 0].bool()
    inside = torch.zeros(540, 960, dtype=torch.bool)
    inside[cells[:, 1], cells[:, 2]] = True
    assert bool(changed[inside].any()) and not bool(changed[~inside].any())
