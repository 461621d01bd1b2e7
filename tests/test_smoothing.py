"""Smooth Matte: flicker goes, the matte stays; nothing crosses a cut or a gap, and every frame stands for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from matte_core import clearing, plate_motion, smoothing
from matte_core.errors import FrameError, UsageError
from matte_core.evaluate import metrics
from matte_core.frame import Pixels, Window
from matte_core.matting import view_of
from matte_core.ops import smooth_matte
from matte_core.plan import Plan
from matte_core.pull import Run, frames
from matte_core.shot import Shot
from matte_core.takes import find_cuts

HEIGHT, WIDTH, FRAMES = 72, 96, 8


def texture(seed: int, low: float, high: float) -> Pixels:
    """An uneven picture (H, W, 3), twice as large as the clip."""
    dice = np.random.default_rng(seed).normal(size=(2 * HEIGHT, 2 * WIDTH, 3)).astype(np.float32)
    wide = cv2.GaussianBlur(dice, (0, 0), 2) * 6 + cv2.GaussianBlur(dice, (0, 0), 8) * 20
    return low + (high - low) * (1 / (1 + np.exp(-wide)))


def strands() -> Pixels:
    """A body's alpha (H, W): a soft disc and thin hairs around it, twice as large as the clip."""
    rows, columns = np.mgrid[: 2 * HEIGHT, : 2 * WIDTH].astype(np.float32)
    y, x = rows - HEIGHT, columns - WIDTH
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    body = np.clip((16 - radius) / 3 + 0.5, 0, 1)
    hair = np.clip(np.cos(angle * 24) * 2 - 1.0, 0, 1) * np.clip((26 - radius) / 6, 0, 1) * 0.8
    return np.asarray(np.maximum(body, np.where(radius > 12, hair, 0)), np.float32)


def shifted(picture: Pixels, x: float, y: float) -> Pixels:
    """The middle of the picture, moved by x and y pixels."""
    matrix = np.float32([[1, 0, x - WIDTH / 2], [0, 1, y - HEIGHT / 2]])
    return np.asarray(cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC).clip(0, 1), np.float32)


def clip(count: int = FRAMES, speed: float = 1.0, seed: int = 0) -> tuple[list[Pixels], list[Pixels]]:
    """Plates (3, H, W), composited in linear light, and true alphas (1, H, W) of a body that moves over a pan."""
    front, back, alpha = texture(seed, 0.25, 0.6), texture(seed + 1, 0.02, 0.2), strands()
    plates, truths = [], []
    for place in range(count):
        way = (place - count / 2) * speed
        matte = shifted(alpha, 2.3 * way, 0.9 * way)[..., None]
        colour = matte * shifted(front, 2.3 * way, 0.9 * way) + (1 - matte) * shifted(back, -0.8 * way, 0)
        plates.append(np.moveaxis(colour, -1, 0))
        truths.append(np.moveaxis(np.where(matte > 0.999, np.float32(1), matte), -1, 0))
    return plates, truths


def flickering(truths: Sequence[Pixels], noise: float = 0.06, boil: float = 0.15, seed: int = 7) -> list[Pixels]:
    """Alphas whose soft parts are wrong in every frame anew: by noise, and by patches that come and go."""
    dice = np.random.default_rng(seed)
    made = []
    for truth in truths:
        patches = cv2.GaussianBlur(dice.normal(size=truth.shape[1:]).astype(np.float32), (0, 0), 4)
        wrong = noise * dice.normal(size=truth.shape) + boil * patches / patches.std()
        made.append(np.where((truth > 0.01) & (truth < 0.99), np.clip(truth + wrong, 0, 1), truth).astype(np.float32))
    return made


def pixels(shot: Shot) -> list[Pixels]:
    return [frame.pixels for frame in frames(shot)]


def measured(mattes: Sequence[Pixels], truths: Sequence[Pixels]) -> tuple[float, float]:
    """Mean SAD and mean dtSSD over the whole picture."""
    everywhere = np.ones(truths[0].shape[1:], np.bool_)
    sad = [metrics.sad(m[0], t[0], everywhere) for m, t in zip(mattes, truths, strict=True)]
    pairs = zip(mattes, mattes[1:], truths, truths[1:], strict=False)
    moving = [metrics.dt_ssd(a[0], b[0], c[0], d[0], everywhere) for a, b, c, d in pairs]
    return float(np.mean(sad)), float(np.mean(moving))


def test_flicker_falls_and_the_error_with_it_over_a_body_that_moves(shot_of: Any) -> None:
    plates, truths = clip()
    wrong = flickering(truths)
    before, after = measured(wrong, truths), measured(pixels(smooth_matte(shot_of(plates), shot_of(wrong))), truths)
    assert after[1] < 0.6 * before[1]  # measured: 0.55
    assert after[0] < 0.8 * before[0]  # measured: 0.72


def test_motion_measured_on_a_smaller_picture_does_nearly_as_well(
    shot_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (plate_motion, clearing, smoothing):
        monkeypatch.setattr(module, "MOST", WIDTH // 2)
    plates, truths = clip()
    wrong = flickering(truths)
    before, after = measured(wrong, truths), measured(pixels(smooth_matte(shot_of(plates), shot_of(wrong))), truths)
    assert after[1] < 0.7 * before[1] and after[0] < 0.9 * before[0]


@pytest.mark.parametrize(("speed", "most", "kept"), [(0.5, 0.02, 0.97), (1.0, 0.03, 0.97), (3.0, 0.05, 0.9)])
def test_a_perfect_matte_of_thin_hair_is_hardly_touched(shot_of: Any, speed: float, most: float, kept: float) -> None:
    plates, truths = clip(speed=speed)
    made = pixels(smooth_matte(shot_of(plates), shot_of(truths)))
    sad, _ = measured(made, truths)
    soft = float(np.mean([((truth > 0) & (truth < 1)).sum() for truth in truths])) / 1000
    assert sad / soft < most
    hair = (truths[3] > 0.4) & (truths[3] < 0.9)
    assert made[3][hair].sum() > kept * truths[3][hair].sum()


def test_what_stands_still_stays_with_its_errors_bit_for_bit(shot_of: Any) -> None:
    plates, truths = clip(1)
    still = flickering(truths)[0]
    made = pixels(smooth_matte(shot_of(plates * 5), shot_of([still] * 5)))
    assert all(np.array_equal(each, still) for each in made)


def test_where_all_frames_agree_on_solid_or_empty_nothing_is_touched(shot_of: Any) -> None:
    plates, truths = clip()
    made = pixels(smooth_matte(shot_of(plates), shot_of(flickering(truths)), reach=1))
    for place in range(1, FRAMES - 1):
        around = np.stack(truths[place - 1 : place + 2])
        for value in (0, 1):
            sure = (around == value).all(axis=0)
            assert sure.sum() > 100 and (made[place][sure] == value).all()


def test_strength_0_or_reach_0_is_the_matte_itself_and_half_strength_lies_between(shot_of: Any) -> None:
    plates, truths = clip(4)
    plate, matte = shot_of(plates), shot_of(flickering(truths))
    assert smooth_matte(plate, matte, strength=0) is matte
    assert smooth_matte(plate, matte, reach=0) is matte
    full, half = (pixels(smooth_matte(plate, matte, strength=strength)) for strength in (1.0, 0.5))
    for own, one, other in zip(pixels(matte), half, full, strict=True):
        assert np.allclose(one, (own + other) / 2, atol=1e-6)


def two_takes() -> tuple[list[Pixels], list[Pixels]]:
    """Four frames each of two takes, the second of another body that stands elsewhere."""
    (plates, mattes), (others, more) = clip(4), clip(4, seed=5)
    there = ((1, 2), (-30, 40))
    return plates + [np.roll(e, there[1], there[0]) for e in others], mattes + [
        np.roll(e, there[1], there[0]) for e in more
    ]


def test_nothing_crosses_a_cut_and_the_frame_after_it_says_so(shot_of: Any) -> None:
    plates, mattes = two_takes()
    wrong = flickering(mattes)
    view = view_of(shot_of(plates))

    def smoothed(take: slice) -> Shot:
        return smoothing.smooth_matte(shot_of(plates[take]), shot_of(wrong[take]), view, reach=3)

    made = list(frames(smoothed(slice(0, 8))))
    apart = [*pixels(smoothed(slice(0, 4))), *pixels(smoothed(slice(4, 8)))]
    for one, other in zip(made, apart, strict=True):
        assert np.array_equal(one.pixels, other)
    assert [frame.number for frame in made if frame.header.attribute(smoothing.CUT)] == [1005]


def test_cuts_that_are_named_are_kept_and_others_are_not_looked_for(shot_of: Any) -> None:
    plates, truths = clip(6)
    plate, matte = shot_of(plates), shot_of(flickering(truths))
    made = list(frames(smooth_matte(plate, matte, cuts="1003")))
    assert [frame.number for frame in made if frame.header.attribute(smoothing.CUT)] == [1003]
    first = pixels(smooth_matte(shot_of(plates[:2]), shot_of(pixels(matte)[:2])))
    assert np.array_equal(made[0].pixels, first[0]) and np.array_equal(made[1].pixels, first[1])
    with pytest.raises(UsageError, match=r"the cut at frame 1042 is not in the shot \(1001-1006\)"):
        smooth_matte(plate, matte, cuts="1042")


def test_cuts_are_found_in_a_plate(shot_of: Any) -> None:
    plate = shot_of(two_takes()[0])
    found = list(find_cuts(plate, view_of(plate)))
    assert [number for number, cut in found if cut] == [1005] and len(found) == 7


def test_nothing_crosses_missing_frames_but_a_shot_on_twos_is_whole(shot_of: Any) -> None:
    plates, truths = clip(6)
    wrong = flickering(truths)
    gap = pixels(smooth_matte(shot_of(plates, "1-3,8-10"), shot_of(wrong, "1-3,8-10")))
    apart = pixels(smooth_matte(shot_of(plates[:3]), shot_of(wrong[:3])))
    assert all(np.array_equal(one, other) for one, other in zip(gap[:3], apart, strict=True))
    whole = pixels(smooth_matte(shot_of(plates), shot_of(wrong)))
    twos = pixels(smooth_matte(shot_of(plates, "1-11x2"), shot_of(wrong, "1-11x2")))
    assert all(np.array_equal(one, other) for one, other in zip(twos, whole, strict=True))


def test_a_held_frame_does_no_harm(shot_of: Any) -> None:
    plates, truths = clip()
    wrong = flickering(truths)
    for series in (plates, wrong, truths):
        series[4] = series[3]
    made = pixels(smooth_matte(shot_of(plates), shot_of(wrong)))
    before, after = measured(wrong, truths), measured(made, truths)
    assert after[0] < 0.85 * before[0] and after[1] < 0.7 * before[1]


def test_a_shot_of_one_frame_and_one_smaller_than_a_patch_stay_as_they_are(shot_of: Any) -> None:
    plates, truths = clip(1)
    wrong = flickering(truths)
    assert np.array_equal(pixels(smooth_matte(shot_of(plates), shot_of(wrong)))[0], wrong[0])
    small = [plate[:, :9, :7] for plate in plates * 3], [matte[:, 30:39, 30:37] for matte in wrong * 3]
    assert np.array_equal(pixels(smooth_matte(*map(shot_of, small)))[1], small[1][0])


def test_the_same_frames_however_the_shot_is_cut_into_pieces(shot_of: Any) -> None:
    plates, truths = clip()
    plate, matte = shot_of(plates), shot_of(flickering(truths))
    shot = smooth_matte(plate, matte)
    whole = {frame.number: frame.pixels for frame in Run(Plan([(shot, shot.frames)]))}
    for piece in ([1001], [1003, 1004], [1008], [1002, 1007]):
        for frame in frames(shot, piece):
            assert np.array_equal(frame.pixels, whole[frame.number])
    again = Shot.rebuild({"shots": shot.describe()["shots"]})
    assert again.settings() == shot.settings()


def test_a_flow_is_found_once_for_each_pair_of_frames(shot_of: Any) -> None:
    plates, truths = clip()
    shot = smooth_matte(shot_of(plates), shot_of(truths), reach=3)
    done: list[tuple[str, int, int]] = []
    plan = Plan([(shot, shot.frames)])
    for _ in Run(plan, watch=lambda made, numbers, seconds: done.extend((made.verb, id(made), n) for n in numbers)):
        pass
    assert len(done) == len(set(done))
    assert sum(verb == "optical flow" for verb, *_ in done) == 2 * (FRAMES - 1)  # the plate's, and with the matte
    assert sum(verb == "encoded" for verb, *_ in done) == FRAMES


def test_layers_keep_their_names_and_never_add_up_to_more_than_they_did(shot_of: Any) -> None:
    plates, truths = clip()
    wrong = flickering(truths)
    both = [np.concatenate([alpha * 0.7, 1 - alpha * 0.7, alpha * 0, alpha * 0, alpha * 0]) for alpha in wrong]
    matte = shot_of(both)
    made = smooth_matte(shot_of(plates), matte)
    assert made.channels == matte.channels
    for frame in frames(made):
        assert frame.pixels.shape == (5, HEIGHT, WIDTH)
        assert frame.pixels.min() >= 0 and frame.pixels.sum(axis=0).max() <= 1 + 1e-5


def test_a_matte_with_another_data_window_is_placed_and_one_of_another_size_is_refused(shot_of: Any) -> None:
    plates, truths = clip(3)
    plate = shot_of(plates, window=Window(-4, -2, WIDTH, HEIGHT))
    placed = smooth_matte(plate, shot_of(truths))
    assert placed.header.data == plate.header.data and pixels(placed)[0].shape == (1, HEIGHT, WIDTH)
    with pytest.raises(UsageError, match="the matte is 40x30 and the plate is 96x72"):
        smooth_matte(plate, shot_of([truth[:, :30, :40] for truth in truths]))
    with pytest.raises(UsageError, match="the matte has frames 1-3, the plate 1001-1003"):
        smooth_matte(plate, shot_of(truths, "1-3"))
    mixed = shot_of([truths[0], truths[1][:, :50], truths[2]])
    with pytest.raises(FrameError, match=r"frame 1002 of the matte is 96x50, frame 1001 96x72"):
        pixels(smooth_matte(shot_of(plates), mixed, reach=1))


def test_frames_without_a_plate_are_left_out_and_said(shot_of: Any) -> None:
    plates, truths = clip(4)
    made = smooth_matte(shot_of(plates[:3]), shot_of(truths))
    assert list(made.frames) == [1001, 1002, 1003]
    assert "no frames 1004" in " ".join(made.said())
