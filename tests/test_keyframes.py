"""Keyframed guides: exact on the keys, held outside them, moved as shapes between them, two keys in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from matte_core.errors import UsageError
from matte_core.frame import FrameRange, Pixels
from matte_core.keyframes import BETWEEN, between_shapes, keyframed
from matte_core.ops import keyframed_guide
from matte_core.plan import Plan
from matte_core.pull import Run, frames
from matte_core.shot import Shot

SIDE = 64
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def disc(x: float, y: float = 32, radius: float = 10) -> Pixels:
    return (np.hypot(COLUMNS - x, ROWS - y) <= radius).astype(np.float32)


def band(x: float) -> Pixels:
    """A trimap: a disc with an unknown ring."""
    return (disc(x) + disc(x, radius=15)) / 2


def made(shot: Shot) -> dict[int, Pixels]:
    return {frame.number: frame.pixels for frame in frames(shot)}


def centre(mask: Pixels) -> float:
    return float((mask * COLUMNS).sum() / mask.sum())


@pytest.mark.parametrize("between", BETWEEN)
def test_on_the_keys_it_is_the_key_bit_for_bit_and_outside_them_the_nearest(between: str, shot_of: Any) -> None:
    dice = np.random.default_rng(0)
    keys = [dice.random((2, SIDE, SIDE)).astype(np.float32) for _ in range(3)]
    guide = keyframed(shot_of(keys, "1003,1005,1010"), FrameRange.parse("1001-1012"), between=between)
    pictures = made(guide)
    assert list(pictures) == list(range(1001, 1013))
    for number, key in {1001: 0, 1003: 0, 1005: 1, 1010: 2, 1012: 2}.items():
        assert np.array_equal(pictures[number], keys[key]), number


def test_a_disc_moves_from_key_to_key_and_keeps_its_shape(shot_of: Any) -> None:
    guide = keyframed(shot_of([disc(15)[None], disc(47)[None]], "1,9"), FrameRange.parse("1-9"))
    for number, picture in made(guide).items():
        assert centre(picture[0]) == pytest.approx(15 + 4 * (number - 1), abs=0.3)
        assert picture.sum() == pytest.approx(disc(15).sum(), rel=0.05)
        assert np.abs(picture[0] - disc(15 + 4 * (number - 1))).mean() < 0.01


def test_a_disc_that_grows_is_halfway_in_radius() -> None:
    half = between_shapes(disc(32, radius=6), disc(32, radius=18), 0.5)
    assert np.abs(half - disc(32, radius=12)).sum() < 0.08 * half.sum()


def test_between_is_the_same_from_either_side() -> None:
    first, second = disc(20, 25, 8), disc(40, 30, 14)
    for share in (0.25, 0.5, 0.9):
        assert np.allclose(between_shapes(first, second, share), between_shapes(second, first, 1 - share), atol=1e-5)
    assert np.allclose(between_shapes(first, first, 0.3), first, atol=0.51)  # a stair of the edge is smoothed at most
    assert np.abs(between_shapes(first, first, 0.3) - first).sum() < 0.05 * first.sum()


def test_a_trimap_keeps_its_band(shot_of: Any) -> None:
    guide = keyframed(shot_of([band(20)[None], band(40)[None]], "1,3"), FrameRange.parse("1-3"))
    middle = made(guide)[2][0]
    assert np.abs(middle - band(30)).mean() < 0.02
    assert np.isin(middle.round(3), (0, 0.5, 1)).mean() > 0.95


def test_a_soft_mask_stays_soft() -> None:
    soft = [np.clip((12 - np.hypot(COLUMNS - x, ROWS - 32)) / 8 + 0.5, 0, 1).astype(np.float32) for x in (20, 30, 40)]
    assert np.abs(between_shapes(soft[0], soft[2], 0.5) - soft[1]).max() < 0.12


def test_a_shape_that_one_key_lacks_grows_from_its_middle_and_shrinks_back() -> None:
    nothing, shape = np.zeros((SIDE, SIDE), np.float32), disc(32)
    sizes = [float(between_shapes(nothing, shape, share).sum()) for share in (0.1, 0.4, 0.7, 1.0)]
    assert sizes == sorted(sizes) and sizes[0] < 20 and sizes[-1] == pytest.approx(shape.sum(), rel=0.05)
    assert np.array_equal(between_shapes(nothing, shape, 0.3), between_shapes(shape, nothing, 0.7))
    everything = np.ones((SIDE, SIDE), np.float32)
    assert between_shapes(everything, shape, 0.05).mean() > between_shapes(everything, shape, 0.95).mean()
    assert not between_shapes(nothing, nothing, 0.5).any()
    assert between_shapes(everything, everything, 0.5).min() == 1


def test_hold_keeps_the_last_key_and_dissolve_fades(shot_of: Any) -> None:
    keys = shot_of([np.zeros((1, 4, 4)), np.ones((1, 4, 4))], "1,5")
    span = FrameRange.parse("1-5")
    assert [float(p.mean()) for p in made(keyframed(keys, span, between="hold")).values()] == [0, 0, 0, 0, 1]
    assert [float(p.mean()) for p in made(keyframed(keys, span, between="dissolve")).values()] == [
        0,
        0.25,
        0.5,
        0.75,
        1,
    ]


def test_keys_choose_frames_or_number_them(shot_of: Any) -> None:
    values = [np.full((1, 4, 4), value, np.float32) for value in (0.1, 0.2, 0.3)]
    span = FrameRange.parse("1001-1100")
    chosen = keyframed(shot_of(values, "1001,1050,1100"), span, "1001,1100", "hold")
    assert made(chosen)[1050].mean() == pytest.approx(0.1)
    numbered = keyframed(shot_of(values, "1-3"), span, "1001,1050,1100", "hold")
    assert [float(made(numbered)[n].mean()) for n in (1049, 1050, 1100)] == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(UsageError, match="keyframe 1050 is not in the guide"):
        keyframed(shot_of(values, "1-3"), span, "1050")
    with pytest.raises(UsageError, match="no way from key to key"):
        keyframed(shot_of(values), span, between="morph")


def test_one_key_is_a_still(shot_of: Any) -> None:
    guide = keyframed(shot_of([disc(32)[None]], "1040"), FrameRange.parse("1001-1003"))
    assert all(np.array_equal(picture[0], disc(32)) for picture in made(guide).values())


def test_at_most_two_keys_are_read_for_a_frame_and_each_once(shot_of: Any) -> None:
    keys = shot_of([disc(x)[None] for x in range(10, 55, 5)], "1-801x100")
    guide = keyframed(keys, FrameRange.parse("1-801"))
    plan = Plan([(guide, guide.frames)])
    read = [unit.numbers for unit in plan.units if unit.shot.verb == "memory"]
    assert len(read) == 9
    assert plan.peak_bytes() <= 5 * guide.frame_bytes
    run = Run(Plan([(guide, [150])]))
    assert [frame.number for frame in run] == [150]
    assert guide.lookback(150) == [[101, 201]] and guide.lookback(101) == [[101]]


def test_every_frame_between_two_keys_has_a_stamp_of_its_own(shot_of: Any) -> None:
    """What remembers frames by their stamps would otherwise show one for the other."""
    guide = keyframed(shot_of([disc(20)[None], disc(40)[None]], "1003,1008"), FrameRange.parse("1001-1010"))
    stamps = [guide.stamp(number) for number in guide.frames]
    assert len(set(stamps)) == 6
    assert stamps[0] == stamps[2] and stamps[7] == stamps[9]  # held frames are the key


def test_the_operation_takes_the_plates_frames(shot_of: Any) -> None:
    plate = shot_of([np.zeros((3, SIDE, SIDE))] * 5)
    guide = keyframed_guide(shot_of([disc(20)[None], disc(40)[None]], "1001,1005"), plate)
    assert guide.frames == plate.frames and guide.kind == "matte"
    assert "2 keyframes: 1001,1005" in guide.said()[0]
