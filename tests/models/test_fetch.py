"""Weights that do not ship with Matte: confirmed, proven to fit, noted, checked at every use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from matte_core import ops
from matte_core.cli import main
from matte_core.engine.engine import Engine
from matte_core.errors import ModelError
from matte_core.frame import FrameRange, Header, Window
from matte_core.memory import hold
from matte_core.models import fetch as fetching
from matte_core.models import maggie
from matte_core.models.catalogue import cards, names
from matte_core.models.fetch import fetch
from matte_core.models.maggie.net import Maggie
from matte_core.models.weights import find, models_folder, sum_of
from matte_core.op import OPS
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import Shot

NUMBERS = FrameRange.parse("1001-1005")
WINDOW = Window(0, 0, 60, 44)


@pytest.fixture(autouse=True)
def empty_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATTE_MODELS", str(tmp_path / "models"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights of the network for clips, as someone may have brought it."""
    torch.manual_seed(0)
    net = Maggie(maggie.VIDEO.settings)
    net.decoder.refine_OS8.decoder_norm.weight.data *= 20
    path = tmp_path_factory.mktemp("brought") / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    return path


def test_a_model_without_its_weights_is_not_offered_and_says_why() -> None:
    assert "maggie-small" in names(told="instances")
    assert "maggie-video" not in names(told="instances") and "maggie-video" not in names()
    plate, masks = a_plate(), some_masks()
    with pytest.raises(ModelError, match=r"the weights of maggie-video are not here. Run: matte weights fetch"):
        ops.instance_matte(plate, masks, "maggie-video")
    assert ops.instance_matte(plate, masks, "closed-form").channels == ("hero", "dog")


def test_brought_weights_are_proven_noted_and_checked_from_then_on(weights: Path) -> None:
    path = fetch(maggie.VIDEO, weights)
    assert path == find(maggie.VIDEO.card) and len(sum_of(maggie.VIDEO.card)) == 64
    assert "maggie-video" in names(told="instances")
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="is not the file that maggie-video was made with"):
        find(maggie.VIDEO.card)


def test_a_file_put_there_by_hand_is_not_trusted(weights: Path) -> None:
    models_folder().mkdir()
    (models_folder() / "maggie-video.safetensors").write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"put there by hand.*matte weights fetch maggie-video --from"):
        find(maggie.VIDEO.card)


def test_weights_of_another_network_are_refused_and_what_was_there_stays(weights: Path, tmp_path: Path) -> None:
    kept = fetch(maggie.VIDEO, weights)
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    for wrong in (tmp_path / "other.safetensors", tmp_path / "missing.safetensors"):
        with pytest.raises(ModelError):
            fetch(maggie.VIDEO, wrong)
    assert find(maggie.VIDEO.card) == kept
    assert sorted(file.name for file in models_folder().iterdir()) == ["maggie-video.json", "maggie-video.safetensors"]


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["weights", "fetch", *words])
    return int(left.value.code or 0)


def test_non_commercial_use_must_be_confirmed(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert command("maggie-video", "--from", str(weights)) == 2
    said = " ".join(capfd.readouterr().err.split())
    assert "CC BY-NC 4.0" in said and "Confirm with --non-commercial" in said
    assert not models_folder().exists()
    assert command("maggie-video", "--from", str(weights), "--non-commercial") == 0
    assert command("closed-form", "--non-commercial") == 4
    assert not any(card.weights.commercial for card in cards() if card.weights and card.weights.repository)


def test_for_paid_work_only_such_weights_are_neither_listed_nor_fetched_nor_used(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(maggie.VIDEO, weights)
    asked = {"maggie-image", "maggie-video", "portrait"}
    assert "maggie-video" in names(told="instances") and asked <= listed(capfd)
    assert not asked & listed(capfd, "--commercial-only")
    assert listed(capfd, "--commercial-only") == {
        card.name for card in cards() if card.weights is None or card.weights.commercial
    }
    monkeypatch.setenv("MATTE_COMMERCIAL_ONLY", "1")
    assert not asked & listed(capfd) and names(told="instances") == ["maggie-small", "maggie-small-video"]
    assert "maggie-video" not in instance_matte_choices()
    plate, masks = a_plate(), some_masks()
    for refused in (
        lambda: find(maggie.VIDEO.card),
        lambda: fetch(maggie.VIDEO, weights),
        lambda: ops.instance_matte(plate, masks, "maggie-video"),
    ):
        with pytest.raises(ModelError, match=r"CC BY-NC 4.0.* may not be used for paid work"):
            refused()
    assert command("maggie-image", "--from", str(weights), "--non-commercial") == 4
    assert "matte models --commercial-only" in " ".join(capfd.readouterr().err.split())
    monkeypatch.setenv("MATTE_COMMERCIAL_ONLY", "0")
    assert find(maggie.VIDEO.card) is not None


def listed(capfd: pytest.CaptureFixture[str], *words: str) -> set[str]:
    """Names of the models that the command lists."""
    with pytest.raises(SystemExit):
        main(["models", "--json", *words])
    return {row["name"] for row in json.loads(capfd.readouterr().out)}


def instance_matte_choices() -> list[str]:
    """Models that the node Instance Matte offers."""
    choices = OPS["instance_matte"].port("model").choices
    return [] if choices is None else list(choices())


def test_a_network_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_network(repository: str, folder: Path) -> Path:
        raise ModelError(f"{repository} cannot be fetched: no route. Check the network, or use --from FILE.")

    monkeypatch.setattr(fetching, "_downloaded", no_network)
    assert command("maggie-image", "--non-commercial") == 4
    assert "--from FILE" in capfd.readouterr().err


def a_plate() -> Shot:
    drawn = np.random.default_rng(1).random((5, 3, WINDOW.height, WINDOW.width)).astype(np.float32)
    header = Header(WINDOW, WINDOW, colour_space="Linear Rec.709 (sRGB)")
    return hold(lambda place: drawn[place], 5, NUMBERS, kind="plate", header=header, channels=("R", "G", "B"))


def some_masks() -> Shot:
    masks = np.zeros((5, 2, WINDOW.height, WINDOW.width), np.float32)
    for place in range(5):
        masks[place, 0, 5:25, 5 + 3 * place : 25 + 3 * place] = 1
        masks[place, 1, 20:40, 35:55] = 1
    return hold(
        lambda place: masks[place], 5, NUMBERS, kind="matte", header=Header(WINDOW, WINDOW), channels=("hero", "dog")
    )


def pulled(shot: Shot, numbers: Sequence[int]) -> dict[int, bytes]:
    run = Run(
        Plan([(shot, numbers)]), lanes=SERIAL, tools=Engine(torch.device("cpu"), find), inside=torch.inference_mode
    )
    return {frame.number: frame.pixels.tobytes() for frame in run}


def test_a_clip_through_the_engine_is_the_same_whole_and_in_parts(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(maggie.VIDEO, weights)
    monkeypatch.setattr(maggie, "VIDEO", replace(maggie.VIDEO, short_side=0))
    matte = ops.instance_matte(a_plate(), some_masks(), "maggie-video", overlap="keep")
    assert matte.channels == ("hero", "dog") and matte.frames == NUMBERS
    whole = pulled(matte, NUMBERS)
    assert list(whole) == list(NUMBERS) and len(set(whole.values())) == 5
    assert pulled(matte, [1004, 1005]) == {number: whole[number] for number in (1004, 1005)}
    agreed = ops.instance_matte(a_plate(), some_masks(), "maggie-video")
    layers = np.frombuffer(pulled(agreed, [1002])[1002], np.float32).reshape(2, -1)
    assert layers.astype(np.float64).sum(0).max() <= 1
