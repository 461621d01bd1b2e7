"""Procedural groups and their rough masks: every subject's own alpha, as hidden as asked, masks as rough as said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from matte_core.train.guide_masks import ROUGHNESSES, GuideMasks, guide_masks, measured_masks
from matte_core.train.procedural.groups import HIDDEN, OCCLUSIONS, Occlusion, Subject, make_group, make_member

SIDE = 96


@pytest.fixture(scope="module")
def members() -> list[Subject]:
    return [make_member((3, place), 64, ()) for place in range(6)]


def a_group(members: Sequence[Subject], seed: int, occlusion: Occlusion, count: int = 3) -> object:
    random = np.random.default_rng(seed)
    chosen = [members[int(place)] for place in random.choice(len(members), count, replace=False)]
    return make_group(random, SIDE, chosen, members[0].behind, occlusion, light="scene")


def test_a_group_is_its_subjects_over_its_background(members: Sequence[Subject]) -> None:
    for seed, count in enumerate((2, 3, 5)):
        group = a_group(members, seed, "medium", count)
        assert 1 <= len(group.alpha) <= count and group.alpha.shape[1:] == (SIDE, SIDE) == group.pixels.shape[:2]
        assert group.alpha.min() >= 0 and group.alpha.sum(0).max() <= 1 + 1e-5
        assert np.array_equal(a_group(members, seed, "medium", count).pixels, group.pixels)


@pytest.mark.parametrize("occlusion", OCCLUSIONS)
def test_the_one_that_is_hidden_most_is_so_within_the_levels_bounds(
    members: Sequence[Subject], occlusion: Occlusion
) -> None:
    low, high = HIDDEN[occlusion]
    worst = [float(a_group(members, seed, occlusion, 3).hidden.max()) for seed in range(12)]
    within = [low - 0.05 <= value <= high + 0.05 for value in worst]  # places are tried on a small picture
    assert sum(within) >= 7, worst


def test_a_member_ends_inside_its_canvas_or_is_cut_at_its_lower_edge(members: Sequence[Subject]) -> None:
    for member in members:
        reached = [float((np.rot90(member.alpha, -turns)[-1] > 0.3).mean()) > 0.03 for turns in range(4)]
        assert reached[0] == member.cut or not any(reached)


def discs(frames: int = 1) -> np.ndarray:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    made = [
        [np.clip(22.5 - np.hypot(rows - 48, columns - 24 - 48 * k - t), 0, 1) for k in range(2)] for t in range(frames)
    ]
    return np.asarray(made, np.float32)


@pytest.mark.parametrize("roughness", ROUGHNESSES)
def test_each_kind_of_rough_mask_is_as_rough_as_it_says(roughness: str) -> None:
    alphas = discs()
    masks = measured_masks(np.random.default_rng(1), alphas, roughness)  # type: ignore[arg-type]
    exact, areas = alphas > 0.5, masks.sum((0, 2, 3))
    assert masks.dtype == bool and masks.shape == alphas.shape and (areas > 0).all()
    if roughness == "exact":
        assert np.array_equal(masks, exact)
    elif roughness in ("eroded", "dilated"):
        assert (areas < exact.sum((0, 2, 3))).all() == (roughness == "eroded")
        assert (masks <= exact).all() if roughness == "eroded" else (masks >= exact).all()
    elif roughness.endswith("x"):
        factor = int(roughness[:-1])
        blocks = masks.reshape(2, SIDE // factor, factor, SIDE // factor, factor)
        assert (blocks.any((2, 4)) == blocks.all((2, 4))).all()


def test_masks_of_a_clip_are_rough_alike_but_for_what_is_unsteady_and_dropped() -> None:
    alphas = discs(4)
    steady = guide_masks(np.random.default_rng(5), np.repeat(alphas[:1], 4, 0), GuideMasks(cut=0))
    assert all(np.array_equal(frame, steady[0]) for frame in steady)
    gone = [guide_masks(np.random.default_rng(seed), alphas, GuideMasks(cut=0, dropped=1.0)) for seed in range(4)]
    assert all((~mask.any((2, 3))).sum() == 1 for mask in gone)


def test_a_cut_changes_one_mask_and_never_empties_it() -> None:
    alphas = discs()
    whole = GuideMasks((0.5, 0.5), 0, (0.0, 1), 0.0)
    plain = guide_masks(np.random.default_rng(0), alphas, whole)
    cut = [guide_masks(np.random.default_rng(s), alphas, GuideMasks((0.5, 0.5), 0, (0.0, 1), 1.0)) for s in range(30)]
    changed = [[not np.array_equal(mask[0, k], plain[0, k]) for k in range(2)] for mask in cut]
    assert all(sum(each) <= 1 for each in changed) and any(any(each) for each in changed)
    assert all(mask.any((2, 3)).all() for mask in cut)
