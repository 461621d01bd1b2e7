"""Tiles cover the picture and join to what they were cut from."""

from __future__ import annotations

import itertools

import pytest
import torch

from matte_core.models.layers.tiles import Tile, around, cut, join


@pytest.mark.parametrize(
    ("height", "width", "side", "overlap"), [(100, 100, 40, 8), (37, 201, 64, 16), (30, 30, 64, 8)]
)
def test_cut_and_join_is_the_identity(height: int, width: int, side: int, overlap: int) -> None:
    picture = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(3))
    tiles = cut(height, width, side, overlap)
    assert all(tile.bottom - tile.top <= side and tile.right - tile.left <= side for tile in tiles)
    joined = join(height, width, overlap, ((tile, tile.crop(picture)) for tile in tiles))
    assert torch.allclose(joined, picture, atol=1e-6)


def test_neighbours_share_the_overlap() -> None:
    spans = sorted({(tile.left, tile.right) for tile in cut(10, 1000, 256, 64)})
    assert spans[0][0] == 0 and spans[-1][1] == 1000
    assert all(left[1] - right[0] >= 64 for left, right in itertools.pairwise(spans))


def test_tiles_are_as_small_as_their_number_allows_and_fit_networks() -> None:
    tiles = cut(1088, 1920, 1024, 96)
    assert len(tiles) == 4
    for tile in tiles:
        assert (tile.bottom - tile.top) % 32 == 0 and (tile.right - tile.left) % 32 == 0
    assert sum((tile.bottom - tile.top) * (tile.right - tile.left) for tile in tiles) < 1.25 * 1088 * 1920


@pytest.mark.parametrize(("length", "side", "overlap"), [(1080, 540, 96), (2160, 1024, 160), (1000, 256, 64)])
def test_tiles_begin_at_whole_steps_of_a_network(length: int, side: int, overlap: int) -> None:
    """A network that halves a picture five times answers otherwise for a part that begins between its steps."""
    spans = [(tile.left, tile.right) for tile in cut(10, length, side, overlap)]
    assert all(left % 32 == 0 and right - left <= side for left, right in spans)
    assert spans[-1][1] == length
    assert all(before[1] - after[0] >= overlap for before, after in itertools.pairwise(spans))


@pytest.mark.parametrize("seed", range(4))
def test_boxes_around_what_is_wanted_cover_it_once_and_little_else(seed: int) -> None:
    places = torch.rand(20, 24, generator=torch.Generator().manual_seed(seed)) > 0.97
    wanted = places.repeat_interleave(8, 0).repeat_interleave(8, 1)
    covered = torch.zeros_like(wanted, dtype=torch.int)
    for box in around(wanted, 4, 32, 8):
        assert not any(side % 4 for side in (box.top, box.bottom, box.left, box.right))
        box.crop(covered).add_(1)
    assert int(covered.max()) == 1 and bool(covered[wanted].all())
    assert int(covered.sum()) < 0.5 * wanted.numel()
    assert around(torch.zeros(32, 32, dtype=torch.bool), 4, 16, 8) == []


def test_a_box_grows_no_further_than_the_picture_and_keeps_its_place_within() -> None:
    box = Tile(4, 12, 20, 32)
    larger = box.grown(8, 16, 64)
    assert larger == Tile(0, 16, 12, 40) and larger.reduced(4) == Tile(0, 4, 3, 10)
    picture = torch.arange(16 * 64).view(16, 64)
    assert torch.equal(box.within(larger).crop(larger.crop(picture)), box.crop(picture))
