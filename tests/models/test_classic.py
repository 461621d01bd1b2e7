"""Classic solvers: the reference's own system and answer, known pixels exact, any light, quiet, no crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from matte_core.errors import ModelError
from matte_core.models.classic import CLOSED_FORM, KNN, LEARNING_BASED, RANDOM_WALK, ClassicModel

pytest.importorskip("pymatting")

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "alphamatting9"
MODELS = [CLOSED_FORM, KNN, LEARNING_BASED, RANDOM_WALK]
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.card.name)
CPU = torch.device("cpu")


def scene(side: int = 48, gain: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Frame (1, 3, H, W), trimap and true alpha (1, 1, H, W) of a soft disc over another colour, both grained."""
    random = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side + 12), indexing="ij")
    distance = torch.hypot(rows - side / 2, columns - side / 2)
    alpha = ((side / 4 - distance) / 6 + 0.5).clamp(0, 1)
    grain = 0.03 * torch.rand(2, 3, *alpha.shape, generator=random)
    front = torch.tensor([0.7, 0.3, 0.2])[:, None, None] + grain[0]
    back = torch.tensor([0.1, 0.5, 0.7])[:, None, None] + grain[1]
    trimap = torch.full_like(alpha, 0.5)
    trimap[distance < side / 4 - 5], trimap[distance > side / 4 + 5] = 1, 0
    return gain * (front * alpha + back * (1 - alpha))[None], trimap[None, None], alpha[None, None]


def solved(model: ClassicModel, frames: Tensor, trimap: Tensor) -> Tensor:
    layers, _ = model.step(model.load(None, CPU), frames, {"trimap": trimap}, None)
    return layers["alpha"]


@EVERY_MODEL
def test_the_alpha_is_close_to_the_true_one_and_known_pixels_are_exact(model: ClassicModel) -> None:
    frames, trimap, alpha = scene()
    found = solved(model, frames, trimap)
    assert found.shape == (1, 1, 48, 60) and found.dtype == torch.float32
    assert torch.equal(found[trimap != 0.5], trimap[trimap != 0.5])
    assert found.min() >= 0 and found.max() <= 1
    limit = 0.12 if model is RANDOM_WALK else 0.06
    assert float((found - alpha)[trimap == 0.5].abs().mean()) < limit


@EVERY_MODEL
def test_every_frame_and_every_instance_is_solved_by_itself(model: ClassicModel) -> None:
    frames, trimap, _ = scene(36)
    other = torch.flip(trimap, (3,))
    alone = solved(model, frames, trimap)[0, 0]
    flipped = solved(model, torch.flip(frames, (3,)), other)[0, 0]
    both = solved(
        model,
        torch.cat([frames, torch.flip(frames, (3,))]),
        torch.cat([torch.cat([trimap, torch.zeros_like(trimap)], 1), torch.cat([torch.ones_like(trimap), other], 1)]),
    )
    assert torch.equal(both[0, 0], alone) and torch.equal(both[1, 1], flipped)
    assert (both[0, 1] == 0).all() and (both[1, 0] == 1).all()


@EVERY_MODEL
@pytest.mark.parametrize("gain", [0.01, 40.0])
def test_light_of_any_strength_is_solved(model: ClassicModel, gain: float) -> None:
    frames, trimap, _ = scene(36, gain)
    frames[:, :, 3, 5] = -0.1
    found = solved(model, frames, trimap)
    assert torch.isfinite(found).all()
    assert found[trimap == 0.5].std() > 0.1


@pytest.mark.parametrize("light", [40.0, 65504.0])
def test_grey_highlights_beside_black_are_solved_in_closed_form(light: float) -> None:
    frames, trimap, _ = scene()
    frames = frames.mean(1, keepdim=True).repeat(1, 3, 1, 1)
    frames[:, :, ::5, ::3] = light
    found = solved(CLOSED_FORM, frames, trimap)
    assert torch.isfinite(found).all() and torch.equal(found[trimap == 1], torch.ones_like(found[trimap == 1]))


@EVERY_MODEL
def test_a_flat_picture_gives_a_transition_and_no_error(model: ClassicModel) -> None:
    _, trimap, _ = scene(36)
    found = solved(model, torch.full((1, 3, 36, 48), 0.18), trimap)
    assert torch.isfinite(found).all()


@EVERY_MODEL
def test_a_trimap_without_unknown_is_the_answer(model: ClassicModel) -> None:
    frames, trimap, _ = scene(36)
    known = (trimap > 0.5).float()
    assert torch.equal(solved(model, frames, known), known)


@EVERY_MODEL
@pytest.mark.parametrize(("kept", "missing"), [(0.0, "foreground"), (1.0, "background")])
def test_a_trimap_without_foreground_or_background_is_refused(model: ClassicModel, kept: float, missing: str) -> None:
    frames, trimap, _ = scene(36)
    half = torch.where(trimap == kept, kept, 0.5)
    with pytest.raises(ModelError, match=rf"{model.card.name} needs both .* {missing} is missing\. Paint some\."):
        solved(model, frames, half)


def test_a_grey_of_128_is_unknown_and_greys_near_the_ends_are_known() -> None:
    frames, trimap, _ = scene(36)
    photograph = torch.where(trimap == 0.5, 128 / 255, torch.where(trimap == 1, 250 / 255, 4 / 255))
    assert torch.equal(solved(CLOSED_FORM, frames, photograph), solved(CLOSED_FORM, frames, trimap))


@EVERY_MODEL
def test_nothing_is_printed_and_the_inputs_are_not_altered(
    model: ClassicModel, capfd: pytest.CaptureFixture[str]
) -> None:
    frames, trimap, _ = scene(36, 8.0)
    kept = frames.clone(), trimap.clone()
    solved(model, frames, trimap)
    assert torch.equal(frames, kept[0]) and torch.equal(trimap, kept[1])
    assert capfd.readouterr() == ("", "")


def test_the_table_of_models_is_read_without_loading_the_library() -> None:
    code = "import sys, matte_core.models.classic; sys.exit('pymatting' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def uneven_trimap(height: int = 37, width: int = 43) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    random = np.random.default_rng(1)
    blobs = cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), 4)
    trimap = np.where(blobs > 0.05, 1, np.where(blobs < -0.05, 0, 0.5)).astype(np.float32)
    trimap[:6, :9] = 0.5  # unknown up to the picture's corner
    return random.random((height, width, 3)), trimap


@pytest.mark.parametrize("strip", [1, 43 * 7, 10**6])
@pytest.mark.parametrize("library", ["closed form", "learning"])
def test_the_system_in_strips_is_the_reference_s_own(strip: int, library: str) -> None:
    from pymatting import cf_laplacian, lbdm_laplacian

    from matte_core.models.classic.closed_form import closed_form_laplacian
    from matte_core.models.classic.system import assemble

    image, trimap = uneven_trimap()
    unknown = (trimap == 0.5).ravel()
    if library == "closed form":
        whole, ours = cf_laplacian(image, is_known=~unknown), closed_form_laplacian
    else:
        whole, ours = lbdm_laplacian(image), lambda part, _: lbdm_laplacian(np.ascontiguousarray(part))
    system = assemble(ours, image, trimap, strip)
    lower = system.upper - scipy_diagonal(system.upper)
    matrix = (system.upper + lower.T).toarray()
    expected = whole[unknown][:, unknown].toarray()
    right = -(whole[unknown][:, ~unknown] @ (trimap.ravel()[~unknown] == 1))
    assert np.abs(matrix - expected).max() < 1e-12
    assert np.abs(system.right - right).max() < 1e-12
    x = np.random.default_rng(2).random(len(right))
    assert np.allclose(system.times(x), expected @ x, atol=1e-12)


def scipy_diagonal(matrix: Any) -> Any:
    from scipy.sparse import diags

    return diags(matrix.diagonal())


def test_a_system_that_cannot_be_solved_is_said_in_a_sentence() -> None:
    from scipy.sparse import csr_matrix

    from matte_core.models.classic.solver import solve
    from matte_core.models.classic.system import System

    # The lower row asks for 0 = 1.
    broken = System(csr_matrix(np.diag([1.0, 0.0])), np.ones(2))
    with pytest.raises(ModelError, match=r"did not converge on 2 unknown pixels .* Narrow the trimap"):
        solve(broken)


@pytest.mark.skipif(not DATA.is_dir(), reason="the photographs with true alpha are not here")
@pytest.mark.parametrize(("name", "expected"), [("GT05", 1.264), ("GT01", 1.131)])
def test_on_a_photograph_closed_form_has_the_reference_s_error(name: str, expected: float) -> None:
    """Sums of absolute differences / 1000 that pymatting 1.1.16 has on these photographs."""

    def read(folder: str, how: int) -> NDArray[np.uint8]:
        return np.asarray(cv2.imread(str(DATA / folder / f"{name}.png"), how), np.uint8)

    picture, trimap = read("input", cv2.IMREAD_COLOR)[..., ::-1], read("trimap1", cv2.IMREAD_GRAYSCALE)
    truth = read("gt", cv2.IMREAD_GRAYSCALE) / 255
    frames = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    found = solved(CLOSED_FORM, frames, torch.from_numpy(trimap.astype(np.float32) / 255)[None, None])[0, 0].numpy()
    assert np.abs(found - truth)[trimap == 128].sum() / 1000 == pytest.approx(expected, abs=5e-4)
