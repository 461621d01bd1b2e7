"""Adaption to real footage: slopes through the soft fusion, a critic that learns, a teacher whose share is halved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from matte_core.errors import SourceError, UsageError
from matte_core.models.net_m.net import NetM
from matte_core.models.net_m.net import Settings as NetMSettings
from matte_core.models.net_t.net import NetT
from matte_core.models.net_t.net import Settings as NetTSettings
from matte_core.train import loop
from matte_core.train.critic import Critic
from matte_core.train.cutouts import Cutouts, find_cutouts
from matte_core.train.footage import Footage, Rough
from matte_core.train.joint import JointNet, answered_softly
from matte_core.train.procedural.trimaps import BACKGROUND, FOREGROUND
from matte_core.train.recipe import RECIPES, parse_recipe
from matte_core.train.tasks.adaption import AdaptionLoss, AdaptionTask, Data, Students

from .conftest import quiet

CPU = torch.device("cpu")
TINY_T = NetTSettings(stem=4, inner=(2, 2, 4, 4), counts=(1, 1, 1, 1), pyramid=8, skip=4, dropout=(0.1, 0.1))
TINY_M = NetMSettings(widths=(4, 4, 8, 8, 8), full=4, depths=(1, 1, 1, 1), rises=(1, 1, 1, 1), refinement=4)
RECIPE = """
name = "tiny"
task = "adaption"
seed = 5
[network]
critic = 4
[network.net_t]
stem = 4
inner = [2, 2, 4, 4]
counts = [1, 1, 1, 1]
pyramid = 8
skip = 4
[network.net_m]
widths = [4, 4, 8, 8, 8]
full = 4
depths = [1, 1, 1, 1]
rises = [1, 1, 1, 1]
refinement = 4
[data]
size = 96
shown = 2
[data.rough]
foreground = 4
background = 8
mask = 5
blur = 1.0
[losses]
halved = 2
[optimisation]
iterations = 6
batch = 2
rate = 1e-3
betas = [0.5, 0.999]
warm_up = 1
[pace]
note = 1
validate = 6
save = 2
"""


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of a disc before noise with rough masks, and two backgrounds."""
    data = tmp_path_factory.mktemp("footage")
    random = np.random.default_rng(0)
    for folder in ("image", "mask", "bg"):
        (data / folder).mkdir()
    rows, columns = np.mgrid[0:144, 0:160]
    for number in range(2):
        disc = np.hypot(rows - 72, columns - 70 - 10 * number) < 40
        noise = random.integers(60, 200, (144, 160, 3))
        frame = np.where(disc[..., None], (40, 90, 220), noise).astype(np.uint8)
        assert cv2.imwrite(str(data / "image" / f"{number}.png"), frame)
        assert cv2.imwrite(str(data / "mask" / f"{number}.png"), disc.astype(np.uint8) * 255)
        assert cv2.imwrite(str(data / "bg" / f"{number}.png"), np.full((120, 130, 3), 90 * number, np.uint8))
    return data


def test_the_mattes_error_reaches_the_trimaps_network() -> None:
    torch.manual_seed(0)
    joint = JointNet(NetT(TINY_T), NetM(TINY_M))
    answer = joint(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
    assert answer.alpha.shape == answer.coarse.shape == (2, 1, 64, 64)
    answer.alpha.mean().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in joint.net_t.out.parameters())
    assert float(joint.net_t.out.weight.grad.abs().sum()) > 0


def test_certain_regions_are_the_trimap_they_stand_for() -> None:
    torch.manual_seed(0)
    net = NetM(TINY_M).eval()
    pixels, trimap = torch.rand(1, 3, 64, 64), torch.randint(0, 3, (1, 64, 64))
    regions = torch.nn.functional.one_hot(trimap, 3).movedim(-1, 1).float()
    with torch.no_grad():
        softly = answered_softly(net, pixels, regions).alpha
        assert torch.allclose(softly, net(pixels, trimap[:, None] / 2).alpha, atol=1e-6)


def test_a_net_m_with_solves_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be trained jointly"):
        JointNet(NetT(TINY_T), NetM(NetMSettings((4, 4, 4, 4, 4), 4, inputs="solves")))


def test_the_critic_sees_patches_of_70_pixels_and_learns_a_toy() -> None:
    torch.manual_seed(1)
    critic = Critic(8)
    smooth = torch.rand(4, 3, 1, 1).expand(4, 3, 96, 96)
    rough = torch.rand(4, 3, 96, 96)
    optimiser = torch.optim.Adam(critic.parameters(), 2e-3)
    errors = []
    for _ in range(40):
        error = critic.mistaken(rough, smooth)
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.2 * errors[0]
    with torch.no_grad():
        assert float(critic(rough).mean()) > 0.8 and float(critic(smooth).mean()) < 0.2
    picture = torch.rand(1, 3, 192, 192, requires_grad=True)
    middle = critic(picture)
    middle[0, 0, middle.shape[2] // 2, middle.shape[3] // 2].backward()
    assert picture.grad is not None
    # Instance norms let every pixel count a little; without them a score sees 70 x 70 pixels.
    plain = torch.nn.Sequential(*(step for step in critic.steps if not isinstance(step, torch.nn.InstanceNorm2d)))
    picture.grad = None
    plain(picture)[0, 0, 10, 10].backward()
    seen = picture.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_each_side_of_the_contest_moves_its_own_weights_only() -> None:
    torch.manual_seed(2)
    critic = Critic(4)
    composite = torch.rand(1, 3, 96, 96, requires_grad=True)
    critic.convinced(composite).backward()
    assert composite.grad is not None and float(composite.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in critic.parameters())
    composite.grad = None
    critic.mistaken(torch.rand(1, 3, 96, 96), composite).backward()
    assert composite.grad is None
    assert all(parameter.grad is not None for parameter in critic.parameters())


def test_the_teachers_share_is_halved_on_schedule() -> None:
    task = AdaptionTask(Students(), Data(), AdaptionLoss())
    assert [task.share(n) for n in (0, 9_999, 10_000, 19_999, 30_000)] == [0.5, 0.5, 0.25, 0.25, 0.0625]


def test_a_take_marks_what_is_sure_and_gives_a_smaller_mask(footage: Path) -> None:
    takes = Footage(find_cutouts(footage), Rough(4, 8, 5, 1.0), 96)
    take = takes.take(np.random.default_rng(0), 0)
    assert take.pixels.shape == take.behind.shape == (96, 96, 3)
    assert set(np.unique(take.regions)) == {0, 1, 2}
    blue = np.abs(take.pixels - np.array([220, 90, 40], np.float32) / 255).max(2) < 0.02
    assert blue[take.regions == FOREGROUND].mean() > 0.99
    assert blue[take.regions == BACKGROUND].mean() < 0.01
    assert 0 < (take.mask > 0.5).sum() < (take.regions != BACKGROUND).sum()


def test_footage_without_backgrounds_is_refused() -> None:
    with pytest.raises(UsageError, match="no frames"):
        Footage(Cutouts(), Rough(), 96)


def test_a_killed_adaption_resumes_to_the_same_curve_and_weights(
    footage: Path, tmp_path: Path, same_after_a_kill: Any
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    same_after_a_kill(lambda to, resume: loop.train(recipe, footage, CPU, resume, to, quiet), 5)
    curve = torch.load(tmp_path / "killed" / "last.pt", weights_only=True)["curve"]
    losses = curve["losses"]
    assert set(losses) == {"total", "entropy", "coarse", "refined", "convincing", "critic"}
    assert all(np.isfinite(values).all() and len(values) == 6 for values in losses.values())
    assert list(curve["scores"]) == ["distance to the teacher"]
    assert cv2.imread(str(tmp_path / "whole" / "takes_000006.png")).shape == (2 * 96, 6 * 96, 3)


def test_each_network_learns_at_its_own_rate(footage: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(RECIPE)
    task = recipe.make_task()
    loop._prepare(task, footage, tmp_path / "run", quiet)
    run = loop._start(recipe, task, CPU, tmp_path / "run")
    loop.step(run, recipe, task, task.draw(1, 0, 2), CPU)
    assert all(group["betas"] == (0.5, 0.999) for group in run.optimiser.param_groups)
    rates = {round(group["lr"] / run.optimiser.param_groups[0]["lr"], 3) for group in run.optimiser.param_groups}
    assert rates == {1.0, 0.4, 0.1}
    held = sum(len(group["params"]) for group in run.optimiser.param_groups)
    assert held == len(list(run.net.parameters()))


def test_missing_weights_to_start_from_are_named(footage: Path, tmp_path: Path) -> None:
    text = RECIPE.replace("critic = 4", 'critic = 4\nnet_t_weights = "net_t/net.pt"')
    recipe = parse_recipe(text)
    task = recipe.make_task()
    loop._prepare(task, footage, tmp_path / "run", quiet)
    with pytest.raises(SourceError, match=r"net_t/net.pt holds no weights"):
        task.build()


def test_the_published_recipe_is_valid() -> None:
    recipe = parse_recipe((RECIPES / "adaption.toml").read_text(encoding="utf-8"))
    assert recipe.network == Students(net_t_weights="net_t/net.pt", net_m_weights="net_m/net.pt")
    assert recipe.losses == AdaptionLoss() and recipe.data == Data()
    assert recipe.optimisation.betas == (0.5, 0.999) and recipe.optimisation.decay == 0
