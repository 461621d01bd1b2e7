"""MaGGIe: its tensors are the published ones, its parts do what they say, a clip is the same however it is cut."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from matte_core.errors import ModelError
from matte_core.models.maggie import IMAGE, VIDEO, MaggieModel, stream
from matte_core.models.maggie.fit import Fit
from matte_core.models.maggie.names import ours, published
from matte_core.models.maggie.net import Maggie
from matte_core.models.maggie.normed import Normed, fold
from matte_core.models.maggie.regions import grown, near_what_was_found, uncertain
from matte_core.models.maggie.settings import Settings
from matte_core.models.maggie.sites import GatheredSites, Kernel, MaskedSites, coarser
from matte_core.models.maggie.temporal import fuse, fused_middle
from matte_core.models.maggie.trunk import one_by_one

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT.parent / "shared" / "specs"


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def clip_net() -> Maggie:
    """A network for clips with weights of its own making, ready to be used."""
    torch.manual_seed(0)
    net = Maggie(Settings(temporal=True)).eval()
    net.decoder.refine_OS8.decoder_norm.weight.data *= 20  # fresh weights would be uncertain everywhere
    fold(net)
    return net


def a_clip(frames: int, instances: int = 2, side: int = 64, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Pictures (T, 3, H, W) and masks (T, N, H, W) of discs that move."""
    draw = torch.Generator().manual_seed(seed)
    pictures = torch.randn(frames, 3, side, side, generator=draw)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    masks = [
        [((rows - 20 - 5 * k) ** 2 + (columns - 14 - 12 * k - 3 * t) ** 2 < 90).float() for k in range(instances)]
        for t in range(frames)
    ]
    return pictures, torch.stack([torch.stack(each) for each in masks])


@pytest.mark.parametrize(
    ("temporal", "count", "parameters", "digest"),
    [(False, 619, 29_995_471, "599bd5bf36346347"), (True, 640, 30_908_495, "0b853c31f999e4aa")],
)
def test_the_tensors_have_the_published_names_and_shapes(
    temporal: bool, count: int, parameters: int, digest: str
) -> None:
    net = Maggie(Settings(temporal=temporal))
    tensors = net.state_dict()
    listed = "\n".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(tensors.items()))
    assert len(tensors) == count and hashlib.sha256(listed.encode()).hexdigest().startswith(digest)
    assert sum(each.numel() for each in net.parameters()) == parameters
    assert all(ours(published(name)) == name for name in dict(net.named_parameters()))
    net.load_state_dict(tensors)
    with pytest.raises(RuntimeError, match="Missing key"):
        net.load_state_dict({name: tensor for name, tensor in tensors.items() if "query_feat" not in name})


@pytest.mark.parametrize("name", ["maggie-image", "maggie-video"])
def test_the_outputs_are_those_of_the_published_network(name: str) -> None:
    fixture = FIXTURES / f"parity_{name.replace('-', '_')}.npz"
    if not fixture.is_file():
        pytest.skip("the outputs of the published network are not here")
    spec = importlib.util.spec_from_file_location("parity", ROOT / "scripts" / "parity.py")
    assert spec is not None and spec.loader is not None
    parity = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(parity)
    for output, _, mean, beyond in parity.compare(name, fixture):
        assert mean < 1e-5 and beyond < 3e-4, output  # beyond 1e-3 are pixels that a threshold decides


def a_mask(seed: int, share: float, maps: int = 3, height: int = 24, width: int = 40) -> Tensor:
    return torch.rand(maps, height, width, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_gathered_and_masked_sites_give_the_same_numbers(share: float) -> None:
    torch.manual_seed(5)
    mask = a_mask(2, share)
    lower = coarser(mask)
    values = torch.randn(3, 6, 12, 20)
    owner = torch.arange(3)
    kernels = Kernel(6, 8, 3), Kernel(8, 8, 3, bias=True), Kernel(8, 5, 1, bias=True, scrambled=True)
    made = []
    for kind in (GatheredSites, MaskedSites):
        fine, coarse = kind(mask), kind(lower)
        risen = fine.rise(coarse.take(values, owner), coarse, kernels[0])
        made.append(fine.spread(fine.point(fine.convolve(risen, kernels[1]), kernels[2]), -99.0))
    assert torch.allclose(made[0], made[1], atol=1e-5)
    assert (made[0].amax(1)[~mask] == -99).all()


def test_sites_are_convolved_as_sparse_convolutions_are_defined() -> None:
    mask = a_mask(3, 0.4, maps=1, height=9, width=7)
    kernel, values = Kernel(4, 3, 3), torch.randn(1, 4, 9, 7)
    sites = GatheredSites(mask)
    made = sites.spread(sites.convolve(sites.take(values, torch.zeros(1, dtype=torch.long)), kernel), 0.0)[0]
    for row, column in mask[0].nonzero().tolist():
        total = torch.zeros(3)
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                y, x = row + down, column + across
                if 0 <= y < 9 and 0 <= x < 7 and mask[0, y, x]:
                    total += kernel.weight[:, down + 1, across + 1] @ values[0, :, y, x]
        assert torch.allclose(made[:, row, column], total, atol=1e-5)


def test_a_point_kernel_is_read_scrambled_only_where_the_weights_were_trained_so() -> None:
    plain, scrambled = Kernel(4, 3, 1), Kernel(4, 3, 1, scrambled=True)
    scrambled.load_state_dict(plain.state_dict())
    assert torch.equal(plain.matrix(), plain.weight.view(3, 4).T)
    assert torch.equal(scrambled.matrix(), plain.weight.reshape(4, 3))
    assert torch.equal(scrambled.image()[..., 0, 0], scrambled.matrix().T)


def test_spectral_norm_divides_by_the_largest_singular_value_and_folds_away() -> None:
    torch.manual_seed(2)
    for plain in (torch.nn.Conv2d(6, 8, 3, 2, 1, bias=False), torch.nn.ConvTranspose2d(6, 6, 4, 2, 1, bias=False)):
        layer = Normed(plain).train()
        for _ in range(200):
            weight = layer.weight()
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-4)
        values = torch.randn(1, 6, 8, 8)
        assert torch.allclose(fold(torch.nn.Sequential(layer))(values), layer.eval()(values), atol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 6, 7, 13, 15, 20])
def test_a_region_grows_by_the_ellipse_of_opencv(size: int) -> None:
    region = a_mask(size, 0.004, maps=2, height=50, width=64)
    region[0, 0, 0] = region[1, -1, -1] = True
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    for mine, plain in zip(grown(region, size), region, strict=True):
        assert np.array_equal(mine.numpy(), cv2.dilate(plain.numpy().astype(np.uint8), ellipse) > 0)


def test_uncertain_is_what_is_neither_0_nor_1_and_a_box_keeps_what_is_near() -> None:
    steps = torch.tensor([0.0, 1 / 255, 1.5 / 255, 0.5, 253.5 / 255, 254 / 255, 1.0])
    assert uncertain(steps).tolist() == [False, False, True, True, True, False, False]
    alphas = torch.zeros(1, 2, 200, 220)
    alphas[0, 0, 90:110, 100:120] = 0.96
    settled, box = near_what_was_found(alphas)
    assert settled[0, 0, 100, 110] == 1 and not box[0, 1].any()
    rows, columns = box[0, 0].any(1).nonzero(), box[0, 0].any(0).nonzero()
    assert 55 <= rows.min() <= 60 and 140 <= rows.max() <= 145
    assert 65 <= columns.min() <= 70 and 150 <= columns.max() <= 155


def test_where_nothing_changes_the_neighbours_answer_holds_if_both_directions_agree() -> None:
    alphas = torch.tensor([0.2, 0.5, 0.2, 0.7, 0.5, 0.3]).reshape(2, 3, 1, 1).transpose(0, 1).contiguous()
    still, moving = torch.zeros(3, 1, 1, 1), torch.ones(3, 1, 1, 1)
    fused = fuse(alphas, still, still)
    assert fused[:, 0, 0, 0].tolist() == pytest.approx([0.2, 0.2, 0.2])  # both neighbours say 0.2
    assert fused[:, 1, 0, 0].tolist() == pytest.approx([0.7, 0.5, 0.5])  # 0.7 and 0.3: its own
    assert torch.equal(fuse(alphas, moving, moving), alphas)


def streamed(net: Maggie, pictures: Tensor, masks: Tensor) -> list[Tensor]:
    answers, passed = [], None
    for place in range(len(pictures)):
        window = slice(max(place - 1, 0), place + 3)
        answer, passed = stream.step(net, pictures[window], masks[window], passed)
        answers.append(answer)
    return answers


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_a_clip_frame_by_frame_is_what_the_windows_give(clip_net: Maggie, frames: int) -> None:
    pictures, masks = a_clip(frames)
    made = streamed(clip_net, pictures, masks)
    torch.testing.assert_close(torch.stack(made), stream.window_by_window(clip_net, pictures, masks), atol=1e-6, rtol=0)
    assert float(torch.stack(made).std()) > 0.02


def test_the_middle_of_three_frames_needs_the_third_only_where_nothing_changed() -> None:
    draw = torch.Generator().manual_seed(4)
    alphas = torch.randint(0, 3, (3, 2, 24, 24), generator=draw) / 2
    forward, backward = (torch.rand(3, 1, 24, 24, generator=draw) for _ in range(2))
    previous = torch.randint(0, 3, (2, 24, 24), generator=draw) / 2
    asked: list[Tensor] = []

    def ahead(where: Tensor) -> Tensor:
        asked.append(where)
        return torch.where(where, alphas[2], torch.nan)

    changed = (forward[1] > 0.5) | (backward[1] > 0.5)
    made = fused_middle(previous, alphas[1], changed, ahead)
    assert torch.equal(made, fuse(alphas, forward, backward, previous)[1]) and not torch.equal(made, alphas[1])
    assert 0 < float(asked[0].float().mean()) < 0.3
    assert torch.equal(fused_middle(previous, alphas[1], torch.ones_like(changed), ahead), alphas[1])
    assert len(asked) == 1


def test_a_clip_costs_at_most_0_6_of_its_windows(clip_net: Maggie) -> None:
    pictures, masks = a_clip(5)
    counted = []
    for made in (streamed, stream.window_by_window):
        with FlopCounterMode(display=False) as counter:
            made(clip_net, pictures, masks)
        counted.append(counter.get_total_flops() / (5 if made is streamed else 3))
    assert counted[0] < 0.6 * counted[1], counted


def test_the_trunk_of_a_frame_is_made_once(clip_net: Maggie, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = clip_net.encoder.forward
    monkeypatch.setattr(clip_net.encoder, "forward", lambda *given: made.append(len(given[0])) or original(*given))
    streamed(clip_net, *a_clip(6))
    assert made == [1] * 6


def test_an_instance_that_is_gone_is_0_and_one_that_returns_is_back(clip_net: Maggie) -> None:
    pictures, masks = a_clip(7)
    masks[1:5, 0] = 0
    gone = streamed(clip_net, pictures, masks)
    assert not gone[3][0].any() and gone[6][0].any() and gone[3][1].any()
    assert not torch.stack(streamed(clip_net, pictures, masks * 0)).any()


def test_more_than_ten_instances_go_through_in_groups(clip_net: Maggie) -> None:
    native = MaggieModel(VIDEO.card, VIDEO.settings)
    frames, masks = torch.rand(1, 3, 50, 70), torch.zeros(1, 13, 50, 70)
    for place in range(13):
        masks[0, place, 3 * place : 3 * place + 6, 10:40] = 1
    both = native.step(clip_net, frames, {"instances": masks}, None)[0]["alpha"]
    last = native.step(clip_net, frames, {"instances": masks[:, 10:]}, None)[0]["alpha"]
    assert both.shape == (1, 13, 50, 70) and torch.equal(both[:, 10:], last)


def test_a_picture_is_fitted_and_its_alpha_comes_back_over_the_same_pixels() -> None:
    fit = Fit(1080, 1920, 576)
    assert fit.size == (576, 1024) and fit.pictures(torch.zeros(1, 3, 1080, 1920)).shape == (1, 3, 576, 1024)
    native = Fit(50, 70)
    shown = native.pictures(torch.rand(1, 3, 50, 70))
    assert shown.shape == (1, 3, 64, 128) and shown[0, 0, 60, 100] == pytest.approx(-0.485 / 0.229)
    mask = (torch.rand(1, 2, 50, 70) > 0.5).float()
    assert torch.equal(native.back(native.masks(mask)), mask)


def test_without_weights_one_sentence_says_how_to_get_them(clip_net: Maggie) -> None:
    with pytest.raises(ModelError, match=r"maggie-image has no weights here. Run: matte weights fetch maggie-image"):
        IMAGE.load(None, torch.device("cpu"))


def test_a_single_picture_runs_through_the_image_network() -> None:
    torch.manual_seed(1)
    net = Maggie(Settings()).eval()
    masks = a_clip(1)[1]
    masks[0, 1] = 0
    alpha = MaggieModel(IMAGE.card, IMAGE.settings).step(net, torch.rand(1, 3, 64, 64), {"instances": masks}, None)[0][
        "alpha"
    ]
    assert alpha.shape == (1, 2, 64, 64) and alpha[0, 0].any() and not alpha[0, 1].any()
    assert all(len(each) == 1 for each in one_by_one(masks))
