"""Procedural clips: what they promise to whatever learns from moving pictures."""

from __future__ import annotations

import numpy as np
import pytest

from matte_core.train.procedural.camera import LIGHTS, Light
from matte_core.train.procedural.clips import OVERLAPS, Clip, make_clip
from matte_core.train.procedural.crops import Scene
from matte_core.train.procedural.fields import Map, as_map

SKY = np.linspace(0, 20, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)


def test_a_clip_is_what_its_seed_says_and_no_other() -> None:
    first, same, other = (make_clip(seed, 64, 3, [SKY]) for seed in ((1, 2), (1, 2), (1, 3)))
    assert np.array_equal(first.pixels, same.pixels) and np.array_equal(first.alpha, same.alpha)
    assert not np.array_equal(first.pixels, other.pixels)


@pytest.mark.parametrize("subjects", [1, 3])
def test_a_clip_has_an_alpha_for_each_subject_and_they_add_up_to_at_most_one(subjects: int) -> None:
    clip = make_clip((2, 5), 64, 4, [SKY], subjects)
    assert clip.pixels.shape == clip.foreground.shape == clip.background.shape == (4, 64, 64, 3)
    assert clip.alpha.shape == (4, subjects, 64, 64)
    assert clip.alpha.min() >= 0 and clip.alpha.sum(1).max() <= 1 + 1e-5
    assert (clip.alpha.sum((0, 2, 3)) > 4 * 20).all()
    assert clip.hidden.shape == (4, subjects) and np.allclose(clip.hidden[:, 0], 0, atol=1e-5)


@pytest.mark.parametrize("light", LIGHTS)
def test_a_frame_is_its_foreground_over_its_background_but_for_grain(light: Light) -> None:
    clip = make_clip((3, 1), 64, 3, [SKY], scene=Scene("hair", light))
    assert clip.light == light
    composite = _composite(clip)
    known = (clip.alpha.sum(1) < 1e-3) | (clip.alpha.sum(1) > 0.999)
    error = np.abs(composite - clip.pixels).mean(-1) / np.maximum(composite.mean(-1), 0.05)
    assert error[known].mean() < 0.1
    mixed = ~known
    assert mixed.any()
    if light == "encoded":  # composited before encoding: what is mixed is brighter than encoded colours mixed
        assert (clip.pixels - composite)[mixed].mean() > 0.005
    else:
        assert error[mixed].mean() < 0.1


def test_subjects_and_background_move() -> None:
    clip = make_clip((4, 4), 64, 6, [SKY], scene=Scene("solid", "scene"))
    alpha = clip.alpha[:, 0]
    assert np.abs(np.diff(alpha, axis=0)).mean((1, 2)).min() > 1e-4
    assert np.abs(np.diff(clip.background, axis=0)).mean() > 0


def test_subjects_hide_each_other_about_as_much_as_is_asked() -> None:
    shares = {
        name: np.mean([make_clip((6, seed), 64, 3, [SKY], 2, overlap).hidden[:, 1] for seed in range(12)])
        for name, overlap in OVERLAPS.items()
    }
    assert shares["easy"] < 0.1 < shares["medium"] < 0.4 < shares["hard"]


def _composite(clip: Clip) -> Map:
    cover = clip.alpha.sum(1)[..., None]
    return as_map(clip.foreground * cover + clip.background * (1 - cover))
