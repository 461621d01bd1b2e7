"""Training a Net-T: rough masks of every kind, the regions to be found, and the same loop as for every network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from matte_core.train import loop
from matte_core.train.material import Material
from matte_core.train.procedural.crops import Scene, make_crop, make_subject
from matte_core.train.recipe import parse_recipe
from matte_core.train.segmentations import Masks, eroded_mask, regions, rough_mask
from matte_core.train.subjects import Subjects, make_pictures, shown
from matte_core.train.tasks.net_t import NetTTask

from .conftest import quiet

CPU = torch.device("cpu")
RECIPE = """
name = "tiny"
task = "net_t"
seed = 3
[network]
stem = 4
inner = [2, 2, 4, 4]
counts = [1, 1, 1, 1]
pyramid = 4
skip = 4
colours = true
[data]
shards = 1
size = 64
part = 48
validation = 2
large = 64
[data.masks]
known = 6
change = 10
margin = 4
published = 0.5
[optimisation]
iterations = 4
batch = 2
warm_up = 1
rate = 1e-2
[pace]
note = 1
validate = 4
save = 2
"""


def disc(size: int = 128, radius: float = 40.0, soft: float = 4.0) -> np.ndarray:
    rows, columns = np.mgrid[0:size, 0:size]
    return np.clip((radius - np.hypot(rows - size / 2, columns - size / 2)) / soft + 0.5, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run")
    make_pictures(Subjects, made / "bank", 1, 1, 64, Material(), count=3)
    return made


def test_the_unknown_reaches_the_margin_on_both_sides_of_the_fractional_pixels() -> None:
    found = regions(disc(), 15)
    rows, columns = np.mgrid[0:128, 0:128]
    distance = np.hypot(rows - 64, columns - 64)
    assert (found[distance < 40 - 2 - 15 - 1] == 2).all()
    assert (found[distance > 40 + 2 + 15 + 1] == 0).all()
    assert (found[np.abs(distance - 40) < 2 + 15 - 1] == 1).all()


def test_the_published_masks_are_soft_and_come_in_all_sizes() -> None:
    random, alpha = np.random.default_rng(0), disc()
    masks = [rough_mask(random, alpha, Masks()) for _ in range(40)]
    assert all(mask.shape == alpha.shape and mask.min() >= 0 and mask.max() <= 1 for mask in masks)
    areas = [float(mask.mean() / alpha.mean()) for mask in masks]
    assert min(areas) < 0.8 and max(areas) > 1.5
    assert sum(((mask > 0.05) & (mask < 0.95)).any() for mask in masks) > 30


def test_an_artist_s_masks_are_hard_or_soft_and_always_mark_the_subject() -> None:
    random, alpha = np.random.default_rng(1), disc()
    masks = [rough_mask(random, alpha, Masks(published=0)) for _ in range(40)]
    assert all(mask.max() > 0.5 for mask in masks)
    hard = [bool(np.isin(mask, (0, 1)).all()) for mask in masks]
    assert any(hard) and not all(hard)
    centres = [np.argwhere(mask > 0.5).mean(0) - 64 for mask in masks]
    assert max(np.abs(centre).max() for centre in centres) > 5


def test_a_small_part_stays_marked_where_a_large_one_is_eroded_far() -> None:
    alpha = np.maximum(disc(128, 30), np.roll(disc(128, 6), (50, 50), (0, 1)))
    for seed in range(30):
        mask = rough_mask(np.random.default_rng(seed), alpha, Masks(shift=0, published=0))
        assert (mask[100:, 100:] > 0.02).any()


def test_the_mask_for_measuring_is_eroded_by_so_many_pixels() -> None:
    assert np.sqrt(eroded_mask(disc(), 20, 0).sum() / np.pi) == pytest.approx(20, abs=1)
    assert eroded_mask(disc(), 20, 5)[64, 64] < 1


def test_a_subject_is_seen_whole_and_the_crops_of_before_are_as_they_were() -> None:
    inside = [make_subject((9, seed), 96, [], Scene("solid")).alpha for seed in range(8)]
    borders = [np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]]).mean() for a in inside]
    close = [make_crop((9, seed), 96, [], Scene("solid")).alpha for seed in range(8)]
    cut = [np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]]).mean() for a in close]
    assert np.mean(borders) < 0.5 * np.mean(cut)
    assert float(make_crop((1, 0, 0), 64, []).alpha.mean()) == pytest.approx(0.443605, abs=1e-5)


def test_scene_linear_pictures_are_shown_exposed_and_encoded() -> None:
    crop = make_crop((4, 2), 64, [], Scene("solid", "scene", bright=True))
    assert crop.pixels.max() > 1
    picture = shown(crop)
    assert picture.dtype == np.uint8 and 20 < np.median(picture) < 235


def test_a_batch_is_decided_by_seed_and_iteration(folder: Path) -> None:
    task = parse_recipe(RECIPE).make_task()
    assert isinstance(task, NetTTask)
    task.prepare(folder, Material(), lambda stage, done, total: None)
    first, again, other = task.draw(1, 5, 2), task.draw(1, 5, 2), task.draw(1, 6, 2)
    assert torch.equal(first.pixels, again.pixels) and torch.equal(first.mask, again.mask)
    assert not torch.equal(first.pixels, other.pixels)
    assert first.pixels.shape == (2, 3, 48, 48) and first.mask.shape == (2, 1, 48, 48)
    assert first.truth.shape == (2, 48, 48) and set(first.truth.unique().tolist()) <= {0, 1, 2}


def test_a_killed_run_resumes_to_the_same_curve_and_weights(
    folder: Path, tmp_path: Path, same_after_a_kill: Any
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        for part in ("bank", "validation"):
            (tmp_path / name / part).symlink_to(folder / part)
    same_after_a_kill(lambda to, resume: loop.train(recipe, None, CPU, resume, to, quiet), 4)
    left = {path.name for path in (tmp_path / "whole").iterdir()}
    assert {"curve.png", "regions_000004.png", "scores_000004.txt", "net.pt"} <= left
    table = (tmp_path / "whole" / "scores_000004.txt").read_text()
    assert "20 px, network" in table and "20 px, fixed" in table and "50 px, fixed" in table


def test_pictures_are_packed_with_their_alpha(folder: Path) -> None:
    (path,) = (folder / "bank").iterdir()
    shard = Subjects.load(path)
    assert len(shard) == 3 and shard.pixels.shape == (3, 64, 64, 3)
    assert shard.alpha.min() == 0 and shard.alpha.max() == 255
