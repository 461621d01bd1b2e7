"""Training: recipes, repeatable batches, and runs that go on as if they had never stopped."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from matte_core.errors import ModelError, SourceError, UsageError
from matte_core.models.layers.colour_models import ColourModels, colour_models
from matte_core.models.layers.solver import MattingSystem
from matte_core.models.net_m.net import NetM, Settings
from matte_core.models.weights import load_into
from matte_core.train import loop
from matte_core.train.bank import Shard, load_bank, make_bank
from matte_core.train.batches import Crops
from matte_core.train.export import export_weights
from matte_core.train.material import Material
from matte_core.train.recipe import RECIPES, parse_recipe

from .conftest import quiet

CPU = torch.device("cpu")
TINY = Settings((4, 4, 6, 6, 8), 4, (1, 1, 1, 1), (1, 1, 1, 1), attention=False, refinement=0, inputs="solves")
RECIPE = """
name = "tiny"
seed = 3
[network]
widths = [4, 4, 6, 6, 8]
full = 4
depths = [1, 1, 1, 1]
rises = [1, 1, 1, 1]
refinement = 0
attention = false
inputs = "solves"
[data]
shards = 1
size = 64
validation = 1
[optimisation]
iterations = 6
batch = 2
warm_up = 2
[pace]
note = 1
validate = 6
save = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small bank and small validation crops, shared by the runs here."""
    made = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matte_core.train.bank.CROPS_PER_SHARD", 4)
        make_bank(made / "bank", 1, 1, 64, Material())
    (shard,) = load_bank(made / "bank")
    (made / "validation").mkdir()
    shard.save(made / "validation" / "named.npz")
    return made


def start(folder: Path, to: Path) -> Path:
    """A run's folder at `to` with the shared crops, and its recipe beside it."""
    to.mkdir()
    for name in ("bank", "validation"):
        (to / name).symlink_to(folder / name)
    recipe = to / "recipe.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe


def test_a_killed_run_resumes_to_the_same_curve_and_weights(
    folder: Path, tmp_path: Path, same_after_a_kill: Any
) -> None:
    def train(to: Path, resume: bool) -> Path:
        recipe = to / "recipe.toml" if resume else start(folder, to)
        return loop.train(recipe, None, CPU, resume, to, quiet)

    same_after_a_kill(train, 5)
    assert len(torch.load(tmp_path / "killed" / "last.pt", weights_only=True)["curve"]["iterations"]) == 6


def test_a_run_leaves_curve_mattes_scores_and_weights(folder: Path, tmp_path: Path) -> None:
    recipe = start(folder, tmp_path / "run")
    weights = loop.train(recipe, None, CPU, False, tmp_path / "run", quiet)
    assert weights.name == "net.pt"
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"curve.png", "mattes_000006.png", "scores_000006.txt", "last.pt", "net.pt"} <= left
    with pytest.raises(UsageError, match="holds a run already"):
        loop.train(recipe, None, CPU, False, tmp_path / "run", quiet)


def test_resuming_with_another_recipe_or_without_a_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    recipe = start(folder, tmp_path / "run")
    with pytest.raises(SourceError, match="nothing to resume"):
        loop.train(recipe, None, CPU, True, tmp_path / "run", quiet)
    loop.train(recipe, None, CPU, False, tmp_path / "run", quiet)
    recipe.write_text(RECIPE.replace("seed = 3", "seed = 4"), encoding="utf-8")
    with pytest.raises(SourceError, match="another recipe"):
        loop.train(recipe, None, CPU, True, tmp_path / "run", quiet)


def test_training_lowers_the_loss(folder: Path) -> None:
    recipe = parse_recipe(RECIPE)
    task = recipe.make_task()
    run = loop._start(recipe, task, CPU, folder)
    batch = Crops(load_bank(folder / "bank")).draw(0, 0, 2)
    losses = [loop.step(run, recipe, task, batch, CPU)["total"] for _ in range(6)]
    run.iteration = 2
    losses += [loop.step(run, recipe, task, batch, CPU)["total"] for _ in range(6)]
    assert min(losses[6:]) < losses[0]


def test_a_batch_is_decided_by_seed_and_iteration(folder: Path) -> None:
    crops = Crops(load_bank(folder / "bank"))
    first, again, other = crops.draw(1, 5, 2), crops.draw(1, 5, 2), crops.draw(1, 6, 2)
    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, other.pixels)
    assert first.pixels.shape == (2, 3, 64, 64) and first.solved.shape == (2, 2, 64, 64)


def test_turning_a_crop_turns_its_solves_with_it(folder: Path) -> None:
    crops = Crops(load_bank(folder / "bank"))
    for iteration in range(4):
        batch = crops.draw(2, iteration, 2)
        known = batch.unknown == 0
        assert torch.allclose(batch.solved[:, :1][known], batch.trimap[known], atol=0.01)


def test_a_bank_is_made_once_and_a_broken_shard_is_named(folder: Path, tmp_path: Path) -> None:
    (path,) = (folder / "bank").iterdir()
    before = path.stat().st_mtime_ns
    make_bank(folder / "bank", 1, 1, 64, Material())
    assert path.stat().st_mtime_ns == before
    (tmp_path / "0001_00000.npz").write_bytes(b"no zip")
    with pytest.raises(SourceError, match="no shard"):
        list(load_bank(tmp_path))
    assert len(Shard.load(path)) == 4


def test_a_recipe_is_read_strictly() -> None:
    recipe = parse_recipe(RECIPE)
    assert recipe.network == TINY
    assert recipe.optimisation.iterations == 6
    for wrong, said in (
        ("colour = 1", "colour is no setting"),
        ('seed = "x"', "must be a int"),
        ("= 3", "not TOML"),
        ('[network]\ninputs = "smell"', "Choose one of: picture, colours, solves"),
        ('task = "net_x"', "Choose one of: net_m, net_t"),
        ('task = "net_t"\n[data.masks]\nmargins = 3', "data.masks.margins is no setting"),
    ):
        with pytest.raises(UsageError, match=said):
            parse_recipe(f'name = "a"\n{wrong}\n')


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_that_ship_are_valid(path: Path) -> None:
    recipe = parse_recipe(path.read_text(encoding="utf-8"))
    task = recipe.make_task()
    if path.stem != "adaption" and "published" not in path.stem:  # those are of the published size
        parameters = sum(parameter.numel() for parameter in task.build().parameters())
        assert 150_000 < parameters < 4_000_000  # 8 MB of halves, to travel in the package


def test_the_average_follows_the_weights() -> None:
    net = NetM(TINY)
    average = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    loop._average(net, average, 0.75)
    moved = [(a - b).detach() for a, b in zip(net.parameters(), average.parameters(), strict=True)]
    assert np.allclose([float(m.mean()) for m in moved], 0.75)


def test_exported_weights_are_halves_that_load_strictly(folder: Path, tmp_path: Path) -> None:
    net = NetM(TINY)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    digest = export_weights(tmp_path / "net.pt", tmp_path / "net.safetensors")
    again = load_into(NetM(TINY), tmp_path / "net.safetensors", CPU)
    assert len(digest) == 64
    assert all(torch.allclose(a, b, atol=2e-3) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    assert (tmp_path / "net.safetensors").stat().st_size < (tmp_path / "net.pt").stat().st_size
    zeros = {name: torch.zeros_like(value) for name, value in net.state_dict().items()}
    torch.save(zeros, tmp_path / "before.pt")
    export_weights(tmp_path / "before.pt", tmp_path / "mean.safetensors", [tmp_path / "before.pt", tmp_path / "net.pt"])
    mean = load_into(NetM(TINY), tmp_path / "mean.safetensors", CPU)
    assert all(torch.allclose(a / 3, b, atol=2e-3) for a, b in zip(net.parameters(), mean.parameters(), strict=True))
    torch.save({"enter": torch.tensor([1e9])}, tmp_path / "net.pt")
    with pytest.raises(ModelError, match="half precision"):
        export_weights(tmp_path / "net.pt", tmp_path / "net.safetensors")


def test_a_part_of_a_crop_has_some_of_all_regions_where_there_is_one(folder: Path) -> None:
    crops = Crops(load_bank(folder / "bank"))
    batch = crops.draw(0, 0, 4, 32)
    assert batch.pixels.shape == (4, 3, 32, 32) and batch.solved.shape == (4, 2, 32, 32)
    assert bool((batch.unknown.sum((1, 2, 3)) > 0).all())


def test_a_run_starts_from_the_weights_its_recipe_names(folder: Path, tmp_path: Path) -> None:
    recipe = start(folder, tmp_path / "run")
    torch.save(NetM(TINY).state_dict(), tmp_path / "before.pt")
    recipe.write_text('start = "before.pt"\n' + RECIPE, encoding="utf-8")
    parsed = parse_recipe(recipe.read_text())
    run = loop._start(parsed, parsed.make_task(), CPU, tmp_path / "run")
    before = torch.load(tmp_path / "before.pt", weights_only=True)
    assert all(torch.equal(value, before[name]) for name, value in run.net.state_dict().items())
    other = {name: value + 2 if value.is_floating_point() else value for name, value in before.items()}
    torch.save(other, tmp_path / "other.pt")
    loop._take(run.net, [tmp_path / "before.pt", tmp_path / "other.pt"], CPU)
    taken = run.net.state_dict()
    assert all(torch.allclose(taken[n], v + 1) if v.is_floating_point() else True for n, v in before.items())
    torch.save({"one": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(SourceError, match="of different networks"):
        loop._take(run.net, [tmp_path / "before.pt", tmp_path / "other.pt"], CPU)
    (tmp_path / "before.pt").unlink()
    with pytest.raises(SourceError, match="weights to start from"):
        loop._start(parsed, parsed.make_task(), CPU, tmp_path / "run")


def test_only_crops_in_the_light_asked_for_are_drawn(folder: Path) -> None:
    (shard,) = load_bank(folder / "bank")
    kept = Crops([shard], ("scene",))
    assert len(kept) == int((shard.light == "scene").sum())
    assert len(Crops([shard])) == len(shard)


def test_the_solves_hold_in_other_colours(folder: Path) -> None:
    crops = Crops(load_bank(folder / "bank"))
    whole, changed = crops.draw(3, 1, 4), crops.draw(3, 1, 4, recoloured=1.0)
    assert torch.equal(whole.trimap, crops.draw(3, 1, 4).trimap)
    assert not torch.equal(whole.pixels, changed.pixels)
    for place in range(4):
        linear = float(changed.light[place]) > 0
        assert float(changed.pixels[place].min()) >= 0
        assert float(changed.pixels[place].max()) <= (16 if linear else 1) + 1e-5
        system = MattingSystem(changed.pixels[place], changed.trimap[place, 0])
        unknown = changed.unknown[place, 0] > 0
        difference = (system.solve([None], [0.0])[0] - changed.solved[place, 0]).abs()[unknown]
        assert float(difference.mean()) < 0.03
    given = ColourModels.of(changed.models)
    assert torch.allclose(colour_models(changed.pixels, changed.trimap).projected, given.projected, atol=0.05)


def test_a_shard_is_read_where_it_is_looked_at_and_writing_to_it_changes_no_file(folder: Path, tmp_path: Path) -> None:
    (path,) = (folder / "bank").glob("*.npz")
    shard = Shard.load(path)
    with np.load(path) as fields:
        for name in Shard.__dataclass_fields__:
            assert (
                np.array_equal(getattr(shard, name), fields[name]) and getattr(shard, name).dtype == fields[name].dtype
            )
    before = path.read_bytes()
    shard.alpha[0] = 7
    assert path.read_bytes() == before
    half = tmp_path / "half.npz"
    for damaged in (before[: len(before) // 2], b"", b"PK" + before[:40]):
        half.write_bytes(damaged)
        with pytest.raises(SourceError, match="is no shard"):
            Shard.load(half)


def test_a_network_given_more_does_not_listen_to_it_at_first(tmp_path: Path) -> None:
    plain = replace(TINY, spectral=False)
    before, more = NetM(plain).eval(), NetM(replace(plain, light=True)).eval()
    torch.nn.init.normal_(before.coarse.out.weight)
    torch.save(before.state_dict(), tmp_path / "before.pt")
    loop._take(more, [tmp_path / "before.pt"], CPU)
    pixels, trimap = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64).mul(2).round() / 2
    solved = torch.rand(1, 2, 64, 64)
    told = more(pixels, trimap, solved, light=torch.ones(1, 1, 1, 1)).alpha
    assert torch.allclose(told, before(pixels, trimap, solved).alpha, atol=1e-6)
