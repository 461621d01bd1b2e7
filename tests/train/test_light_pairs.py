"""Pairs of crops that differ only in how their layers were mixed, and what two networks make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from matte_core.models.net_m.net import NetM, Settings
from matte_core.train.bank import load_bank
from matte_core.train.light_pairs import SOFT, make_banks, make_pair, measure

TINY = Settings((4, 4, 6, 6, 8), 4, (1, 1, 1, 1), (1, 1, 1, 1), attention=False, refinement=0, inputs="colours")


@pytest.mark.parametrize("kind", ["defocus", "fur"])
def test_a_pair_differs_where_cover_is_partial_and_layers_differ_and_nowhere_else(kind: str) -> None:
    for place in range(3):
        pair = make_pair((5, place), 96, kind, ())
        assert np.array_equal(pair.linear.alpha, pair.display.alpha)
        assert np.array_equal(pair.linear.trimap, pair.display.trimap)
        assert np.array_equal(pair.linear.foreground, pair.display.foreground)
        apart = np.abs(pair.linear.pixels - pair.display.pixels).max(2)
        whole = (pair.linear.alpha == 0) | (pair.linear.alpha == 1)
        assert float(apart[whole].max()) <= 1.01 / 255
        assert float(pair.linear.pixels.min()) >= 0 and float(pair.linear.pixels.max()) <= 1
    assert pair.stops.shape == pair.linear.alpha.shape and float(pair.stops.min()) >= 0


def test_light_mixed_as_light_is_brighter_than_mixed_after_encoding() -> None:
    brighter = []
    for place in range(6):
        pair = make_pair((6, place), 96, "defocus", ())
        partial = (pair.linear.alpha > 0.3) & (pair.linear.alpha < 0.7)
        brighter.append(float((pair.linear.pixels - pair.display.pixels).mean(2)[partial].mean()))
    assert min(brighter) > -1 / 255 and max(brighter) > 0.02


def test_both_banks_hold_the_same_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matte_core.train.light_pairs.CROPS_PER_SHARD", 2)
    make_banks(tmp_path, 1, 1, 64, ())
    (linear,), (display,) = (list(load_bank(tmp_path / name / "bank")) for name in ("linear", "display"))
    assert np.array_equal(linear.alpha, display.alpha) and np.array_equal(linear.kind, display.kind)
    assert set(linear.light) == {"encoded"} and set(display.light) == {"display"}
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    make_banks(tmp_path, 1, 1, 64, ())
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}


def test_errors_are_those_of_the_linear_pictures_in_the_unknown() -> None:
    torch.manual_seed(0)
    one, other = NetM(TINY).eval(), NetM(TINY).eval()
    torch.nn.init.normal_(other.coarse.out.weight)
    pairs = [(kind, make_pair((7, n), 64, kind, ())) for n, kind in enumerate(SOFT[:2])]
    errors = measure(one, other, pairs)
    unknown = [pair.linear.trimap == 1 for _, pair in pairs]
    assert len(errors.linear) == sum(int(where.sum()) for where in unknown)
    assert set(errors.kind) == set(SOFT[:2])
    same = measure(one, one, pairs)
    assert np.array_equal(same.linear, same.display) and not np.array_equal(errors.linear, errors.display)
    everywhere = np.ones(len(errors.linear), bool)
    assert errors.mean(everywhere)[0] == pytest.approx(float(errors.linear.mean()))
