"""Cells of a picture: chosen, cut out, put back, and their nearest neighbours in bounded memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from matte_core.models.portrait import regions
from matte_core.models.portrait.regions import adaptive, crop, fixed, neighbours, paste


def by_hand(cells: Tensor, count: int) -> Tensor:
    """The neighbours of every cell by sorting all distances."""
    found = []
    for number, cell in enumerate(cells.tolist()):
        others = [
            ((row - cell[1]) ** 2 + (column - cell[2]) ** 2, other)
            for other, (picture, row, column) in enumerate(cells.tolist())
            if picture == cell[0] and other != number
        ]
        nearest = [other for _, other in sorted(others)[:count]] or [number]
        found.append([nearest[place % len(nearest)] for place in range(count)])
    return torch.tensor(found)


def test_cropping_then_pasting_is_the_identity() -> None:
    picture = torch.rand(2, 3, 40, 64)
    cells = torch.nonzero(torch.rand(2, 5, 8) < 0.5)
    cut = crop(picture, cells)
    assert torch.equal(
        cut[0], picture[cells[0, 0], :, cells[0, 1] * 8 : cells[0, 1] * 8 + 8, cells[0, 2] * 8 :][..., :8]
    )
    assert torch.equal(paste(picture, cells, cut), picture)
    assert torch.equal(paste(picture, cells[:0], cut[:0]), picture)
    changed = paste(picture, cells, cut + 1) - picture
    marks = torch.zeros(2, 5, 8).index_put((cells[:, 0], cells[:, 1], cells[:, 2]), torch.ones(()))
    expected = marks.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None].expand(-1, 3, -1, -1)
    assert torch.allclose(changed, expected)


def test_the_unknown_is_refined_or_a_fixed_number_of_its_likeliest_cells() -> None:
    shares = torch.softmax(3 * torch.randn(2, 3, 6, 9, generator=torch.Generator().manual_seed(0)), 1)
    chosen = adaptive(shares)
    assert len(chosen) == int((shares.argmax(1) == 1).sum())
    assert bool((shares.argmax(1)[chosen[:, 0], chosen[:, 1], chosen[:, 2]] == 1).all())
    budgeted = fixed(shares)
    assert len(budgeted) == 2 * 2 * (6 + 9)
    few = fixed(shares, 4)
    least = shares[:, 1][few[:, 0], few[:, 1], few[:, 2]].view(2, 4).amin(1)
    unknown = shares[:, 1] * (shares.argmax(1) == 1)
    assert [int((unknown[place] > least[place]).sum()) for place in (0, 1)] == [3, 3]
    assert len(fixed(shares[..., :1, :1])) == 2  # never more cells than there are


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("count", [1, 8])
def test_neighbours_are_the_nearest_cells_of_the_same_picture(share: float, count: int) -> None:
    cells = torch.nonzero(torch.rand(3, 17, 23, generator=torch.Generator().manual_seed(int(share * 100))) < share)
    assert torch.equal(neighbours(cells, count), by_hand(cells, count))


def test_few_cells_have_their_neighbours_repeated_and_one_alone_hears_itself() -> None:
    assert neighbours(torch.zeros(0, 3, dtype=torch.long), 8).shape == (0, 8)
    assert neighbours(torch.tensor([[0, 4, 4]]), 8).tolist() == [[0] * 8]
    three = torch.tensor([[0, 0, 0], [0, 0, 5], [0, 9, 9], [2, 3, 3]])
    assert neighbours(three, 3).tolist() == [[1, 2, 1], [0, 2, 0], [1, 0, 1], [3, 3, 3]]


def test_ten_thousand_cells_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    real = torch.Tensor.topk

    def noting(values: Tensor, *args: object, **options: object) -> object:
        nonlocal largest
        largest = max(largest, values.numel())
        return real(values, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.Tensor, "topk", noting)
    scattered = torch.randperm(700 * 700, generator=torch.Generator().manual_seed(0))[:10_000].sort().values
    cells = torch.stack([torch.zeros_like(scattered), scattered // 700, scattered % 700], 1)
    near = neighbours(cells, 8)
    assert near.shape == (10_000, 8) and 0 < largest <= regions._PAIRS
    some = torch.arange(0, 10_000, 1999)
    apart = (cells[some][:, None, 1:] - cells[:, 1:]).square().sum(2)
    assert torch.equal(apart.sort(1).values[:, 1:9], apart.gather(1, near[some]))
