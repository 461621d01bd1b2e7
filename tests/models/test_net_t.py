"""The small Net-T: its card, its weights, and its answers for pictures of any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from matte_core.engine.engine import Engine
from matte_core.errors import ModelError
from matte_core.models.net_t import NET_T_SMALL
from matte_core.models.net_t.model import SMALL
from matte_core.models.net_t.net import PAPER, NetT, colour_hints
from matte_core.models.weights import PACKAGED, find, sha256

CPU = torch.device("cpu")
WEIGHTS = NET_T_SMALL.card.weights
assert WEIGHTS is not None
FILE = PACKAGED / WEIGHTS.file


@pytest.fixture(scope="module")
def trained() -> NetT:
    return NET_T_SMALL.load(FILE, CPU)


def disc(height: int, width: int, radius: float, soft: float = 3.0) -> Tensor:
    """(1, 1, H, W) of a soft disc in the middle."""
    rows, columns = torch.meshgrid(torch.arange(height * 1.0), torch.arange(width * 1.0), indexing="ij")
    distance = torch.hypot(rows - height / 2, columns - width / 2)
    return ((radius - distance) / soft + 0.5).clamp(0, 1)[None, None]


def picture(alpha: Tensor) -> Tensor:
    """(1, 3, H, W) of a warm subject before a cool background, display-referred."""
    front, back = torch.tensor([0.8, 0.5, 0.3])[:, None, None], torch.tensor([0.2, 0.35, 0.6])[:, None, None]
    return front * alpha + back * (1 - alpha)


def test_the_weights_are_the_ones_the_card_means_and_say_where_they_come_from() -> None:
    assert WEIGHTS is not None
    assert sha256(FILE) == WEIGHTS.sha256
    assert FILE.stat().st_size < 8_000_000
    assert WEIGHTS.megabytes == pytest.approx(FILE.stat().st_size / 1e6, abs=0.1)
    assert WEIGHTS.licence == "Apache-2.0" and WEIGHTS.commercial
    for fact in ("recipe", "seed", "iterations", "data", "machine"):
        assert fact in WEIGHTS.origin
    assert all(tensor.dtype in (torch.float16, torch.int64) for tensor in load_file(FILE).values())


def test_small_and_paper_s_size_are_settings_of_one_class() -> None:
    small, paper = (sum(p.numel() for p in NetT(settings).parameters()) for settings in (SMALL, PAPER))
    assert paper == 40_491_235
    assert 500_000 < small < 2_000_000


def test_gradients_reach_every_parameter() -> None:
    net = NetT(SMALL)
    net(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)).square().mean().backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tensors = load_file(FILE)
    tensors.pop("out.weight")
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(ModelError):
        NET_T_SMALL.load(tmp_path / "less.safetensors", CPU)
    with pytest.raises(ModelError, match="needs its weights"):
        NET_T_SMALL.load(None, CPU)


@pytest.mark.parametrize(("height", "width"), [(150, 211), (300, 500), (700, 1300)])
def test_a_disc_is_found_from_a_mask_too_small_at_any_size(height: int, width: int) -> None:
    radius = height / 3
    alpha, mask = disc(height, width, radius), disc(height, width, radius * 0.7)
    layers, _ = Engine(CPU, find).step(NET_T_SMALL, picture(alpha), {"mask": mask})
    regions = layers["regions"]
    assert regions.shape == (1, 3, height, width)
    assert torch.allclose(regions.sum(1), torch.ones(1, height, width), atol=1e-4)
    found = regions.argmax(1)[0]
    edge = (alpha[0, 0] > 0) & (alpha[0, 0] < 1)
    assert float((found[edge] == 1).float().mean()) > 0.9
    inside, outside = disc(height, width, radius * 0.6)[0, 0] == 1, disc(height, width, radius * 1.45)[0, 0] == 0
    assert float((found[inside] == 2).float().mean()) > 0.95
    assert float((found[outside] == 0).float().mean()) > 0.95


def test_caution_calls_more_unknown_and_nothing_known_that_was_not(trained: NetT) -> None:
    alpha, mask = disc(160, 160, 50), disc(160, 160, 35)
    bold, careful = (
        replace(NET_T_SMALL, caution=caution).step(trained, picture(alpha), {"mask": mask}, None)[0]["regions"][0]
        for caution in (0.0, NET_T_SMALL.caution)
    )
    assert torch.allclose(careful.sum(0), torch.ones(160, 160), atol=1e-5)
    unknown = [regions.argmax(0) == 1 for regions in (bold, careful)]
    assert bool(unknown[1][unknown[0]].all()) and int(unknown[1].sum()) > 1.02 * int(unknown[0].sum())
    assert int(careful.argmax(0)[80, 80]) == 2 and int(careful.argmax(0)[0, 0]) == 0


def test_a_long_picture_is_looked_at_reduced(trained: NetT, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    real = NetT.forward

    def noting(net: NetT, pixels: Tensor, mask: Tensor) -> Tensor:
        seen.append(tuple(pixels.shape))
        return real(net, pixels, mask)

    monkeypatch.setattr(NetT, "forward", noting)
    alpha = disc(270, 1920, 80)
    Engine(CPU, find).step(NET_T_SMALL, picture(alpha), {"mask": alpha})
    assert seen == [(1, 3, 80, 512)]  # 72 rows, padded to a multiple of 16


def test_layers_and_frames_are_answered_one_by_one(trained: NetT) -> None:
    alpha = disc(64, 96, 20)
    masks = torch.cat([alpha, disc(64, 96, 10)], 1).repeat(2, 1, 1, 1)
    pictures = torch.cat([picture(alpha), picture(alpha) * 0.8])
    with torch.no_grad():
        together = NET_T_SMALL.step(trained, pictures, {"mask": masks}, None)[0]["regions"]
        alone = NET_T_SMALL.step(trained, pictures[1:], {"mask": masks[1:, 1:]}, None)[0]["regions"]
    assert together.shape == (2, 6, 64, 96)
    assert torch.equal(together[1, 3:], alone[0])


def test_an_empty_mask_is_background_and_a_full_one_foreground(trained: NetT) -> None:
    frames, masks = torch.rand(1, 3, 32, 48), torch.stack([torch.zeros(32, 48), torch.ones(32, 48)])[None]
    regions = NET_T_SMALL.step(trained, frames, {"mask": masks}, None)[0]["regions"]
    assert bool((regions[0, 0] == 1).all()) and bool((regions[0, 5] == 1).all())
    assert float(regions.sum()) == 2 * 32 * 48


def test_nan_in_a_frame_gives_a_finite_answer(trained: NetT) -> None:
    frames = picture(disc(64, 64, 20))
    frames[0, :, 30:34, 10:14] = float("nan")
    with torch.no_grad():
        regions = NET_T_SMALL.step(trained, frames, {"mask": disc(64, 64, 20)}, None)[0]["regions"]
    assert bool(torch.isfinite(regions).all())


def test_half_the_bits_give_nearly_the_same() -> None:
    alpha = disc(96, 128, 30)
    engine, guides = Engine(CPU, find), {"mask": disc(96, 128, 24)}
    full, half = (
        engine.step(NET_T_SMALL, picture(alpha), guides, None, precision)[0]["regions"]
        for precision in ("fp32", "bf16")
    )
    assert float((full - half).abs().mean()) < 0.02


def test_colours_tell_inside_from_outside_and_one_side_alone_tells_nothing() -> None:
    alpha = disc(128, 160, 40)
    hints = colour_hints(picture(alpha), disc(128, 160, 28))
    assert hints.shape == (1, 3, 128, 160) and bool(torch.isfinite(hints).all())
    ring = (disc(128, 160, 37)[0, 0] == 1) & (disc(128, 160, 31)[0, 0] == 0)
    assert float(hints[0, 0][ring].mean()) > 0.8
    assert float(hints[0, 0, 2:20, 2:20].mean()) < -0.8
    assert not bool(colour_hints(picture(alpha), torch.zeros(1, 1, 128, 160))[:, 0].any())
