"""Pairs of crops that differ only in how their layers were mixed, and what two networks make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from matte_core.models.net_m import SHARP
from matte_core.models.net_m.net import NetM, Settings
from matte_core.train.bank import load_bank
from matte_core.train.light_pairs import KINDS, make_banks, make_pair, measure
from matte_core.train.recipe import RECIPES, parse_recipe

TINY = Settings((4, 4, 6, 6, 8), 4, (1, 1, 1, 1), (1, 1, 1, 1), attention=False, refinement=0, inputs="colours")


@pytest.mark.parametrize("kind", ["defocus", "fur"])
def test_a_pair_differs_where_cover_is_partial_and_nowhere_else(kind: str) -> None:
    for place in range(3):
        pair = make_pair((5, place), 96, kind, ())
        for other in (pair.seen, pair.display):
            assert np.array_equal(pair.linear.alpha, other.alpha)
            assert np.array_equal(pair.linear.trimap, other.trimap)
        assert np.array_equal(pair.seen.foreground, pair.display.foreground)
        apart = np.abs(pair.seen.pixels - pair.display.pixels).max(2)
        whole = (pair.linear.alpha == 0) | (pair.linear.alpha == 1)
        assert float(np.median(apart[whole])) < 0.04 < float(np.abs(pair.seen.pixels).max())
        assert float(pair.seen.pixels.min()) >= 0 and float(pair.seen.pixels.max()) <= 1
    assert pair.stops.shape == pair.linear.alpha.shape and float(pair.stops.min()) >= 0


def test_the_plate_is_its_layers_mixed_as_light_and_keeps_what_is_above_1() -> None:
    brightest = 0.0
    for place in range(4):
        plate = make_pair((8, place), 96, "fine_hair", ()).linear
        cover = plate.alpha[..., None]
        mixed = plate.foreground * cover + plate.background * (1 - cover)
        away = np.abs(plate.pixels - mixed) / (np.sqrt(mixed) + 0.05)
        assert plate.scene.light == "scene" and float(away.mean()) < 0.03
        brightest = max(brightest, float(plate.pixels.max()))
    assert brightest > 1.5


def test_light_mixed_as_light_is_brighter_than_mixed_after_encoding() -> None:
    brighter = []
    for place in range(6):
        pair = make_pair((6, place), 96, "defocus", ())
        partial = (pair.linear.alpha > 0.3) & (pair.linear.alpha < 0.7)
        brighter.append(float((pair.seen.pixels - pair.display.pixels).mean(2)[partial].mean()))
    assert min(brighter) > -2 / 255 and max(brighter) > 0.02


def test_both_banks_hold_the_same_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matte_core.train.light_pairs.CROPS_PER_SHARD", 2)
    assert list(make_banks(tmp_path, 1, 1, 64, ())) == [1]
    (linear,), (display,) = (list(load_bank(tmp_path / name / "bank")) for name in ("linear", "display"))
    assert np.array_equal(linear.alpha, display.alpha) and np.array_equal(linear.kind, display.kind)
    assert set(linear.light) == {"scene"} and set(display.light) == {"display"}
    assert not np.array_equal(linear.solved, display.solved)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert list(make_banks(tmp_path, 1, 1, 64, ())) == [1]
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}


def test_each_network_is_asked_in_its_own_light_and_every_scene_counts_alike() -> None:
    torch.manual_seed(0)
    one, other = NetM(TINY).eval(), NetM(TINY).eval()
    torch.nn.init.normal_(other.coarse.out.weight)
    pairs = [(kind, make_pair((7, n), 64, kind, ())) for n, kind in enumerate(KINDS[:2])]
    errors, swapped = measure(one, other, pairs), measure(other, one, pairs)
    sizes = [int((pair.linear.trimap == 1).sum()) for _, pair in pairs]
    assert len(errors.linear) == sum(sizes) and set(errors.kind) == set(KINDS[:2])
    assert not np.array_equal(errors.linear, swapped.display)  # the same network, another picture
    everywhere = np.ones(len(errors.linear), bool)
    by_scene = [errors.linear[: sizes[0]].mean(), errors.linear[sizes[0] :].mean()]
    assert errors.mean(everywhere)[0] == pytest.approx(float(np.mean(by_scene)), rel=1e-5)
    squared = [np.square(errors.display[errors.scene == n]).mean() for n in range(2)]
    assert errors.mean(everywhere, 2)[1] == pytest.approx(float(np.mean(squared)), rel=1e-5)


def test_the_study_trains_the_network_that_ships() -> None:
    recipe = parse_recipe((RECIPES / "net_m_light_study.toml").read_text(encoding="utf-8"))
    assert recipe.network == SHARP.settings
