"""The Portrait networks: the paper's size to the last parameter, and answers for pictures of any size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from matte_core.evaluate.operations import counting
from matte_core.models.layers.nonlocal_attention import LightNonLocal
from matte_core.models.layers.spectral import fold
from matte_core.models.portrait.model import SMALL, PortraitModel
from matte_core.models.portrait.net import PAPER, Coarse, LowResolution, Portrait, Settings
from matte_core.models.portrait.refine import Refine, Refinement, RegionAttention
from matte_core.models.portrait.regions import neighbours
from matte_core.models.portrait.swin import Swin

TINY = Settings(
    patch=8, dims=(4, 8, 8, 8), depths=(1, 2, 1, 1), heads=(1, 2, 2, 2), stem=4, decoder=(8, 8, 8),
    refinement=Refinement(4, 8, 8, 2), look=64,
)  # fmt: skip


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.fixture(scope="module")
def tiny() -> Portrait:
    torch.manual_seed(3)
    return Portrait(TINY).eval()


@pytest.fixture(scope="module")
def cells() -> Tensor:
    return torch.tensor([[0, place // 5, place % 5] for place in range(20)])


def test_the_paper_s_networks_have_the_published_sizes() -> None:
    net = Portrait(PAPER)
    assert parameters(net.coarse) == 30_893_930
    assert parameters(net.refine) == 363_649
    with torch.device("meta"):
        assert parameters(Swin(16, 0, PAPER.dims, PAPER.depths, PAPER.heads)) == 27_586_938


def test_small_is_a_setting_of_the_same_class() -> None:
    assert parameters(Portrait(SMALL)) < 3_500_000


@pytest.mark.parametrize(
    ("height", "width", "giga"), [(512, 512, 2.71), (896, 896, 6.04), (1280, 1280, 13.07), (2304, 3456, 62.3)]
)
def test_the_coarse_network_costs_what_was_calculated_and_answers_at_three_scales(
    height: int, width: int, giga: float
) -> None:
    with torch.device("meta"):
        net, picture = LowResolution(PAPER).eval(), torch.zeros(1, 3, height, width)
    with torch.no_grad(), counting() as counted:
        answers = net(picture)
    assert counted.multiplications / 1e9 == pytest.approx(giga, abs=0.05 if giga > 60 else 0.005)
    for answer, stride in zip(answers, (32, 16, 8), strict=True):
        assert answer.alpha.shape == (1, 1, height // stride, width // stride)
        assert answer.trimap.shape == (1, 3, height // stride, width // stride)


@torch.no_grad()
def test_a_region_costs_what_was_calculated(cells: Tensor) -> None:
    net = Refine(PAPER.refinement).eval()
    with counting() as counted:
        alpha = net(torch.rand(20, 4, 8, 8), cells)
    assert counted.multiplications == 20 * 3_677_696
    assert alpha.shape == (20, 1, 8, 8) and 0 <= float(alpha.min()) <= float(alpha.max()) <= 1


@torch.no_grad()
def test_the_way_of_2021_counts_norms_and_transposed_convolutions_as_it_did() -> None:
    features = torch.rand(1, 128, 64, 64)
    with counting() as counted:
        LightNonLocal().eval()(features, features, torch.ones(1, 1, 64, 64))
    assert (counted.multiplications, counted.as_in_2021) == (138_936_320, 141_557_760)
    with counting() as counted:
        nn.ConvTranspose2d(2, 3, 3)(torch.rand(1, 2, 4, 4))
    assert (counted.multiplications, counted.as_in_2021) == (54 * 16, 54 * 36)


@torch.no_grad()
def test_attention_does_not_depend_on_the_order_of_neighbours(cells: Tensor) -> None:
    torch.manual_seed(0)
    attention = RegionAttention(16, Refinement(token=16, heads=2)).eval()
    nn.init.normal_(attention.bias)
    tokens, near = torch.randn(20, 16), neighbours(cells, 8)
    turned = near[:, torch.randperm(8)]
    assert not torch.equal(near, turned)
    first, second = (attention(tokens, tokens[each], cells, cells[each]) for each in (near, turned))
    assert torch.allclose(first, second, atol=1e-5)
    nn.init.zeros_(attention.bias)
    assert not torch.allclose(first, attention(tokens, tokens[near], cells, cells[near]), atol=1e-3)


def test_the_bias_by_offset_is_trained_and_starts_at_nothing(cells: Tensor) -> None:
    net = Refine(TINY.refinement)
    assert not bool(net.attention.bias.any())
    net(torch.rand(20, 4, 8, 8), cells).sum().backward()
    assert net.attention.bias.grad is not None and bool(net.attention.bias.grad.any())


@torch.no_grad()
def test_nothing_changes_outside_of_the_cells(tiny: Portrait) -> None:
    picture = torch.rand(1, 3, 64, 96)
    chosen = torch.tensor([[0, 2, 3], [0, 7, 11]])
    with_cells, without = tiny(picture, chosen), tiny(picture, chosen[:0])
    changed = (with_cells.alpha != without.alpha)[0, 0]
    inside = torch.zeros(64, 96, dtype=torch.bool)
    inside[16:24, 24:32] = inside[56:64, 88:96] = True
    assert bool(changed[inside].any()) and not bool(changed[~inside].any())


@torch.no_grad()
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_no_region_and_few_regions_are_answered(tiny: Portrait, count: int) -> None:
    picture = torch.rand(1, 3, 64, 64)
    chosen = torch.tensor([[0, place, 2 * place % 7] for place in range(count)]).reshape(-1, 3)
    answer = tiny(picture, chosen)
    assert answer.alpha.shape == (1, 1, 64, 64) and bool(torch.isfinite(answer.alpha).all())
    assert torch.equal(answer.alpha, answer.coarse) == (count == 0)


@torch.no_grad()
def test_outside_of_the_cells_stands_the_coarse_alpha_as_the_settings_say() -> None:
    torch.manual_seed(1)
    nearest = Portrait(Settings(**{**vars(TINY), "look": 0, "composition": "nearest"})).eval()
    answer = nearest(torch.rand(1, 3, 64, 64), torch.zeros(0, 3, dtype=torch.long))
    blocks = answer.alpha.unfold(2, 4, 4).unfold(3, 4, 4)
    assert bool((blocks == blocks[..., :1, :1]).all())
    assert not torch.equal(answer.alpha, answer.coarse)


@torch.no_grad()
def test_folding_the_norms_changes_no_answer(tiny: Portrait) -> None:
    again = Portrait(TINY)
    again.load_state_dict(tiny.state_dict())
    fold(again.eval())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in again.modules())
    picture = torch.rand(2, 3, 64, 64)
    chosen = torch.tensor([[0, 1, 1], [0, 4, 4], [1, 0, 5]])
    assert torch.allclose(again(picture, chosen).alpha, tiny(picture, chosen).alpha, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    net = Portrait(TINY)
    answer = net(torch.rand(2, 3, 64, 64), torch.tensor([[0, 1, 1], [0, 1, 2], [1, 0, 5]]))
    heads = torch.stack([logits.square().mean() for scale in answer.scales for logits in scale])
    (answer.alpha.mean() + heads.sum()).backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(24, 40), (72, 200), (200, 72), (520, 1000)])
def test_any_size_is_answered_alike_by_itself_and_among_others(tiny: Portrait, height: int, width: int) -> None:
    model = PortraitModel.__new__(PortraitModel)
    pictures = torch.rand(2, 3, height, width)
    together = PortraitModel.step(model, tiny, pictures, {}, None)[0]["alpha"]
    alone = PortraitModel.step(model, tiny, pictures[1:], {}, None)[0]["alpha"]
    assert together.shape == (2, 1, height, width)
    assert torch.equal(together[1:], alone)


@torch.no_grad()
def test_nan_gives_a_finite_answer(tiny: Portrait) -> None:
    picture = torch.rand(1, 3, 64, 64)
    picture[..., 10:20, 10:20] = float("nan")
    alpha = PortraitModel.step(PortraitModel.__new__(PortraitModel), tiny, picture, {}, None)[0]["alpha"]
    assert bool(torch.isfinite(alpha).all())


@torch.no_grad()
def test_a_mirrored_picture_has_the_mirrored_matte_where_it_looks_at_both(tiny: Portrait) -> None:
    both = Portrait(Settings(**{**vars(TINY), "mirrored": True})).eval()
    both.load_state_dict(tiny.state_dict())
    picture, cells = torch.rand(1, 3, 64, 128), torch.zeros(0, 3, dtype=torch.long)
    there, back = both(picture, cells).alpha, both(picture.flip(3), cells).alpha.flip(3)
    assert torch.allclose(there, back, atol=1e-6)
    assert not torch.allclose(there, tiny(picture, cells).alpha, atol=1e-4)


@torch.no_grad()
def test_what_is_nearly_nothing_or_all_becomes_so_outside_of_the_cells_where_a_margin_is_set(tiny: Portrait) -> None:
    sure = Portrait(Settings(**{**vars(TINY), "margin": 0.3})).eval()
    sure.load_state_dict(tiny.state_dict())
    picture, cells = torch.rand(1, 3, 64, 64), torch.zeros(0, 3, dtype=torch.long)
    scales = [Coarse(torch.linspace(-4, 4, 256).view(1, 1, 16, 16), torch.zeros(1, 3, 16, 16))]
    plain, alpha = (net.compose(picture, scales, cells).alpha for net in (tiny, sure))
    assert float(plain.min()) > 0 and float(plain.max()) < 1
    assert float(alpha.min()) == 0 and float(alpha.max()) == 1
    assert bool((alpha[plain < 0.2] == 0).all()) and bool((alpha[plain > 0.8] == 1).all())
