"""The subject's own colour: the plate where alpha is 1, linear in the light, unclipped, closer than the reference."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from matte_core.errors import UsageError
from matte_core.foreground import estimate_foreground, foreground_and_background
from matte_core.frame import FrameRange, Header, Window
from matte_core.memory import hold
from matte_core.pull import frames
from matte_core.shot import Shot

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "alphamatting9"


def scene(gain: float = 1.0, height: int = 60, width: int = 84) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Plate, alpha, true foreground, true background: a soft disc of uneven colour over an uneven ground."""
    random = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distance = torch.hypot(rows - height / 2, columns - width / 2)
    alpha = ((22 - distance) / 14 + 0.5).clamp(0, 1)[None]
    front = torch.tensor([0.8, 0.3, 0.1])[:, None, None] * (0.5 + rows / height)
    back = torch.tensor([0.1, 0.4, 0.9])[:, None, None] * (0.5 + columns / width)
    front = gain * (front + 0.01 * torch.rand(front.shape, generator=random))
    back = gain * back
    return alpha * front + (1 - alpha) * back, alpha, front, back


def error(found: Tensor, true: Tensor, weight: Tensor) -> float:
    return float(((found - true).abs() * weight).sum() / weight.sum() / 3)


def test_the_foreground_is_the_plate_bit_for_bit_where_alpha_is_1_and_the_background_where_it_is_0() -> None:
    plate, alpha, _, _ = scene()
    plate[:, 30, 42] = torch.tensor([-0.1, 40.0, 65504.0])
    plate[:, 0, 0] = torch.tensor([-0.1, 40.0, 1e-30])
    front, back = foreground_and_background(plate, alpha)
    assert torch.equal(front[:, alpha[0] == 1], plate[:, alpha[0] == 1])
    assert torch.equal(back[:, alpha[0] == 0], plate[:, alpha[0] == 0])


def test_the_colours_come_close_to_the_true_ones() -> None:
    plate, alpha, true_front, true_back = scene()
    front, back = foreground_and_background(plate, alpha)
    soft = ((alpha > 0) & (alpha < 1)).float()
    unmixed = error(plate, true_front, soft * alpha)
    assert error(front, true_front, soft * alpha) < 0.15 * unmixed
    assert error(back, true_back, soft * (1 - alpha)) < 0.15 * error(plate, true_back, soft * (1 - alpha))


def test_both_colours_rebuild_the_plate() -> None:
    plate, alpha, _, _ = scene()
    front, back = foreground_and_background(plate, alpha)
    assert float((alpha * front + (1 - alpha) * back - plate).abs().mean()) < 1e-3


@pytest.mark.parametrize("gain", [2.0**-10, 2.0**12])
def test_a_stop_of_light_is_a_stop_of_foreground_bit_for_bit(gain: float) -> None:
    plate, alpha, _, _ = scene()
    for one, other in zip(
        foreground_and_background(plate, alpha), foreground_and_background(plate * gain, alpha), strict=True
    ):
        assert torch.equal(one * gain, other)


def test_highlights_far_above_1_stay_highlights() -> None:
    plate, alpha, true_front, _ = scene(gain=40)
    front, _ = foreground_and_background(plate, alpha)
    assert front.max() > 40
    assert error(front, true_front, alpha) < 0.01 * 40


def test_no_light_darker_than_the_plate_s_darkest_is_made_up_where_alpha_is_wrong() -> None:
    plate, alpha, _, _ = scene()
    front, back = foreground_and_background(plate, torch.flip(alpha, (2,)).roll(20, 2))
    assert front.min() >= 0 and back.min() >= 0
    dark = plate - 0.2
    assert foreground_and_background(dark, alpha)[0].min() >= dark.min()


def test_colour_goes_on_smoothly_beyond_the_matte_so_that_an_edge_can_be_grown() -> None:
    plate, alpha, true_front, _ = scene()
    front, _ = foreground_and_background(plate, alpha)
    beyond = (cv2.dilate((alpha[0] > 0).numpy().astype(np.uint8), np.ones((9, 9))) > 0) & (alpha[0] == 0).numpy()
    assert float((front - true_front)[:, beyond].abs().mean()) < 0.1
    assert float((plate - true_front)[:, beyond].abs().mean()) > 0.3


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_empty_or_full_matte_gives_finite_colours(value: float) -> None:
    plate, alpha, _, _ = scene()
    front, back = foreground_and_background(plate, torch.full_like(alpha, value))
    assert torch.isfinite(front).all() and torch.isfinite(back).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 50)])
def test_pictures_of_any_size_are_taken(shape: tuple[int, int]) -> None:
    plate, alpha = torch.rand(3, *shape), torch.rand(1, *shape)
    front, back = foreground_and_background(plate, alpha)
    assert front.shape == back.shape == plate.shape
    assert torch.isfinite(front).all()


def test_a_broken_pixel_stays_alone() -> None:
    plate, alpha, _, _ = scene()
    whole, _ = foreground_and_background(plate, alpha)
    broken = plate.clone()
    soft = torch.nonzero((alpha[0] > 0.4) & (alpha[0] < 0.6))[7]
    broken[:, soft[0], soft[1]] = float("nan")
    front, back = foreground_and_background(broken, alpha)
    assert torch.isfinite(front).all() and torch.isfinite(back).all()
    assert float((front - whole).abs().max()) < 0.3


def test_the_inputs_are_not_altered() -> None:
    plate, alpha, _, _ = scene()
    kept = plate.clone(), alpha.clone()
    foreground_and_background(plate, alpha)
    assert torch.equal(plate, kept[0]) and torch.equal(alpha, kept[1])


def a_shot(pixels: Tensor, numbers: str = "1001-1003") -> Shot:
    window = Window(-4, 6, pixels.shape[2], pixels.shape[1])
    names = ("R", "G", "B") if len(pixels) == 3 else [f"layer{index}" for index in range(len(pixels))]
    kind = "plate" if len(pixels) == 3 else "matte"
    kept, picture = FrameRange.parse(numbers), pixels.numpy()
    return hold(lambda place: picture, len(kept), kept, kind=kind, header=Header(window, window), channels=names)


def test_a_shot_of_plates_becomes_a_shot_of_foregrounds_under_the_plates_header() -> None:
    plate, alpha, _, _ = scene()
    expected = foreground_and_background(plate, alpha)[0].numpy()
    shot = estimate_foreground(a_shot(plate), a_shot(torch.cat([alpha * 0.5, alpha * 0.5]), "1002-1009"))
    made = list(frames(shot))
    assert [frame.number for frame in made] == [1002, 1003]
    assert made[0].header.data == Window(-4, 6, 84, 60)
    assert np.allclose(made[0].pixels, expected, atol=1e-5)


def test_shots_without_a_common_frame_are_refused() -> None:
    plate, alpha, _, _ = scene()
    with pytest.raises(UsageError, match="none in common"):
        estimate_foreground(a_shot(plate, "1-5"), a_shot(alpha, "6-9"))


@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs with true alpha are not here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_on_a_photographed_matte_the_error_is_below_the_reference_library_s() -> None:
    reference = pytest.importorskip("pymatting")

    def photograph(name: str) -> np.ndarray:
        picture = cv2.imread(str(DATA / "input" / f"{name}.png"))[..., ::-1] / 255
        return cv2.resize(picture**2.2, (400, 280))

    alpha = cv2.resize(cv2.imread(str(DATA / "gt" / "GT04.png"), cv2.IMREAD_GRAYSCALE) / 255, (400, 280))
    front, back = cv2.GaussianBlur(photograph("GT07"), (0, 0), 2), photograph("GT02")
    plate = alpha[..., None] * front + (1 - alpha[..., None]) * back
    theirs = reference.estimate_foreground_ml(plate, alpha)
    tensor = torch.from_numpy(plate.astype(np.float32)).permute(2, 0, 1)
    ours = (
        foreground_and_background(tensor, torch.from_numpy(alpha.astype(np.float32))[None])[0].permute(1, 2, 0).numpy()
    )
    soft = (alpha > 0) & (alpha < 1)
    wrong = [(np.abs(found - front) * alpha[..., None])[soft].mean() for found in (ours, theirs)]
    assert wrong[0] < 0.9 * wrong[1]
