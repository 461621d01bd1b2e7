"""Training MaGGIe: a few iterations go through for pictures and clips, and clips go on from pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from matte_core.errors import SourceError
from matte_core.train import instance_bank
from matte_core.train.loop import train
from matte_core.train.recipe import RECIPES, parse_recipe

NETWORK = """
[network]
temporal = {temporal}
widths = [4, 4, 8, 8, 8]
depths = [1, 1, 1, 1]
rises = [1, 1]
tokens = 8
fine = 4
spectral = false
scrambled = false
pulled = false
boxed = false
evidence = true
"""
RECIPE = """
name = "tiny"
task = "maggie"
seed = 3
start = "{start}"
{network}
[data]
frames = {frames}
members = 1
shards = 1
size = 64
part = 64
validation = 1
guided = 1

[optimisation]
iterations = 3
batch = 2

[pace]
note = 1
validate = 3
save = 1
"""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_bank, "CROPS_PER_SHARD", 6)
    monkeypatch.setattr(instance_bank, "CLIPS_PER_SHARD", 2)


def trained(folder: Path, frames: int, start: str = "", resume: bool = False) -> Path:
    network = NETWORK.format(temporal=str(frames > 1).lower())
    recipe = folder / f"recipe{frames}.toml"
    recipe.write_text(RECIPE.format(start=start, network=network, frames=frames))
    return train(recipe, None, torch.device("cpu"), resume, folder / str(frames), lambda *_: None)


def test_pictures_are_learned_from_and_clips_go_on_from_there(tmp_path: Path) -> None:
    tensors = torch.load(trained(tmp_path, 1), weights_only=True)
    assert all(bool(torch.isfinite(each.float()).all()) for each in tensors.values())
    table = (tmp_path / "1" / "scores_000003.txt").read_text()
    assert all(name in table for name in ("exact", "8x", "32x", "polygon", "eroded", "dilated", "as trained"))
    assert (tmp_path / "1" / "mattes_000003.png").stat().st_size > 1000
    clips = torch.load(trained(tmp_path, 2, "1/net.pt"), weights_only=True)
    assert set(tensors) < set(clips) and "decoder.os8_temp_module.ih.0.weight" in clips


def test_a_start_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"some.weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(SourceError, match="no weights to start from"):
        trained(tmp_path, 2, "other.pt")


@pytest.mark.parametrize(
    "name", ["maggie_small", "maggie_small_2", "maggie_small_video", "maggie_published", "maggie_published_video"]
)
def test_the_recipes_can_be_read_and_the_published_ones_have_the_papers_numbers(name: str) -> None:
    recipe = parse_recipe((RECIPES / f"{name}.toml").read_text())
    assert recipe.task == "maggie" and recipe.network.temporal == name.endswith("video")
    if "published" in name:
        assert recipe.network.widths == (32, 64, 128, 256, 512) and not recipe.network.evidence
        assert recipe.losses.attention == 5 and recipe.data.part == 512 and recipe.optimisation.clip == 0.01
