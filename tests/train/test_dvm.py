"""Training DVM and trimap propagation: a short run of each, from making clips to the files that it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from matte_core.train import loop
from matte_core.train.clips import make_clips, smoothed
from matte_core.train.keyed import Keyed, make_keyed
from matte_core.train.procedural.camera import Light
from matte_core.train.procedural.fields import as_map
from matte_core.train.recipe import parse_recipe
from matte_core.train.tasks.propagation import by_flow, carried_to

CPU = torch.device("cpu")
END = """
[optimisation]
iterations = 12
batch = 2
warm_up = 1
rate = 1e-2
[pace]
note = 1
validate = 12
save = 6
"""
DVM = f"""
name = "tiny"
task = "dvm"
seed = 3
[network]
reach = 1
stem = 4
inner = [2, 2, 3, 4]
counts = [1, 1, 1, 1]
aligned = 4
groups = 2
decoder = [8, 6, 4, 4, 4]
given = "alpha"
[data]
shards = 1
size = 64
frames = 4
part = 32
first = "net_m-small-fast"
validation = 1
large = 64
{END}"""
PROPAGATION = f"""
name = "tiny"
task = "propagation"
seed = 3
[network]
stem = 4
inner = [2, 2, 3]
counts = [1, 1, 1]
key = 4
value = 4
decoder = [6, 4, 4, 4]
carried = true
[data]
shards = 1
size = 64
numbers = [0, 2, 3]
part = 32
validation = 2
measured = 4
{END}"""


@pytest.fixture(scope="module", params=["dvm", "propagation"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a short run left, on a bank of two clips, with its recipe."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = folder / "recipe.toml"
    recipe.write_text(DVM if request.param == "dvm" else PROPAGATION, encoding="utf-8")
    if request.param == "dvm":
        make_clips(folder / "bank", 1, 1, 64, 4, (), "net_m-small-fast", count=2)
    else:
        make_keyed(folder / "bank", 1, 1, 64, (0, 2, 3), (), count=2)
    loop.train(recipe, None, CPU, False, folder, lambda *told: None)
    return folder


def test_a_run_goes_through_and_leaves_scores_pictures_and_weights(run: Path) -> None:
    tensors = torch.load(run / "net.pt", weights_only=True)
    assert all(bool(torch.isfinite(tensor.float()).all()) for tensor in tensors.values())
    assert list(run.glob("*_000012*.png")) and (run / "curve.png").is_file()
    rows = (run / "scores_000012.txt").read_text(encoding="utf-8").splitlines()
    numbers = [float(word) for row in rows[1:] for word in row.split()[-2:]]
    assert len(numbers) >= 4 and np.isfinite(numbers).all()


def test_a_batch_is_decided_by_seed_and_iteration_and_training_on_it_lowers_its_loss(run: Path) -> None:
    recipe = parse_recipe((run / "recipe.toml").read_text(encoding="utf-8"))
    task = recipe.make_task()
    loop._prepare(task, None, run, lambda *told: None)
    batch, again, other = (task.draw(3, iteration, 2) for iteration in (0, 0, 1))
    names = type(batch).__dataclass_fields__
    assert all(torch.equal(getattr(batch, name), getattr(again, name)) for name in names)
    assert not all(torch.equal(getattr(batch, name), getattr(other, name)) for name in names)
    torch.manual_seed(0)
    state = loop._start(recipe, task, CPU, run)
    losses = [loop.step(state, recipe, task, batch, CPU)["total"] for _ in range(12)]
    assert np.mean(losses[-3:]) < losses[0]


@pytest.mark.parametrize("light", ["scene", "display"])
def test_alphas_of_a_clip_are_smoothed_where_they_are_unknown(light: Light) -> None:
    pixels = np.repeat(np.random.default_rng(2).random((1, 40, 40, 3), np.float32), 5, 0)
    pixels[2:, 0, 0] = 0.5  # the plate stands still but for a pixel, so that frames are not the same
    trimap = np.ones((5, 40, 40), np.uint8)
    trimap[:, :8], trimap[:, -8:] = 0, 2
    flicker = as_map(np.full((5, 40, 40), 0.5) + 0.2 * (np.arange(5) % 2)[:, None, None])
    made = smoothed(lambda *told: flicker)(pixels, trimap, light)
    assert (made[:, :8] == 0).all() and (made[:, -8:] == 1).all()
    assert np.abs(np.diff(made, axis=0)).max() < 0.5 * 0.2


def test_a_keyed_clip_tells_what_flow_carries_from_its_first_and_its_last_frame(tmp_path: Path) -> None:
    make_keyed(tmp_path, 2, 1, 64, (0, 1, 3), (), count=1)
    (path,) = tmp_path.glob("*.npz")
    clips = Keyed.load(path)
    assert clips.pixels.shape == (1, 3, 64, 64, 3) and clips.numbers.tolist() == [[0, 1, 3]]
    for key, frame in ((0, 0), (2, 2)):  # on the key itself it is the key
        assert np.array_equal(by_flow(clips, 0, frame, (key,)), as_map(clips.trimap[0, key]) / 2)
    both = carried_to(clips, 0, 1, (0, 2))
    assert both.shape == (4, 64, 64) and both.min() >= 0 and both.max() <= 1
