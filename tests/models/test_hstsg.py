"""The HSTSG-style network: its parts against plain loops, its memory bounded, its stream the same as its steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from matte_core.models.hstsg.model import HSTSG_SMALL, HstsgModel
from matte_core.models.hstsg.net import Hstsg
from matte_core.models.hstsg.reading import REACH, Cells, _coarse, moved, read, remembered
from matte_core.models.hstsg.refinement import CrossFrame, Seen
from matte_core.models.hstsg.settings import SMALL, Settings
from matte_core.models.hstsg.start import known
from matte_core.models.hstsg.stream import Passed, begin, go_on
from matte_core.models.layers.carry import Motion, carry

TINY = replace(
    SMALL, stem=4, inner=(2, 2, 3), counts=(1, 1, 1), keys=(4, 4, 4), values=(4, 4, 4), wide=8, tail=(8, 6, 4)
)


def a_net(settings: Settings = TINY, seed: int = 0) -> Hstsg:
    torch.manual_seed(seed)
    return Hstsg(settings).eval()


def clip(frames: int, seed: int = 0, side: int = 48) -> Tensor:
    return torch.rand(frames, 1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def disc(side: int = 48) -> Tensor:
    rows = torch.arange(side) - side / 2
    return ((rows[:, None] ** 2 + rows**2) < (side / 3) ** 2).float()[None, None]


def still(side: int = 48) -> Motion:
    return Motion(torch.zeros(1, 2, side, side), torch.ones(1, 1, side, side))


def test_the_two_sizes_have_the_parameters_they_are_said_to_have() -> None:
    count = {s: sum(p.numel() for p in Hstsg(s).parameters()) for s in (Settings(), SMALL)}
    assert count[Settings()] == 43_423_029
    assert count[SMALL] < 2_000_000


def test_the_coarse_reading_is_the_kernel_guided_softmax() -> None:
    """Against the equations, cell by cell: likeness over the root of the width, softmax over memory, times a Gaussian
    about where each cell has come to, normalised again."""
    torch.manual_seed(0)
    height, width, channels = 3, 4, 5
    keys, values, query = (torch.randn(1, channels, height, width) for _ in range(3))
    entry = replace(remembered(0, Cells((keys,), (values,))), at=torch.randint(0, 12, (1, 12)))
    found, _ = _coarse([entry], query, 4)
    for place in range(height * width):
        alike = torch.stack([(keys[0].flatten(1)[:, j] * query[0].flatten(1)[:, place]).sum() for j in range(12)])
        near = []
        for j in range(12):
            at = int(entry.at[0, j])
            away = (at // width - place // width) ** 2 + (at % width - place % width) ** 2
            near.append(torch.exp(torch.tensor(-away / (2 * 3.0**2))))
        weights = torch.softmax(alike / channels**0.5, 0) * torch.stack(near)
        expected = (values[0].flatten(1) * (weights / weights.sum())).sum(1)
        assert torch.allclose(found[0].flatten(1)[:, place], expected, atol=1e-5)


def test_a_cell_is_followed_to_the_likeliest_place_within_reach_and_on_from_there() -> None:
    torch.manual_seed(1)
    before = torch.nn.functional.normalize(torch.randn(1, 16, 8, 9), dim=1)
    after, later = torch.roll(before, (1, 2), (2, 3)), torch.roll(before, (3, 3), (2, 3))
    first = remembered(0, Cells((before,), (before,)))
    (once,) = moved([first], after)
    second = remembered(1, Cells((after,), (after,)))
    twice, step = moved([once, second], later)
    cell = 2 * 9 + 3  # row 2, column 3
    assert int(once.at[0, cell]) == 3 * 9 + 5
    assert int(step.at[0, 3 * 9 + 5]) == 5 * 9 + 6
    assert int(twice.at[0, cell]) == 5 * 9 + 6
    rows = (once.at[0] // 9 - torch.arange(72) // 9).abs()
    assert int(rows.max()) <= REACH


def test_the_finer_readings_compare_only_parts_of_the_best_coarse_cells() -> None:
    torch.manual_seed(2)
    shapes = ((4, 2, 3), (5, 4, 6), (6, 8, 12))
    keys = tuple(torch.randn(1, *shape) for shape in shapes)
    values = tuple(torch.randn(1, 2, *shape[1:]) for shape in shapes)
    entry, query = remembered(0, Cells(keys, values)), [torch.randn(1, *shape) for shape in shapes]
    best = _coarse([entry], query[0], 2)[1]
    _, finer, finest = read([entry], query, 2)
    for scale, found, taken in ((1, finer, 2), (2, finest, 1)):
        side = 2**scale
        for row, column in ((0, 0), (1, 5), (3, 2)):
            cell = row // side * 3 + column // side
            parts = [
                (int(c) // 3 * side + dy, int(c) % 3 * side + dx)
                for c in best[0, cell, :taken]
                for dy in range(side)
                for dx in range(side)
            ]
            alike = torch.stack([(keys[scale][0, :, y, x] * query[scale][0, :, row, column]).sum() for y, x in parts])
            weights = torch.softmax(alike / shapes[scale][0] ** 0.5, 0)
            expected = sum(weight * values[scale][0, :, y, x] for weight, (y, x) in zip(weights, parts, strict=True))
            assert torch.allclose(found[0, :, row, column], expected, atol=1e-5)


def test_the_refinement_is_one_softmax_over_the_windows_of_all_frames() -> None:
    torch.manual_seed(3)
    module = CrossFrame(4, 3, 3).eval()
    features = torch.randn(1, 4, 5, 6)
    past = [Seen(torch.randn(1, 3, 5, 6), torch.randn(1, 3, 5, 6)) for _ in range(2)]
    with torch.no_grad():
        found, kept = module(features, past)
        query = module.query(features)
        mixed = torch.zeros(1, 3, 5, 6)
        for row in range(5):
            for column in range(6):
                scores, held = [], []
                for each in [*past, kept]:
                    for y in range(max(row - 1, 0), min(row + 2, 5)):
                        for x in range(max(column - 1, 0), min(column + 2, 6)):
                            scores.append((query[0, :, row, column] * each.keys[0, :, y, x]).sum() / 3**0.5)
                            held.append(each.values[0, :, y, x])
                weights = torch.softmax(torch.stack(scores), 0)
                mixed[0, :, row, column] = (torch.stack(held) * weights[:, None]).sum(0)
        assert torch.allclose(found, features + module.out(mixed), atol=1e-5)


def test_the_memory_is_bounded_and_keeps_first_previous_and_every_so_many() -> None:
    net, frames = a_net(replace(TINY, every=3, most=4)), clip(40)
    with torch.inference_mode():
        _, passed = begin(net, frames[0], disc())
        held, sizes = [], []
        for pixels in frames[1:]:
            _, passed = go_on(net, pixels, passed, still())
            held.append([each.number for each in passed.memory])
            sizes.append(passed.nbytes)
    assert held[0] == [0, 1] and held[3] == [0, 3, 4] and held[6] == [0, 3, 6, 7]
    assert held[-1] == [0, 33, 36, 39]
    assert max(map(len, held)) == 4
    assert max(sizes[10:]) == max(sizes)


def test_a_step_is_the_stream_and_its_state_is_all_it_needs() -> None:
    net, frames, model = a_net(), clip(4), HstsgModel(replace(HSTSG_SMALL.card, weights=None), TINY)
    with torch.inference_mode():
        layers, state = model.step(net, frames[0], {"mask": disc()}, None)
        other, passed = begin(net, frames[0], disc())
        assert torch.equal(layers["alpha"], other.alpha)
        for pixels in frames[1:]:
            again, _ = model.step(net, pixels, {}, state)
            layers, state = model.step(net, pixels, {}, state)
            answer, passed = go_on(net, pixels, passed)
            assert torch.equal(layers["alpha"], again["alpha"]) and torch.equal(layers["alpha"], answer.alpha)
    assert isinstance(state[0], Passed)


def test_layers_are_followed_by_themselves_and_an_empty_mask_says_that_nothing_is_there() -> None:
    net, frames, model = a_net(), clip(2), HstsgModel(HSTSG_SMALL.card, TINY)
    masks = torch.cat([disc(), disc() * 0, 1 - disc()], 1)
    with torch.inference_mode():
        together, state = model.step(net, frames[0], {"mask": masks}, None)
        alone, _ = model.step(net, frames[0], {"mask": masks[:, 2:]}, None)
        later, _ = model.step(net, frames[1], {}, state)
    assert torch.equal(together["alpha"][:, 2:], alone["alpha"])
    assert not together["alpha"][:, 1].any() and not later["alpha"][:, 1].any()
    assert later["alpha"].shape == (1, 3, 48, 48)


def test_the_form_of_the_paper_answers_without_a_start() -> None:
    net = a_net(replace(TINY, start=False, own_reference=False))
    frames = clip(3, side=64)
    with torch.inference_mode():
        answer, passed = begin(net, frames[0], disc(64))
        answer, passed = go_on(net, frames[1], passed)
    assert answer.alpha.shape == (1, 1, 64, 64) and answer.mask.shape == (1, 1, 4, 4)
    assert float(answer.alpha.min()) >= 0 and float(answer.alpha.max()) <= 1


def test_a_fresh_network_mostly_answers_what_was_carried() -> None:
    frames = clip(2)
    with torch.inference_mode():
        _, passed = begin(a_net(), frames[0], disc())
        answer, _ = go_on(a_net(), frames[1], replace(passed, alpha=disc()), still())
    assert float((answer.alpha - disc()).abs().mean()) < 0.2


@pytest.mark.parametrize("way", [(3.0, 0.0), (0.0, -2.0)])
def test_what_is_carried_comes_from_where_the_motion_points(way: tuple[float, float]) -> None:
    picture = torch.arange(64.0).view(1, 1, 8, 8)
    found = carry(picture, torch.tensor(way).view(1, 2, 1, 1).expand(1, 2, 8, 8))
    assert float(found[0, 0, 4, 3]) == pytest.approx(float(picture[0, 0, 4 + int(way[1]), 3 + int(way[0])]), abs=1e-3)


def test_known_colours_lie_well_inside_and_outside_and_further_for_a_rough_mask() -> None:
    both = known(disc().expand(2, 1, 48, 48), torch.tensor([0.0, 1.0]))
    assert set(both.flatten().tolist()) == {0.0, 0.5, 1.0}
    assert (both[1] == 0.5).sum() > (both[0] == 0.5).sum()
    assert bool((disc()[0][both[0] == 1] == 1).all()) and bool((disc()[0][both[0] == 0] == 0).all())
