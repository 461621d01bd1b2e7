"""The measures: values one can work out by hand, their units, and the faults of public code that these do not have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from matte_core.errors import UsageError
from matte_core.evaluate import metrics
from matte_core.evaluate.report import UNITS, Report, Sample, evaluate

Picture = NDArray[np.float64]
EVERYWHERE = np.ones((60, 80), np.bool_)
DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "alphamatting9"


def flat(value: float) -> Picture:
    return np.full((60, 80), value, np.float64)


def noise(seed: int) -> Picture:
    return np.random.default_rng(seed).random((60, 80))


def soft_disc(radius: float = 15.0, x: float = 40.0) -> Picture:
    rows, columns = np.mgrid[:60, :80]
    return np.clip((radius - np.hypot(rows - 30, columns - x)) / 6 + 0.5, 0, 1)


def test_sums_are_in_thousands_and_means_times_a_thousand() -> None:
    prediction, truth = flat(0.75), flat(0.25)
    assert metrics.sad(prediction, truth, EVERYWHERE) == pytest.approx(4800 * 0.5 / 1000)
    assert metrics.mad(prediction, truth, EVERYWHERE) == pytest.approx(500)
    assert metrics.mse(prediction, truth, EVERYWHERE) == pytest.approx(250)
    assert metrics.ssda(prediction, truth, EVERYWHERE) == pytest.approx(math.sqrt(4800 * 0.25))


def test_only_unknown_pixels_count() -> None:
    unknown = np.zeros((60, 80), np.bool_)
    unknown[10:20, 10:20] = True
    prediction = flat(1.0)
    prediction[unknown] = 0.5
    assert metrics.sad(prediction, flat(0), unknown) == pytest.approx(100 * 0.5 / 1000)
    assert metrics.mse(prediction, flat(0), unknown) == pytest.approx(250)


def test_a_perfect_matte_measures_0_everywhere() -> None:
    alpha = soft_disc()
    for measure in (metrics.sad, metrics.mse, metrics.mad, metrics.gradient, metrics.connectivity, metrics.ssda):
        assert measure(alpha, alpha, EVERYWHERE) == 0


def test_the_gradient_of_a_ramp_is_its_slope_times_the_kernel_s_moment() -> None:
    slope = 0.01
    ramp = np.tile(np.arange(80) * slope, (60, 1))
    x = np.arange(-4.0, 5.0)
    bell = np.exp(-(x * x) / (2 * 1.4**2))
    kernel = np.outer(bell, -x * bell)
    kernel /= np.linalg.norm(kernel)
    expected = (slope * np.abs((kernel * x).sum())) ** 2
    inside = np.zeros_like(EVERYWHERE)
    inside[10:20, 20:30] = True
    assert metrics.gradient(ramp, flat(0), inside) == pytest.approx(100 * expected / 1000, rel=1e-9)


def test_the_gradient_does_not_see_an_edge_at_the_picture_s_border() -> None:
    assert metrics.gradient(flat(1), flat(0), EVERYWHERE) == pytest.approx(0, abs=1e-20)


def test_a_piece_cut_off_from_the_rest_costs_connectivity() -> None:
    truth = flat(0)
    truth[20:40, 10:70] = 1
    prediction = truth.copy()
    prediction[20:40, 50:52] = 0
    # The 2 columns lose all alpha and the 18 beyond them their connection, in both: only the 2 columns differ.
    assert metrics.connectivity(prediction, truth, EVERYWHERE) == pytest.approx(20 * 2 / 1000)


def test_a_drop_of_alpha_up_to_the_tolerance_costs_no_connectivity() -> None:
    truth = flat(1)
    prediction = flat(1)
    prediction[:5] = 0.9
    assert metrics.connectivity(prediction, truth, EVERYWHERE) == 0
    prediction[:5] = 0.5
    assert metrics.connectivity(prediction, truth, EVERYWHERE) == pytest.approx(400 * 0.5 / 1000)


def test_the_background_is_never_the_connected_part() -> None:
    truth, prediction = flat(0), flat(0)
    truth[30, 40] = 1
    # Nothing is connected at any level: all that rises above 0 is far from it, by its own alpha.
    prediction[10, 10] = 0.6
    assert metrics.connectivity(prediction, truth, EVERYWHERE) == pytest.approx((1 + 0.6) / 1000)


def test_an_error_that_stands_still_costs_nothing_over_time() -> None:
    truth = soft_disc()
    wrong = np.clip(truth + 0.3 * noise(1), 0, 1)
    still = np.zeros((60, 80, 2))
    assert metrics.dt_ssd(wrong, wrong, truth, truth, EVERYWHERE) == 0
    assert metrics.mess_ddt(wrong, wrong, truth, truth, EVERYWHERE, still) == 0


def test_a_flicker_of_a_tenth_costs_a_tenth_per_pixel() -> None:
    assert metrics.dt_ssd(flat(0.5), flat(0.6), flat(0.5), flat(0.5), EVERYWHERE) == pytest.approx(
        0.1 * math.sqrt(4800)
    )
    error = metrics.mess_ddt(flat(0.5), flat(0.6), flat(0.5), flat(0.5), EVERYWHERE, np.zeros((60, 80, 2)))
    assert error == pytest.approx(10)


@pytest.mark.parametrize(("x", "y"), [(3, 0), (0, 2), (-4, 1), (2, -3)])
def test_an_error_that_moves_with_the_subject_costs_nothing_along_the_motion(x: int, y: int) -> None:
    truth, wrong = soft_disc(), np.clip(soft_disc() + 0.3 * noise(2) * (soft_disc() > 0), 0, 1)
    flow = np.zeros((60, 80, 2))
    flow[..., 0], flow[..., 1] = x, y
    moved = [np.roll(alpha, (y, x), (0, 1)) for alpha in (wrong, truth)]
    along = metrics.mess_ddt(wrong, moved[0], truth, moved[1], EVERYWHERE, flow)
    swapped = metrics.mess_ddt(wrong, moved[0], truth, moved[1], EVERYWHERE, flow[..., ::-1])
    assert along == pytest.approx(0, abs=1e-12)
    assert swapped > 1


def test_motion_by_half_a_pixel_is_interpolated() -> None:
    after = np.tile(np.arange(80) / 100, (60, 1))
    flow = np.zeros((60, 80, 2))
    flow[..., 0] = 0.5
    before = np.sqrt((after**2 + np.roll(after, -1, 1) ** 2) / 2)
    assert metrics.mess_ddt(before, after, flat(0), flat(0), EVERYWHERE, flow) == pytest.approx(0, abs=1e-12)


def test_pixels_that_leave_the_picture_do_not_count() -> None:
    flow = np.zeros((60, 80, 2))
    flow[..., 1] = 100
    assert math.isnan(metrics.mess_ddt(noise(1), noise(2), flat(0), flat(0), EVERYWHERE, flow))


def a_sequence(frames: int) -> Iterator[Sample]:
    for number in range(frames):
        yield Sample(str(1001 + number), soft_disc(x=40 + number), soft_disc(), EVERYWHERE, np.zeros((60, 80, 2)))


def test_a_report_holds_every_frame_and_their_mean() -> None:
    report = evaluate(a_sequence(3))
    assert list(report.frames) == ["1001", "1002", "1003"]
    assert report.frames["1001"]["SAD"] == 0 < report.frames["1002"]["SAD"] < report.frames["1003"]["SAD"]
    assert report.mean["SAD"] == pytest.approx(sum(frame["SAD"] for frame in report.frames.values()) / 3)
    assert set(report.mean) == {"SAD", "MSE", "MAD", "Grad", "Conn"} < set(UNITS)


def test_measures_over_time_begin_with_the_second_frame() -> None:
    report = evaluate(a_sequence(3), sequence=True)
    assert "dtSSD" not in report.frames["1001"] and "SSDA" in report.frames["1001"]
    expected = metrics.dt_ssd(soft_disc(x=40), soft_disc(x=41), soft_disc(), soft_disc(), EVERYWHERE)
    assert report.frames["1002"]["dtSSD"] == expected > 0
    assert set(report.mean) == set(UNITS)


def test_nothing_is_measured_across_the_start_of_a_sequence() -> None:
    first, second = a_sequence(2)
    report = evaluate([first, Sample("next", second.prediction, second.truth, starts=True)], sequence=True)
    assert "dtSSD" not in report.mean


def test_a_frame_without_unknown_pixels_does_not_flatter_the_mean() -> None:
    nowhere = np.zeros_like(EVERYWHERE)
    report = evaluate([Sample("a", flat(0.5), flat(0), EVERYWHERE), Sample("b", flat(0.5), flat(0), nowhere)])
    assert report.mean["MSE"] == pytest.approx(250)
    assert "MSE" not in report.frames["b"]


def test_only_two_frames_are_held_at_a_time() -> None:
    alive: list[int] = []

    class Counted(np.ndarray):  # type: ignore[type-arg]
        def __del__(self) -> None:
            if self.base is None:
                alive.pop()

    def samples() -> Iterator[Sample]:
        for number in range(6):
            prediction = np.ndarray.__new__(Counted, (60, 80))
            prediction[:] = number / 10
            alive.append(number)
            assert len(alive) <= 3
            yield Sample(str(number), prediction, flat(0))
            del prediction

    evaluate(samples(), sequence=True)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (Sample("1042", flat(0)[:50], flat(0)), "the matte of 1042 is 80x50, its truth 80x60"),
        (Sample("1042", flat(0), flat(0), EVERYWHERE[:, :70]), "the trimap of 1042 is 70x60"),
        (Sample("1042", flat(math.nan), flat(0)), "1042 holds values that are not numbers"),
    ],
)
def test_what_cannot_be_measured_is_named(sample: Sample, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate([sample])


def test_two_frames_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="comes twice"):
        evaluate([Sample("a", flat(0), flat(0)), Sample("a", flat(0), flat(0))])


@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs with true alpha are not here")
def test_shifting_a_true_matte_by_a_pixel_measures_more_the_further_it_is_shifted() -> None:
    truth = cv2.imread(str(DATA / "gt" / "GT01.png"), cv2.IMREAD_GRAYSCALE) / 255
    unknown = cv2.imread(str(DATA / "trimap1" / "GT01.png"), cv2.IMREAD_GRAYSCALE) == 128
    reports: list[Report] = []
    for shift in (1, 2, 4):
        reports.append(evaluate([Sample("GT01", np.roll(truth, shift, 1), truth, unknown)]))
    for name in ("SAD", "MSE", "MAD", "Grad", "Conn"):
        values = [report.mean[name] for report in reports]
        assert values == sorted(values) and values[0] > 0, name
