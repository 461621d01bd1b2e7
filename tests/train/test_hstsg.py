"""Training an HSTSG-style network: its losses as written down, its clips and their motion, its task in the loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from matte_core.models.hstsg.net import Answer
from matte_core.models.layers.carry import carry
from matte_core.train.carried_clips import CarriedClips, Cut, pack_clips
from matte_core.train.hstsg_losses import LossWeights, clip_loss, pyramid_loss, thumbnail
from matte_core.train.material import Material
from matte_core.train.procedural.clips import make_clip
from matte_core.train.recipe import RECIPES, parse_recipe
from matte_core.train.tasks.hstsg import Batch, HstsgTask, errors_of, flown_mask, stack

NAMES = ("way", "trust", "ahead", "ahead_trust")


@pytest.fixture(scope="module")
def clips() -> CarriedClips:
    return pack_clips([make_clip((5, place), 64, 4, ()) for place in range(2)])


def test_the_published_loss_is_the_sum_with_weights_one_one_three_one_one() -> None:
    torch.manual_seed(0)
    truth, front = torch.rand(2, 3, 1, 64, 64).round(decimals=1), torch.rand(2, 3, 3, 64, 64)
    answers = [Answer(torch.randn(3, 1, 4, 4), torch.rand(3, 1, 64, 64), torch.rand(3, 3, 64, 64)) for _ in range(2)]
    total, parts = clip_loss(answers, truth, front, LossWeights())
    names = ("mask", "absolute", "band", "foreground", "pyramid")
    assert list(parts) == list(names)
    assert float(total) == pytest.approx(
        sum(w * parts[n] for w, n in zip((1, 1, 3, 1, 1), names, strict=True)), rel=1e-5
    )
    alpha = torch.stack([answer.alpha for answer in answers])
    error, band = (alpha - truth).abs(), (truth > 0) & (truth < 1)
    assert parts["absolute"] == pytest.approx(float(error.mean()), rel=1e-5)
    assert parts["band"] == pytest.approx(float(error[band].mean()), rel=1e-5)


def test_a_thumbnail_is_reduced_sixteen_times_and_blurred() -> None:
    even = thumbnail(torch.full((1, 1, 64, 48), 0.3))
    assert even.shape == (1, 1, 4, 3) and torch.allclose(even, torch.tensor(0.3))
    alpha = torch.zeros(1, 1, 112, 112)
    alpha[..., 48:64, 48:64] = 1
    found = thumbnail(alpha)[0, 0]
    assert float(found[3, 3]) == pytest.approx((1 / (1 + 2 * np.exp(-1 / 1.28))) ** 2, abs=1e-4)
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)


def test_the_pyramid_counts_a_coarser_band_double_and_even_differences_nothing() -> None:
    truth = torch.rand(1, 1, 64, 64)
    assert float(pyramid_loss(truth, truth)) == 0
    assert float(pyramid_loss(truth + 0.25, truth)) < 1e-5
    assert float(pyramid_loss(torch.rand(1, 1, 64, 64), truth)) > 0.1


def test_the_motion_of_a_clip_brings_a_frame_to_the_next_and_back(clips: CarriedClips) -> None:
    clip = clips.cut(0)
    for frames, ways, step in ((clip.alpha, clip.way, 1), (clip.alpha[::-1], clip.ahead[::-1], 1)):
        for time in range(3):
            before, after = (torch.from_numpy(np.ascontiguousarray(frames[time + k]))[None, None] for k in (0, step))
            moved = carry(before, torch.from_numpy(np.ascontiguousarray(ways[time]))[None])
            assert float((moved - after).abs().mean()) <= float((before - after).abs().mean()) + 0.005


def test_a_mirrored_or_reversed_clip_is_carried_as_well(clips: CarriedClips) -> None:
    clip = clips.cut(1)
    for turned in (clip._mirrored(), clip._backwards(), clip._mirrored()._backwards()):
        assert errors(turned) == pytest.approx(errors(clip), abs=0.01)
    twice = clip._backwards()._backwards()
    assert all(np.array_equal(getattr(twice, name), getattr(clip, name)) for name in Cut.__dataclass_fields__)


def errors(clip: Cut) -> float:
    found = []
    for before, after, way in zip(clip.alpha, clip.alpha[1:], clip.way, strict=False):
        tensors = (torch.from_numpy(np.ascontiguousarray(each)) for each in (before[None, None], way[None]))
        found.append(float((carry(*tensors)[0, 0] - torch.from_numpy(np.ascontiguousarray(after))).abs().mean()))
    return float(np.mean(found))


def test_the_task_learns_from_clips_and_measures_itself_against_the_carried_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matte_core.train.tasks.hstsg.CLIPS_PER_SHARD", 2)
    recipe = parse_recipe((RECIPES / "hstsg_small.toml").read_text(encoding="utf-8"))
    data = replace(recipe.data, shards=1, size=48, frames=4, validation=2, held_out=3)
    network = replace(recipe.network, inner=(2, 2, 3), counts=(1, 1, 1), wide=8, tail=(8, 6, 4))
    task = HstsgTask(network, data, recipe.losses)
    task.prepare(tmp_path, Material(), lambda *told: None)
    net = task.build()
    batch = task.draw(1, 0, 2)
    again = task.draw(1, 0, 2)
    assert all(torch.equal(getattr(batch, name), getattr(again, name)) for name in type(batch).__dataclass_fields__)
    assert batch.pixels.shape == (3, 2, 3, 48, 48) and batch.way.shape == (2, 2, 2, 48, 48)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(8):
        total, _ = task.loss(task.answer(net, batch), batch)
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(total.detach()))
    assert min(losses[-2:]) < losses[0]
    assert all(p.grad is not None for n, p in net.named_parameters() if not n.startswith("memory_keys.3"))
    assert 0 < task.look(net.eval(), tmp_path, 7, torch.device("cpu"))["absolute"] < 1
    table = (tmp_path / "scores_000007.txt").read_text(encoding="utf-8")
    assert "carried by flow" in table and table.splitlines()[-1].split()[0] == "mean"
    flown = flown_mask(stack([batch_of_one(batch)]))
    assert flown.shape == (3, 1, 1, 48, 48)
    assert errors_of(flown, flown).absolute == 0


def batch_of_one(batch: Batch) -> Batch:
    """The first example of a batch, as it was before it was stacked."""
    alone = ("guide", "rough")
    fields = Batch.__dataclass_fields__
    return Batch(**{n: getattr(batch, n)[0] if n in alone else getattr(batch, n)[:, 0] for n in fields})
