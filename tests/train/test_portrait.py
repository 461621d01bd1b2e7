"""Training a Portrait network: its losses, its pictures, folders of photographs, the loop of every network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from matte_core.models.portrait.net import PAPER, Coarse
from matte_core.train import loop
from matte_core.train.material import Material, load_material
from matte_core.train.portrait_losses import (
    area_weights,
    charbonnier,
    coarse_losses,
    focal_loss,
    pyramid_loss,
)
from matte_core.train.portraits import Photograph, Portraits, make_photographs
from matte_core.train.recipe import RECIPES, parse_recipe
from matte_core.train.subjects import make_pictures
from matte_core.train.tasks.portrait import PortraitTask, part_without, true_regions
from matte_core.train.warps import Warp, warped

from .conftest import quiet

CPU = torch.device("cpu")
RECIPE = """
name = "tiny"
task = "portrait"
seed = 3
[network]
patch = 8
dims = [4, 8, 8, 8]
depths = [1, 1, 1, 1]
heads = [1, 2, 2, 2]
stem = 4
decoder = [8, 8, 8]
look = 64
[network.refinement]
narrow = 4
wide = 8
token = 8
heads = 2
[data]
shards = 1
size = 64
part = 64
budget = 6
validation = 2
large = 64
[optimisation]
iterations = 4
batch = 2
warm_up = 1
[pace]
note = 1
validate = 4
save = 2
"""


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run")
    make_pictures(Portraits, made / "bank", 1, 1, 64, Material(), count=3)
    return made


def regions_of(trimap: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(trimap, 3).movedim(-1, 1).float()


def test_losses_are_nothing_where_the_answer_is_the_truth_and_rise_with_the_error() -> None:
    truth = torch.zeros(1, 1, 64, 64)
    truth[..., 16:48, 16:48] = 1
    trimap = regions_of(truth[:, 0].long() * 2)
    sure = 40 * (truth * 2 - 1)
    right = Coarse(sure, 40 * trimap)
    wrong = Coarse(-sure, 40 * trimap.flip(1))
    for small, large in zip(coarse_losses([right], truth, trimap), coarse_losses([wrong], truth, trimap), strict=True):
        assert float(small) < 1e-4 < 0.1 < float(large)
    ones = torch.ones_like(truth)
    assert float(pyramid_loss(truth, truth, ones)) == 0
    half, whole = (float(pyramid_loss(truth * share, truth, ones)) for share in (0.5, 0.0))
    assert 0 < half < whole
    assert float(charbonnier(truth - truth, ones)) == pytest.approx(1e-6, rel=1e-3)


def test_the_focal_loss_is_the_published_formula() -> None:
    logits, shares = torch.randn(2, 3, 4, 5), torch.softmax(torch.randn(2, 3, 4, 5), 1)
    chance = torch.softmax(logits, 1)
    right = shares * chance + (1 - shares) * (1 - chance)
    areas = shares.sum((0, 2, 3)) ** -0.5
    weights = areas / areas.sum()
    total = sum(float((weights[k] * -((1 - right[:, k]) ** 2) * right[:, k].log()).mean()) for k in range(3))
    assert float(focal_loss(logits, shares)) == pytest.approx(total, rel=1e-5)


def test_small_regions_count_more_and_both_shares_sum_to_one() -> None:
    trimap = torch.zeros(1, 10, 10, dtype=torch.long)
    trimap[:, :, :1] = 1  # a tenth is unknown
    trimap[:, :, 1:5] = 2
    shares = area_weights(regions_of(trimap))
    inside, outside = float(shares[0, 0, 0, 0]), float(shares[0, 0, 0, 9])
    assert inside == pytest.approx(100 / (100 + 4 + 6.25)) and inside + outside == pytest.approx(1)


def test_the_true_trimap_reaches_three_pixels_beyond_the_fractional_ones() -> None:
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, 20:] = 255
    alpha[:, 19] = 100
    found = true_regions(alpha)[20]
    assert found.tolist() == [0] * 16 + [1] * 7 + [2] * 17


def test_a_part_without_the_subject_is_found_where_there_is_one() -> None:
    alpha = np.zeros((80, 100), np.uint8)
    alpha[50:, 60:] = 255
    for seed in range(20):
        part = part_without(np.random.default_rng(seed), alpha)
        assert alpha[part].size >= 400 and not alpha[part].any()
    assert alpha[part_without(np.random.default_rng(0), alpha + np.uint8(1))].shape == (80, 100)


def test_the_refinement_may_be_told_a_coarse_alpha_nearer_to_the_truth(bank: Path) -> None:
    task = parse_recipe(RECIPE.replace("budget = 6", "budget = 6\nhelped = 1.0\nempty = 1.0")).make_task()
    task.prepare(bank, Material(), quiet)
    batch = task.draw(3, 0, 2)
    assert batch.help.shape == (2, 1, 1, 1) and 0 < float(batch.help.min()) <= float(batch.help.max()) < 1
    assert float(batch.alpha.mean()) < 0.2
    task = parse_recipe(RECIPE).make_task()
    task.prepare(bank, Material(), quiet)
    assert not task.draw(3, 0, 2).help.any()


def test_a_warp_moves_all_channels_together_and_none_leaves_the_picture_alone() -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (64, 64, 4), np.uint8)
    still = Warp(0.0, 0.0, 0.0, 0.0, (1.0, 1.0), (1.0, 1.0), 0.0)
    assert np.array_equal(warped(random, picture, 64, still), picture)
    picture[..., 3] = picture[..., 0]
    moved = warped(random, picture, 48, Warp())
    assert moved.shape == (48, 48, 4) and np.array_equal(moved[..., 0], moved[..., 3])


def test_the_bank_is_repeatable_and_shows_a_subject(tmp_path: Path, bank: Path) -> None:
    make_pictures(Portraits, tmp_path / "again", 1, 1, 64, Material(), count=3)
    first, second = (np.load(next(folder.glob("*.npz"))) for folder in (bank / "bank", tmp_path / "again"))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert (first["alpha"] == 255).mean(axis=(1, 2)).min() > 0.005
    assert (first["alpha"] == 0).mean(axis=(1, 2)).min() > 0.05


def test_a_folder_of_photographs_is_learned_from_as_it_is(tmp_path: Path) -> None:
    for folder, channels in (("original_image", 3), ("mask", 1)):
        (tmp_path / "data" / "train" / folder).mkdir(parents=True)
        for name in ("one", "two"):
            picture = np.random.default_rng(len(name)).integers(0, 256, (72, 96, channels), np.uint8)
            suffix = "jpg" if channels == 3 else "png"
            cv2.imwrite(str(tmp_path / "data" / "train" / folder / f"{name}.{suffix}"), picture)
    material = load_material(tmp_path / "data")
    paths = make_photographs(tmp_path / "run", material)
    found = Photograph.load(paths[0])
    assert found.pixels.shape == (72, 96, 3) and found.alpha.shape == found.contrast.shape == (72, 96)
    seen = cv2.imread(str(tmp_path / "data" / "train" / "original_image" / "one.jpg"))[..., ::-1]
    assert np.abs(found.pixels.astype(int) - seen).max() <= 1
    recipe = parse_recipe(RECIPE.replace("shards = 1", "shards = 0"))
    task = recipe.make_task()
    task.prepare(tmp_path / "run", material, quiet)
    batch = task.draw(3, 0, 2)
    assert batch.pixels.shape == (2, 3, 64, 64) and batch.regions.sum(1).unique().tolist() == [1.0]


def test_a_run_learns_resumes_and_gives_weights(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    path = loop.train(tmp_path / "recipe.toml", None, CPU, False, bank, quiet)
    task = parse_recipe(RECIPE).make_task()
    assert isinstance(task, PortraitTask)
    task.build().load_state_dict(torch.load(path, weights_only=True))
    assert (bank / "mattes_000004.png").is_file()
    assert "Grad refined" in (bank / "scores_000004.txt").read_text()


def test_the_published_recipe_is_the_published_network_with_its_losses() -> None:
    recipe = parse_recipe((RECIPES / "portrait_published.toml").read_text(encoding="utf-8"))
    assert recipe.network == PAPER and recipe.data.part == 896 and recipe.data.warp == Warp()
    assert recipe.losses == PortraitTask.losses() and recipe.losses.balanced and recipe.losses.decay == 1e-6
    rates = {place: loop._rate(place, recipe.optimisation) for place in (0, 119_999, 120_000, 239_999, 240_000)}
    assert rates == pytest.approx({0: 1, 119_999: 1, 120_000: 0.1, 239_999: 0.1, 240_000: 0.01})
