"""Procedural crops: what they promise to training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from matte_core.train.procedural.crops import PHOTOGRAPHED, Mix, Scene, make_crop, pick_scene
from matte_core.train.procedural.fields import disc_kernel, fractal_noise, streak_kernel
from matte_core.train.procedural.light import decode, encode
from matte_core.train.procedural.objects import lit
from matte_core.train.procedural.photographs import load_photographs
from matte_core.train.procedural.shapes import KINDS, make_shape
from matte_core.train.procedural.trimaps import BACKGROUND, FOREGROUND, UNKNOWN, make_trimap, usable
from matte_core.train.validation import SCENES

SKY = np.linspace(0, 20, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_shape_has_coverage_and_shade_in_range(kind: str) -> None:
    shape = make_shape(np.random.default_rng(4), kind, 96)
    assert shape.alpha.shape == (96, 96)
    assert shape.shade.shape == (96, 96, 3)
    assert shape.alpha.min() >= -1e-6 and shape.alpha.max() <= 1 + 1e-6
    assert np.isfinite(shape.shade).all()
    assert shape.alpha.max() > 0.5


@pytest.mark.parametrize("name", SCENES)
def test_every_named_scene_makes_a_finite_crop_of_its_kind(name: str) -> None:
    crop = make_crop((5, 1), 96, [SKY], SCENES[name])
    assert crop.scene == SCENES[name]
    assert all(np.isfinite(picture).all() for picture in (crop.pixels, crop.foreground, crop.background, crop.alpha))
    assert crop.alpha.min() >= 0 and crop.alpha.max() <= 1 + 1e-5


def test_a_crop_is_what_its_seed_says_and_no_other() -> None:
    first, again, other = (make_crop(seed, 64, []) for seed in ((3, 7), (3, 7), (3, 8)))
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.trimap, again.trimap)
    assert not np.array_equal(first.pixels, other.pixels)


def test_scene_linear_crops_are_composites_in_linear_light_and_exceed_one() -> None:
    crops = [make_crop((seed,), 64, [SKY], Scene("solid", "scene", bright=True)) for seed in range(6)]
    for crop in crops:
        cover = crop.alpha[..., None]
        composite = crop.foreground * cover + crop.background * (1 - cover)
        bounded = (crop.foreground.max(2) < 15) & (crop.background.max(2) < 15)
        assert np.median(np.abs(crop.pixels - composite)[bounded]) < 0.02
    assert max(crop.pixels.max() for crop in crops) > 2


def test_display_crops_stay_between_zero_and_one() -> None:
    for light in ("encoded", "display"):
        crop = make_crop((1,), 64, [SKY], Scene("fur", light, bright=True))  # type: ignore[arg-type]
        assert crop.pixels.min() >= 0 and crop.pixels.max() <= 1


def test_known_pixels_of_a_trimap_are_true() -> None:
    for seed in range(8):
        crop = make_crop((11, seed), 96, [])
        assert (crop.alpha[crop.trimap == FOREGROUND] > 0.95).all()
        assert (crop.alpha[crop.trimap == BACKGROUND] < 0.05).all()


def test_a_trimap_reaches_beyond_the_fractional_pixels() -> None:
    alpha = np.clip((np.arange(80, dtype=np.float32) - 38) / 4, 0, 1)[None].repeat(80, 0)
    trimap = make_trimap(np.random.default_rng(0), alpha)
    fractional = (alpha > 0.05) & (alpha < 0.95)
    assert (trimap[fractional] == UNKNOWN).all()
    assert (trimap == UNKNOWN).sum() > fractional.sum()
    assert not usable(np.full((8, 8), UNKNOWN, np.uint8))


def test_training_scenes_hold_scene_linear_ones_in_the_share_that_is_wanted() -> None:
    random = np.random.default_rng(0)
    scenes = [pick_scene(random) for _ in range(2000)]
    assert 0.3 < np.mean([scene.light == "scene" for scene in scenes]) < 0.4
    assert 0.1 < np.mean([scene.unseen for scene in scenes]) < 0.3


def test_encoding_is_undone_by_decoding_below_the_shoulder() -> None:
    light = np.linspace(0, 0.5, 100, dtype=np.float32)
    assert np.allclose(decode(encode(light, 0.8)), light, atol=1e-4)
    assert encode(np.array([40.0], np.float32), 0.8)[0] <= 1


def test_kernels_and_noise_are_normalised() -> None:
    random = np.random.default_rng(2)
    assert disc_kernel(3.3).sum() == pytest.approx(1, abs=1e-5)
    assert streak_kernel(random, 17.0).sum() == pytest.approx(1, abs=1e-5)
    noise = fractal_noise(random, 50)
    assert (noise.min(), noise.max()) == pytest.approx((0, 1))


def test_photographs_are_read_unclipped_and_panoramas_lose_their_poles(tmp_path: Path) -> None:
    panorama = np.full((32, 64, 3), 5.0, np.float32)
    panorama[:4] = 900.0
    assert cv2.imwrite(str(tmp_path / "sky.hdr"), panorama)
    (picture,) = load_photographs(tmp_path)
    assert picture.shape == (24, 64, 3)
    assert picture.mean() == pytest.approx(5.0, rel=0.02)


def test_a_wide_trimap_is_drawn_far_from_the_edge() -> None:
    scene = Scene("solid", wide=True)
    wide, usual = (
        np.mean([np.mean(make_crop((5, n), 128, (), one).trimap == UNKNOWN) for n in range(6)])
        for one in (scene, replace(scene, wide=False))
    )
    assert wide > 1.5 * usual
    random = np.random.default_rng(0)
    assert not any(pick_scene(random).wide for _ in range(20))
    assert all(pick_scene(random, Mix(wide=1.0)).wide for _ in range(20))


def test_a_photographed_thing_stands_before_surroundings_of_its_own_brightness() -> None:
    random = np.random.default_rng(0)
    assert not any(pick_scene(random).photographed for _ in range(20))
    scenes = [pick_scene(random, Mix(photographed=1.0)) for _ in range(200)]
    assert all(scene.photographed and scene.shape in PHOTOGRAPHED for scene in scenes)
    assert {scene.shape for scene in scenes} >= {"mane", "wicker", "petals", "plush"}
    for seed in range(8):
        crop = make_crop((6, seed), 96, [SKY], Scene("solid", "scene", photographed=True))
        ratio = np.median(crop.background) / np.median(crop.foreground[crop.alpha > 0.5])
        assert 0.1 < ratio < 10


def test_a_mane_is_dense_within_and_thin_without() -> None:
    alphas = [make_shape(np.random.default_rng(seed), "mane", 160).alpha for seed in range(6)]
    thin = np.mean([((alpha > 0.05) & (alpha < 0.95)).mean() for alpha in alphas])
    dense = np.mean([(alpha >= 0.95).mean() for alpha in alphas])
    assert thin > 0.05 and dense > 0.05


def test_light_from_one_side_makes_a_plain_thing_brighter_on_one_side_than_on_the_other() -> None:
    alpha = np.zeros((64, 64), np.float32)
    alpha[16:48, 16:48] = 1
    spreads = []
    for seed in range(6):
        seen = lit(np.random.default_rng(seed), np.full((64, 64, 3), 0.5, np.float32), alpha)[alpha > 0]
        assert seen.min() >= 0 and np.isfinite(seen).all()
        spreads.append(float(np.ptp(seen)))
    assert max(spreads) > 0.2
