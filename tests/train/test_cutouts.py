"""Foregrounds with alphas in folders: what is found, how it is decoded, varied and composited."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from matte_core.colour import srgb_decode
from matte_core.errors import SourceError
from matte_core.models.net_m.net import Settings
from matte_core.train.augment import Augmentation, around_unknown, eroded_trimap, jittered, merged, turned
from matte_core.train.bank import load_bank, make_bank
from matte_core.train.composites import SHAPE, make_composite
from matte_core.train.cutouts import Layer, find_cutouts, load_background, load_cutout
from matte_core.train.losses import LossWeights
from matte_core.train.material import Material, load_material
from matte_core.train.procedural.trimaps import BACKGROUND, FOREGROUND, UNKNOWN
from matte_core.train.recipe import RECIPES, parse_recipe

SIDE = 96
STILL = Augmentation(merge=0, whole=0, rotation=0, scale=(1.0, 1.0), shear=0, flip=0, jitter=0)


def a_disc(radius: float = 24) -> NDArray[np.float32]:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    return np.clip((radius - np.hypot(rows - SIDE / 2, columns - SIDE / 2)) / 8 + 0.5, 0, 1).astype(np.float32)


def save(path: Path, picture: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = picture if picture.ndim == 3 else picture[..., None]
    exr = path.suffix == ".exr"
    spec = oiio.ImageSpec(*picture.shape[1::-1], picture.shape[2], oiio.HALF if exr else oiio.UINT8)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(np.ascontiguousarray(picture)) and output.close()


def flat(red: float, green: float, blue: float, side: int = SIDE) -> NDArray[np.float32]:
    return np.full((side, side, 3), (red, green, blue), np.float32)


@pytest.fixture
def composition(tmp_path: Path) -> Path:
    """Two foregrounds and three backgrounds for each, as Composition-1k lays them out."""
    data = tmp_path / "train"
    for name, colour in (("leaf", (0.8, 0.5, 0.2)), ("net", (0.2, 0.7, 0.4))):
        save(data / "fg" / f"{name}.png", flat(*colour))
        save(data / "alpha" / f"{name}.png", a_disc())
        for number in range(3):
            save(data / "bg" / f"{name}_{number}.png", flat(0.1, 0.1 * number, 0.9, 130))
    return data


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    """A whole photograph with its matte, as P3M-10k lays it out."""
    alpha = a_disc()[..., None]
    mixture = srgb_decode(flat(0.9, 0.6, 0.5)) * alpha + srgb_decode(flat(0.1, 0.3, 0.6)) * (1 - alpha)
    shown = np.where(mixture <= 0.0031308, mixture * 12.92, 1.055 * np.maximum(mixture, 0) ** (1 / 2.4) - 0.055)
    save(tmp_path / "p3m" / "train" / "blurred_image" / "p_1.png", shown.astype(np.float32))
    save(tmp_path / "p3m" / "train" / "mask" / "p_1.png", alpha)
    return tmp_path / "p3m"


def test_both_public_layouts_are_found_wherever_they_stand(composition: Path, portraits: Path) -> None:
    found = find_cutouts(composition)
    assert [cutout.foreground.stem for cutout in found.foregrounds] == ["leaf", "net"]
    assert not any(cutout.whole for cutout in found.foregrounds)
    assert len(found.backgrounds) == 6
    (portrait,) = find_cutouts(portraits).foregrounds
    assert portrait.whole and portrait.alpha.parent.name == "mask"
    both = find_cutouts(composition.parent)
    assert len(both.foregrounds) == 3 and len(both.backgrounds) == 6


def test_a_folder_without_alphas_holds_no_cutouts(tmp_path: Path) -> None:
    save(tmp_path / "sky.exr", flat(3, 2, 1))
    assert find_cutouts(tmp_path).foregrounds == ()


def test_files_are_decoded_to_linear_light(composition: Path) -> None:
    layer = load_cutout(find_cutouts(composition).foregrounds[0])
    assert layer.alpha.shape == (SIDE, SIDE) and layer.alpha.max() == 1
    expected = srgb_decode(np.rint(np.array([0.8, 0.5, 0.2], np.float32) * 255) / np.float32(255))
    assert np.allclose(layer.colour[0, 0], expected, atol=1e-4)
    save(composition / "bg" / "bright.exr", flat(7, 0.5, 0.1))
    assert np.allclose(load_background(composition / "bg" / "bright.exr")[0, 0], (7, 0.5, 0.1), rtol=1e-3)


def test_a_photographs_foreground_is_without_what_was_behind_it(portraits: Path) -> None:
    (cutout,) = find_cutouts(portraits).foregrounds
    layer = load_cutout(cutout)
    mixed = (layer.alpha > 0.3) & (layer.alpha < 0.7)
    front, behind = (srgb_decode(np.array(c, np.float32)) for c in ((0.9, 0.6, 0.5), (0.1, 0.3, 0.6)))
    error = np.abs(layer.colour[mixed] - front).mean()
    assert error < 0.1 * np.abs(front - behind).mean()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: (data / "alpha" / "net.png").unlink(), "net.png has no alpha called net"),
        (lambda data: [path.unlink() for path in (data / "bg").iterdir()], "holds no pictures"),
        (lambda data: (data / "fg").rename(data / "elsewhere"), "no foregrounds to them"),
        (lambda data: save(data / "alpha" / "net.png", a_disc()[:40]), "is 96x96 and its alpha .* is 96x40"),
        (lambda data: (data / "fg" / "net.png").write_bytes(b"no picture"), "net.png"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(composition: Path, change: object, said: str) -> None:
    change(composition)  # type: ignore[operator]
    with pytest.raises(SourceError, match=said) as error:
        for cutout in find_cutouts(composition).foregrounds:
            load_cutout(cutout)
    assert "\n" not in str(error.value)


def test_a_composite_is_repeatable_and_adds_up_in_linear_light(composition: Path) -> None:
    cutouts = find_cutouts(composition)
    first, again = (make_composite((1, 2), 64, cutouts, settings=STILL) for _ in range(2))
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.trimap, again.trimap)
    assert not np.array_equal(first.pixels, make_composite((1, 3), 64, cutouts, settings=STILL).pixels)
    assert first.pixels.shape == (64, 64, 3) and set(np.unique(first.trimap)) == {0, 1, 2}
    scene = next(
        crop
        for seed in range(30)
        for crop in [make_composite((5, seed), 64, cutouts, settings=STILL)]
        if crop.scene.light == "scene"
    )
    cover = scene.alpha[..., None]
    together = scene.foreground * cover + scene.background * (1 - cover)
    assert np.abs(scene.pixels - together).mean() < 0.02  # the camera's grain is all that is added


def test_without_backgrounds_textures_stand_behind(portraits: Path) -> None:
    crop = make_composite((4,), 64, find_cutouts(portraits))
    assert float(np.ptp(crop.background)) > 0.01
    assert crop.alpha.max() > 0.9


def test_two_foregrounds_cover_as_independent_layers_do() -> None:
    near = Layer(flat(1, 0, 0), np.full((SIDE, SIDE), 0.5, np.float32))
    far = Layer(flat(0, 1, 0), np.full((SIDE, SIDE), 0.5, np.float32))
    both = merged(near, far)
    assert np.allclose(both.alpha, 0.75)
    assert np.allclose(both.colour[0, 0], (0.5 / 0.75, 0.25 / 0.75, 0), atol=1e-6)


def test_turning_keeps_size_and_moves_alpha_with_its_colour() -> None:
    colour = flat(0.1, 0.1, 0.1)
    colour[a_disc() > 0.5] = (0.9, 0.2, 0.2)
    settings = Augmentation(rotated=0)
    moved = turned(np.random.default_rng(3), Layer(colour, a_disc()), settings)
    assert moved.alpha.shape == (SIDE, SIDE)
    assert not np.allclose(moved.alpha, a_disc())
    assert (moved.colour[moved.alpha > 0.95, 0] > 0.5).mean() > 0.95
    assert np.array_equal(turned(np.random.default_rng(0), Layer(colour, a_disc()), STILL).alpha.shape, a_disc().shape)


def test_jitter_changes_hues_and_keeps_highlights() -> None:
    layer = Layer(flat(0.6, 0.3, 0.1), a_disc())
    moved = jittered(np.random.default_rng(1), layer, 40)
    assert np.abs(moved.colour - layer.colour).max() > 0.02
    assert moved.colour.min() >= 0 and moved.colour.max() <= 1
    bright = jittered(np.random.default_rng(1), Layer(flat(6, 3, 1), a_disc()), 40)
    assert 3 < bright.colour.max() <= 6 * 1.01


def test_a_trimap_is_eroded_by_its_own_width_on_each_side() -> None:
    alpha = a_disc()
    for seed in range(5):
        trimap = eroded_trimap(np.random.default_rng(seed), alpha, (1, 29))
        assert (alpha[trimap == FOREGROUND] >= 254 / 255).all()
        assert (alpha[trimap == BACKGROUND] <= 1 / 255).all()
    narrow, wide = (eroded_trimap(np.random.default_rng(0), alpha, (n, n)) for n in (1, 21))
    assert (narrow == UNKNOWN).sum() < (wide == UNKNOWN).sum()
    assert ((alpha > 1 / 255) & (alpha < 254 / 255) == (narrow == UNKNOWN)).all()
    grown = cv2.dilate((narrow == UNKNOWN).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21)))
    assert np.array_equal(grown > 0, wide == UNKNOWN)


def test_a_crop_is_centred_on_the_unknown_and_lies_inside() -> None:
    alpha = a_disc()
    for seed in range(20):
        top, left = around_unknown(np.random.default_rng(seed), alpha, 32)
        assert 0 <= top <= SIDE - 32 and 0 <= left <= SIDE - 32
        part = alpha[top : top + 32, left : left + 32]
        assert ((part > 0.01) & (part < 0.99)).any()
    assert around_unknown(np.random.default_rng(0), np.ones((8, 8), np.float32), 32) == (0, 0)


def test_a_folder_fills_a_bank_and_leaves_the_procedural_crops_as_they_are(
    composition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matte_core.train.bank.CROPS_PER_SHARD", 6)
    for name, material in (("with", load_material(composition.parent)), ("without", Material())):
        make_bank(tmp_path / name, 1, 1, 64, material, None, 0.5, Augmentation(), False)
    ours, theirs = (next(load_bank(tmp_path / name)) for name in ("with", "without"))
    made = ours.kind == SHAPE
    assert 0 < made.sum() < 6
    assert np.array_equal(ours.pixels[~made], theirs.pixels[~made])
    assert not ours.solved.any() and not theirs.solved.any()


def test_photographs_of_a_folder_are_those_that_belong_to_no_foreground(composition: Path) -> None:
    save(composition / "sky.exr", flat(3, 2, 1))
    save(composition / "bg" / "hall.exr", flat(5, 2, 1))
    material = load_material(composition)
    assert len(material.photographs) == 1 and len(material.cutouts.backgrounds) == 7
    with pytest.raises(SourceError, match="is no folder"):
        load_material(composition / "nowhere")


def test_the_published_recipe_has_the_published_losses_and_augmentations() -> None:
    recipe = parse_recipe((RECIPES / "net_m_published.toml").read_text(encoding="utf-8"))
    assert recipe.network == Settings()
    assert recipe.losses == LossWeights(absolute=1, squared=0, pyramid=0, composite=0, own=0, hard=1, coarse=1)
    assert recipe.data.augmentation == Augmentation() and recipe.data.cutouts == 1 and not recipe.data.solves
