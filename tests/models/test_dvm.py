"""DVM: deformable alignment against a plain loop, the paper's network and its alternatives, and where ours begins."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.base import Card
from matte_core.models.dvm.alignment import Fusion
from matte_core.models.dvm.model import DVM_SMALL, PROPAGATION_SMALL, SMALL, TRIMAP_PROPAGATION_SMALL
from matte_core.models.dvm.net import DVM, Settings, carried, mean_change
from matte_core.models.dvm.propagation import Settings as PropagationSettings
from matte_core.models.dvm.propagation import TrimapPropagation
from matte_core.models.layers import deformable
from matte_core.models.layers.deformable import DeformableAlignment, deformable_convolution, moved
from matte_core.models.weights import PACKAGED, sha256

TINY = Settings(reach=1, stem=4, inner=(1, 2, 2, 2), counts=(1, 1, 1, 1), aligned=4, groups=2, decoder=(4, 4, 4, 4, 4))


def by_loop(values: Tensor, offsets: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The definition, pixel by pixel and tap by tap."""
    count, channels, height, width = values.shape
    groups = mask.shape[1] // 9
    made = bias[None, :, None, None].repeat(count, 1, height, width)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                for c in range(channels):
                    group = c // (channels // groups)
                    for tap in range(9):
                        place = (group * 9 + tap) * 2
                        down = y - 1 + tap // 3 + float(offsets[n, place, y, x])
                        across = x - 1 + tap % 3 + float(offsets[n, place + 1, y, x])
                        seen = bilinear(values[n, c], down, across) * mask[n, group * 9 + tap, y, x]
                        made[n, :, y, x] += weight[:, c, tap // 3, tap % 3] * seen
    return made


def bilinear(picture: Tensor, y: float, x: float) -> Tensor:
    total = picture.new_zeros(())
    top, left = int(y // 1), int(x // 1)
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]:
                total = total + picture[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def sampled(seed: int, groups: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dice = torch.Generator().manual_seed(seed)
    values = torch.randn(2, 4, 5, 6, generator=dice, dtype=torch.float64)
    offsets = 3 * torch.randn(2, groups * 18, 5, 6, generator=dice, dtype=torch.float64)
    mask = torch.rand(2, groups * 9, 5, 6, generator=dice, dtype=torch.float64)
    weight = torch.randn(3, 4, 3, 3, generator=dice, dtype=torch.float64)
    return values, offsets, mask, weight, torch.randn(3, generator=dice, dtype=torch.float64)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_deformable_convolution_is_what_a_plain_loop_says(groups: int) -> None:
    told = sampled(groups, groups)
    assert torch.allclose(deformable_convolution(*told), by_loop(*told), atol=1e-6)


def test_with_zero_offsets_and_unit_mask_it_is_a_convolution() -> None:
    values, offsets, mask, weight, bias = sampled(1)
    made = deformable_convolution(values, torch.zeros_like(offsets), torch.ones_like(mask), weight, bias)
    assert torch.allclose(made, functional.conv2d(values, weight, bias, padding=1), atol=1e-6)


def test_taps_are_sampled_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    real = deformable.sample

    def counted(values: Tensor, x: Tensor, y: Tensor, padding: str = "zeros") -> Tensor:
        sizes.append(values.numel())
        return real(values, x, y, padding)

    monkeypatch.setattr(deformable, "sample", counted)
    told = sampled(2)
    deformable_convolution(*told)
    assert sizes == [told[0].numel()] * 9


def test_alignment_begins_where_the_motion_ends() -> None:
    torch.manual_seed(0)
    align = DeformableAlignment(4, 2)
    values, motion = torch.randn(1, 4, 12, 16), torch.zeros(1, 2, 12, 16)
    motion[:, 0], motion[:, 1] = 3, -2
    there = align(values, torch.randn(1, 4, 12, 16), motion)
    plain = functional.conv2d(values, align.weight, padding=1) / 2  # the mask begins at one half
    assert torch.allclose(there[..., 3:-2, 2:-5], plain[..., 1:-4, 5:-2], atol=1e-5)


def test_what_is_fetched_along_a_motion_stands_where_the_motion_began() -> None:
    picture = torch.arange(48.0).view(1, 1, 6, 8)
    motion = torch.zeros(1, 2, 6, 8)
    motion[:, 0] = 2
    assert torch.allclose(moved(picture, motion)[..., :-2], picture[..., 2:], atol=1e-5)


def test_the_paper_s_network_is_the_class_s_defaults() -> None:
    assert (Settings().reach, Settings().aligned, Settings().alignment, Settings().given) == (
        2,
        64,
        "deformable",
        "trimap",
    )
    with torch.device("meta"):
        net = DVM(Settings())
        alpha = net(torch.rand(1, 5, 3, 64, 96), torch.rand(1, 5, 1, 64, 96))
    assert alpha.shape == (1, 1, 64, 96)
    assert sum(p.numel() for p in net.parameters()) == 33_608_617


@pytest.mark.parametrize("alignment", ["deformable", "naive", "attention", "flow"])
@pytest.mark.parametrize("attention", [True, False])
@torch.no_grad()
def test_every_alignment_and_fusion_answers_in_the_picture_s_size(alignment: str, attention: bool) -> None:
    net = DVM(replace(TINY, alignment=alignment, attention=attention)).eval()  # type: ignore[arg-type]
    alpha = net(torch.rand(2, 3, 3, 32, 64), torch.rand(2, 3, 1, 32, 64), None, torch.zeros(2, 3, 3, 32, 64))
    assert alpha.shape == (2, 1, 32, 64)
    assert float(alpha.min()) >= 0 and float(alpha.max()) <= 1


@pytest.mark.parametrize("reach", [1, 2, 6])
@torch.no_grad()
def test_the_window_is_a_setting(reach: int) -> None:
    net = DVM(replace(TINY, reach=reach)).eval()
    frames = 2 * reach + 1
    pixels, trimap = torch.rand(1, frames, 3, 32, 32), torch.full((1, frames, 1, 32, 32), 0.5)
    answer = net(pixels, trimap)
    pixels[:, 0] = torch.rand(3, 32, 32)
    assert not torch.equal(net(pixels, trimap), answer)


@torch.no_grad()
def test_ours_begins_with_the_alpha_it_is_given() -> None:
    net = DVM(replace(TINY, given="alpha")).eval()
    first, motion = torch.rand(1, 3, 1, 32, 32), torch.zeros(1, 3, 3, 32, 32)
    trimap, pixels = torch.full((1, 3, 1, 32, 32), 0.5), torch.rand(1, 1, 3, 32, 32).expand(1, 3, 3, 32, 32)
    assert torch.allclose(net(pixels, trimap, first, motion), first[:, 1])  # no motion is to be trusted
    motion[:, :, 2] = 1
    mean = first[:, 1] + net.share * (first.mean(1) - first[:, 1])
    assert torch.allclose(net(pixels, trimap, first, motion), mean, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(1)
    net = DVM(replace(TINY, given="alpha"))
    torch.nn.init.normal_(net.out.weight)
    told = torch.rand(2, 3, 3, 32, 32), torch.rand(2, 3, 1, 32, 32), torch.rand(2, 3, 1, 32, 32)
    net(*told, torch.zeros(2, 3, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_carried_alpha_counts_by_colour_and_trust() -> None:
    raw = torch.zeros(1, 2, 7, 8, 8)
    raw[:, 0, -1] = 0.4
    raw[:, 0, :3, :4] = 1.0  # another colour in the upper half
    raw[:, 0, 3, :, :3] = 1.0  # known background there in the left columns
    motion = torch.zeros(1, 2, 3, 8, 8)
    motion[:, 0, 2, :, :4] = 1.0  # trusted in the left half only
    above, weighed, weight, background, foreground, *colours = carried(raw, motion, 1, 0)[0]
    assert torch.allclose(above, torch.full((8, 8), 0.4))
    assert torch.allclose(weight[4:, :4], torch.ones(4, 4)) and float(weight[:4].max()) < 1e-4
    assert float(weight[:, 4:].max()) == 0 and torch.allclose(weighed, above * weight)
    assert float(foreground.max()) == 0 and torch.allclose(background[:, :3], torch.ones(8, 3))
    assert torch.allclose(torch.stack(colours), raw[0, 0, :3])


def test_the_network_may_change_how_much_a_carried_alpha_counts() -> None:
    other = torch.zeros(1, 8, 1, 3)
    other[:, 0], other[:, 2] = 0.6, 1.0
    favour = torch.tensor([[[[-20.0, 0.0, 20.0]]]])
    away, half, nearly_all = mean_change([other], favour)[0, 0, 0]
    assert float(away) < 0.02 and float(half) == pytest.approx(0.3) and 0.58 < float(nearly_all) < 0.6


@torch.no_grad()
def test_what_lies_far_from_the_unknown_neither_counts_nor_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DVM_SMALL.card.weights is not None
    net = DVM_SMALL.load(PACKAGED / DVM_SMALL.card.weights.file, torch.device("cpu"))
    seen: list[tuple[int, ...]] = []

    def noted(pixels: Tensor, *told: Tensor) -> Tensor:
        seen.append(tuple(pixels.shape))
        return pixels[:, 0, :1]

    monkeypatch.setattr(net, "forward", noted)
    trimap = torch.zeros(5, 1, 256, 512)
    trimap[:, :, 100:120, 40:60] = 0.5
    guides = {"trimap": trimap, "alpha": torch.rand(5, 1, 256, 512), "motion": torch.zeros(5, 3, 256, 512)}
    DVM_SMALL.step(net, torch.rand(5, 3, 256, 512), guides, None)
    assert seen == [(1, 5, 3, 160, 128)]  # the unknown and 64 pixels around, in multiples of 32
    guides["motion"][:, :2], guides["motion"][:, 2] = 40, 1
    DVM_SMALL.step(net, torch.rand(5, 3, 256, 512), guides, None)
    assert seen[1] == (1, 5, 3, 224, 192)  # and as far as things move


@torch.no_grad()
def test_fusion_weighs_frames_and_places() -> None:
    torch.manual_seed(0)
    fusion, values = Fusion(4, 3, True).eval(), torch.randn(1, 12, 8, 8)
    other = values.clone()
    other[:, :4] *= 3  # one frame's features alone
    assert fusion(values).shape == (1, 4, 8, 8)
    assert not torch.allclose(fusion(values), fusion(other))


def test_small_is_a_setting_of_the_paper_s_class() -> None:
    assert sum(p.numel() for p in DVM(SMALL).parameters()) < 500_000
    assert sum(p.numel() for p in TrimapPropagation(PROPAGATION_SMALL).parameters()) < 500_000


@pytest.mark.parametrize("card", [DVM_SMALL.card, TRIMAP_PROPAGATION_SMALL.card], ids=lambda card: card.name)
def test_the_weights_are_the_ones_the_card_means_and_say_where_they_come_from(card: Card) -> None:
    weights = card.weights
    assert weights is not None
    file = PACKAGED / weights.file
    assert sha256(file) == weights.sha256
    assert weights.megabytes == pytest.approx(file.stat().st_size / 1e6, abs=0.1)
    for fact in ("recipe", "seed", "iterations", "data", "machine"):
        assert fact in weights.origin


@torch.no_grad()
def test_a_trained_step_keeps_what_is_known_and_answers_in_range() -> None:
    assert DVM_SMALL.card.weights is not None
    net = DVM_SMALL.load(PACKAGED / DVM_SMALL.card.weights.file, torch.device("cpu"))
    trimap = torch.full((5, 1, 32, 64), 0.5)
    trimap[..., :20], trimap[..., -20:] = 0, 1
    guides = {"trimap": trimap, "alpha": torch.rand(5, 1, 32, 64), "motion": torch.zeros(5, 3, 32, 64)}
    alpha = DVM_SMALL.step(net, torch.rand(5, 3, 32, 64), guides, None)[0]["alpha"]
    assert alpha.shape == (1, 1, 32, 64)
    assert (alpha[..., :20] == 0).all() and (alpha[..., -20:] == 1).all()
    assert float(alpha.min()) >= 0 and float(alpha.max()) <= 1 and float(alpha[..., 20:-20].std()) > 0.05


TINY_PROPAGATION = PropagationSettings(
    stem=4, inner=(2, 2, 3), counts=(1, 1, 1), key=4, value=4, decoder=(4, 4, 4, 4), carried=False
)


@torch.no_grad()
def test_keyframes_are_a_set_in_no_order_and_of_any_number() -> None:
    torch.manual_seed(0)
    net = TrimapPropagation(TINY_PROPAGATION).eval().double()
    target, references = torch.rand(1, 3, 32, 48).double(), torch.rand(1, 3, 3, 32, 48).double()
    trimaps = torch.randint(0, 3, (1, 3, 1, 32, 48)).double() / 2
    logits = net(target, references, trimaps)
    assert logits.shape == (1, 3, 32, 48)
    backwards, single = net(target, references.flip(1), trimaps.flip(1)), net(target, references[:, :1], trimaps[:, :1])
    assert float((backwards - logits).abs().max()) < 1e-6 < float((single - logits).abs().max())


@torch.no_grad()
def test_propagation_reads_the_reference_s_trimap() -> None:
    torch.manual_seed(0)
    net = TrimapPropagation(TINY_PROPAGATION).eval()
    target, references = torch.rand(1, 3, 32, 32).double(), torch.rand(1, 1, 3, 32, 32).double()
    background, foreground = torch.zeros(1, 1, 1, 32, 32).double(), torch.ones(1, 1, 1, 32, 32).double()
    apart = net.double()(target, references, background) - net(target, references, foreground)
    assert float(apart.abs().max()) > 1e-9


@torch.no_grad()
def test_ours_begins_with_the_trimap_that_was_carried_where_it_is_trusted() -> None:
    net = TrimapPropagation(replace(TINY_PROPAGATION, carried=True)).eval()
    regions = functional.one_hot(torch.randint(0, 3, (1, 32, 32)), 3).movedim(-1, 1).float()
    trust = torch.ones(1, 1, 32, 32)
    trust[..., 16:] = 0
    told = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 3, 32, 32), torch.zeros(1, 1, 1, 32, 32)
    logits = net(*told, torch.cat([regions, trust], 1))
    assert torch.equal(logits[..., :16].argmax(1), regions[..., :16].argmax(1))
    assert torch.equal(logits[..., 16:], torch.zeros_like(logits[..., 16:]))


@torch.no_grad()
def test_the_trained_propagation_answers_with_probabilities_and_keeps_to_what_is_carried_for_each_layer() -> None:
    assert TRIMAP_PROPAGATION_SMALL.card.weights is not None
    net = TRIMAP_PROPAGATION_SMALL.load(PACKAGED / TRIMAP_PROPAGATION_SMALL.card.weights.file, torch.device("cpu"))
    columns = torch.arange(96).repeat(64, 1)
    drawn = torch.where(columns < 40, 1.0, torch.where(columns > 56, 0.0, 0.5))[None]
    picture = torch.where(columns < 48, 0.8, 0.2).expand(3, 64, 96) + 0.05 * torch.rand(3, 64, 96)
    layers = torch.stack([drawn, 1 - drawn], 1)[0]
    carried = [
        torch.stack([*((layer == value).float() for value in (0, 0.5, 1)), torch.ones(64, 96)]) for layer in layers
    ]
    guides = {"trimap": torch.stack([torch.full_like(layers, 0.5), layers]), "carried": torch.cat(carried)[None]}
    regions = TRIMAP_PROPAGATION_SMALL.step(net, picture.expand(2, 3, 64, 96), guides, None)[0]["regions"]
    assert regions.shape == (1, 6, 64, 96)
    assert torch.allclose(regions.view(2, 3, 64, 96).sum(1), torch.ones(2, 64, 96), atol=1e-4)
    for layer, found in zip(layers, regions.view(2, 3, 64, 96).argmax(1) / 2, strict=True):
        assert float((found == layer).float().mean()) > 0.9
