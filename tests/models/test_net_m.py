"""The small Net-M: its card, its weights, and its answers for pictures of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from matte_core.engine.engine import TYPES
from matte_core.errors import ModelError
from matte_core.models.net_m import FAST, SAFE, SHARP
from matte_core.models.net_m.apply import apply
from matte_core.models.net_m.model import FAST_SIZE, SMALL, NetMModel
from matte_core.models.net_m.net import NetM, Settings
from matte_core.models.weights import PACKAGED, sha256

CPU = torch.device("cpu")
FILE = PACKAGED / SHARP.card.weights.file  # type: ignore[union-attr]
FORMS = pytest.mark.parametrize("model", [SHARP, SAFE, FAST], ids=["sharp", "safe", "fast"])


@pytest.fixture(scope="module")
def trained() -> NetM:
    return SHARP.load(FILE, CPU)


@pytest.fixture(scope="module")
def quick() -> NetM:
    return FAST.load(PACKAGED / FAST.card.weights.file, CPU)  # type: ignore[union-attr]


def disc(height: int, width: int, band: float = 6.0) -> tuple[Tensor, Tensor, Tensor]:
    """Frames (1, 3, H, W), trimaps (1, 1, H, W) and alphas (1, 1, H, W) of a soft disc on an uneven background."""
    rows, columns = torch.meshgrid(torch.arange(height * 1.0), torch.arange(width * 1.0), indexing="ij")
    distance = torch.hypot(rows - height / 2, columns - width / 2)
    radius = min(height, width) / 3
    alpha = ((radius - distance) / 4 + 0.5).clamp(0, 1)
    wave = 0.1 * torch.sin(rows / 5) * torch.cos(columns / 7)
    front = torch.tensor([0.7, 0.4, 0.2])[:, None, None] + wave
    back = torch.tensor([0.1, 0.3, 0.6])[:, None, None] - wave
    trimap = torch.where((distance - radius).abs() < band, 0.5, (distance < radius).float())
    return (front * alpha + back * (1 - alpha))[None], trimap[None, None], alpha[None, None]


def test_the_weights_are_the_ones_the_card_means_and_say_where_they_come_from() -> None:
    card = SHARP.card.weights
    assert card is not None and card == SAFE.card.weights
    assert sha256(FILE) == card.sha256
    assert FILE.stat().st_size < 8_000_000
    assert card.megabytes == pytest.approx(FILE.stat().st_size / 1e6, abs=0.1)
    assert card.licence == "Apache-2.0" and card.commercial
    for fact in ("recipe", "seed", "iterations", "2-core CPU"):
        assert fact in card.origin
    assert all(tensor.dtype in (torch.float16, torch.int64) for tensor in load_file(FILE).values())


def test_the_network_is_of_the_size_that_was_meant() -> None:
    assert 1_200_000 < sum(parameter.numel() for parameter in NetM(SMALL).parameters()) < 2_000_000
    assert 500_000 < sum(parameter.numel() for parameter in NetM(FAST_SIZE).parameters()) < 800_000


def test_the_fast_form_solves_no_equations(quick: NetM, monkeypatch: pytest.MonkeyPatch) -> None:
    def solving(*arguments: object) -> None:
        raise AssertionError("equations were solved")

    monkeypatch.setattr("matte_core.models.net_m.model.prepared", solving)
    frames, trimaps, _ = disc(64, 64)
    assert FAST.step(quick, frames, {"trimap": trimaps}, None)[0]["alpha"].shape == (1, 1, 64, 64)
    with pytest.raises(AssertionError, match="equations were solved"):
        SHARP.step(quick, frames, {"trimap": trimaps}, None)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tensors = load_file(FILE)
    tensors.pop("coarse.enter.0.weight")
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(ModelError):
        SHARP.load(tmp_path / "less.safetensors", CPU)
    with pytest.raises(ModelError, match="needs its weights"):
        SHARP.load(None, CPU)


@FORMS
def test_a_plain_disc_is_matted_well_whatever_its_exposure(model: NetMModel, trained: NetM, quick: NetM) -> None:
    net = quick if model is FAST else trained
    frames, trimaps, alphas = disc(90, 121)
    unknown = trimaps == 0.5
    for exposure in (0.4, 1.0, 3.0):
        layers, state = model.step(net, frames * exposure, {"trimap": trimaps}, None)
        alpha = layers["alpha"]
        assert alpha.shape == alphas.shape and state is None
        assert float((alpha - alphas).abs()[unknown].mean()) < 0.06
        assert torch.equal(alpha[~unknown], trimaps[~unknown])


def test_layers_and_frames_are_answered_one_by_one(trained: NetM) -> None:
    frames, trimaps, _ = disc(64, 64)
    both = torch.cat([trimaps, 1 - trimaps], 1).repeat(2, 1, 1, 1)
    pictures = torch.cat([frames, frames * 0.8])
    together = SHARP.step(trained, pictures, {"trimap": both}, None)[0]["alpha"]
    alone = SHARP.step(trained, pictures[1:], {"trimap": both[1:, :1]}, None)[0]["alpha"]
    assert together.shape == (2, 2, 64, 64)
    assert torch.equal(together[1, 0], alone[0, 0])


@FORMS
def test_a_frame_with_nan_or_one_known_side_gives_a_finite_answer(model: NetMModel, trained: NetM, quick: NetM) -> None:
    net = quick if model is FAST else trained
    frames, trimaps, _ = disc(64, 64)
    frames[0, :, 30:34, 10:14] = float("nan")
    only_background = torch.where(trimaps == 1, 0.5, trimaps)
    for guide in (trimaps, only_background, torch.full_like(trimaps, 0.5)):
        alpha = model.step(net, frames, {"trimap": guide}, None)[0]["alpha"]
        assert bool(torch.isfinite(alpha).all())
        assert float(alpha.min()) >= 0 and float(alpha.max()) <= 1


def test_tiles_give_what_the_whole_picture_gives(trained: NetM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matte_core.models.net_m.apply.TILE", 512)
    frames, trimaps, alphas = disc(320, 704, 12)
    solved = alphas.repeat(1, 2, 1, 1) * 0.8 + 0.1
    with torch.no_grad():
        whole = trained(frames, trimaps, solved, light=torch.ones(1, 1, 1, 1)).alpha[0, 0]
    tiled = apply(trained, frames[0], trimaps[0, 0], solved[0])
    difference = (whole - tiled).abs()[trimaps[0, 0] == 0.5]
    assert float(difference.mean()) < 0.002
    assert float(difference.max()) < 0.05


def test_the_last_layers_answer_the_same_in_boxes_as_over_the_whole_picture(
    quick: NetM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matte_core.models.net_m.apply._BAND", 64)
    frames, trimaps, _ = disc(320, 384)
    trimaps[..., 280:, :30], trimaps[..., :8, 350:] = 0.5, 0.5  # one box at the edge of the picture, one at its corner
    with torch.no_grad():
        whole = quick(frames, trimaps).alpha[0, 0]
    unknown = trimaps[0, 0] == 0.5
    looked_at: list[int] = []
    fine = quick.coarse.fine

    def counting(quarter: Tensor, half: Tensor, features: Tensor) -> Tensor:
        looked_at.append(features.shape[-2] * features.shape[-1])
        return fine(quarter, half, features)

    monkeypatch.setattr(quick.coarse, "fine", counting)
    in_boxes = apply(quick, frames[0], trimaps[0, 0], None)
    assert torch.allclose(in_boxes[unknown], whole[unknown], atol=1e-5)
    assert len(looked_at) > 3 and sum(looked_at) < 0.7 * unknown.numel()


def test_an_untrained_network_answers_nearly_what_the_colour_prior_does() -> None:
    frames, trimaps, alphas = disc(64, 96)
    net = NetM(Settings((4, 4, 4, 4, 4), 4, refinement=0, inputs="solves")).eval()
    solved = torch.cat([1 - alphas, alphas], 1)
    with torch.no_grad():
        answer = net(frames, trimaps, solved)
    assert torch.allclose(answer.shares.sum(1), torch.ones(1, 64, 96))
    assert float((answer.logit.sigmoid() - alphas).abs().mean()) < 0.06
    assert float(answer.shares[:, 0].min()) > 0.5


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_answers_nearly_the_same(trained: NetM, precision: str) -> None:
    assert precision in SHARP.card.precisions
    frames, trimaps, _ = disc(90, 121)
    full = SHARP.step(trained, frames, {"trimap": trimaps}, None)[0]["alpha"]
    with torch.autocast("cpu", TYPES[precision]):
        half = SHARP.step(trained, frames, {"trimap": trimaps}, None)[0]["alpha"]
    assert float((full - half).abs().mean()) < 2e-3
    assert float((full - half).abs().max()) < 0.1


def test_a_network_that_is_told_the_light_answers_by_it_and_must_be_told() -> None:
    frames, trimaps, _ = disc(64, 64)
    torch.manual_seed(0)
    net = NetM(Settings((4, 4, 4, 4, 4), 4, refinement=0, inputs="colours", light=True)).eval()
    torch.nn.init.normal_(net.coarse.out.weight)
    told = [apply(net, frames[0], trimaps[0, 0], None, light) for light in (-1.0, 1.0)]
    assert float((told[0] - told[1]).abs().max()) > 1e-3
    with pytest.raises(ModelError, match="told the light"):
        net(frames, trimaps)
    untold = NetM(Settings((4, 4, 4, 4, 4), 4, refinement=0, inputs="colours")).eval()
    same = [apply(untold, frames[0], trimaps[0, 0], None, light) for light in (-1.0, 1.0)]
    assert torch.equal(same[0], same[1])


def test_an_answer_that_reaches_further_comes_to_0_and_1_and_can_still_learn_there() -> None:
    frames, trimaps, alphas = disc(64, 64)
    solved = alphas.repeat(1, 2, 1, 1)
    plain, far = (
        NetM(Settings((4, 4, 4, 4, 4), 4, refinement=0, inputs="solves", reach=reach)).eval() for reach in (0, 0.05)
    )
    far.load_state_dict(plain.state_dict())
    learning = far(frames, trimaps, solved).alpha
    before, after = plain(frames, trimaps, solved).alpha.detach(), learning.detach()
    assert float(before.min()) > 0 and float(before.max()) < 1
    assert float(after.min()) == 0 and float(after.max()) == 1
    inside = (after > 0) & (after < 1)
    assert torch.allclose(after[inside], (before * 1.1 - 0.05)[inside], atol=1e-6)
    learning[after == 0].sum().backward()
    slope = far.coarse.out.bias.grad if far.coarse.out.bias is not None else None
    assert slope is not None and float(slope.abs().sum()) > 0
