"""A good guest in ComfyUI: its devices, its memory, its models folder, its pictures in half and on a graphics card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from matte_core.engine.engine import Engine, pick_device, pick_precision
from matte_core.engine.ladder import HANDED
from matte_core.engine.networks import Networks
from matte_core.errors import ModelError
from matte_core.models.base import Card, Guides, Layers, Weights
from matte_core.models.weights import sha256


class Scale:
    """A model with one weight; it notes where it was loaded."""

    def __init__(self, weights: Weights | None) -> None:
        self.card = Card("scale", "Scale", weights=weights, memory=100, precisions=("fp32", "fp16"))
        self.places: list[str] = []

    def load(self, weights: Path | None, device: torch.device) -> Any:
        self.places.append(str(device))
        return torch.nn.Linear(1, 1) if weights else device

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        return {"alpha": frames[:, :1]}, state


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    (tmp_path / "scale.safetensors").write_bytes(b"weights")
    return Weights("scale.safetensors", sha256(tmp_path / "scale.safetensors"), "CC0-1.0", True, 1.0)


@pytest.fixture
def engine(load: Any, comfy: Any, tmp_path: Path) -> Any:
    """Makes engines of one ComfyUI: they share what is loaded."""
    networks = Networks()
    return lambda device="cpu": Engine(
        torch.device(device),
        lambda card: tmp_path / card.weights.file if card.weights else None,
        load("host").ComfyHost(),
        networks,
    )


def test_a_network_is_one_of_comfyuis_models_and_is_asked_for_before_every_step(
    comfy: Any, engine: Any, weights: Weights
) -> None:
    model, frames = Scale(weights), torch.zeros(2, 3, 4, 5)
    for _ in range(2):
        engine().step(model, frames, {})
    (first, count), (second, again) = comfy.loaded
    assert first is second and isinstance(first.model, torch.nn.Linear)
    assert count == again == (100 + HANDED) * 2 * 4 * 5
    assert model.places == ["cpu"]  # loaded once, for both pulls


def test_a_network_for_a_graphics_card_waits_where_comfyui_lets_models_wait(
    comfy: Any, engine: Any, weights: Weights
) -> None:
    model = Scale(weights)
    net = engine("cuda").network(model, 1_000)
    (patcher, count), *_ = comfy.loaded
    assert (patcher.load_device, patcher.offload_device) == (torch.device("cuda"), torch.device("cpu"))
    assert (model.places, count, net) == (["cpu"], 1_000, patcher.model)


def test_a_solver_has_comfyui_make_room_on_a_card_and_none_in_the_cpus_memory(comfy: Any, engine: Any) -> None:
    engine("cuda").network(Scale(None), 1_234)
    engine("cpu").network(Scale(None), 99)
    assert comfy.freed == [1_234] and comfy.loaded == []


def test_networks_beyond_the_budget_are_let_go_the_least_recently_used_first() -> None:
    networks, loads = Networks(budget=20), []
    for name in ("a", "b", "a", "c", "a", "b"):
        networks.get(name, 10, lambda name=name: loads.append(name) or name)
    assert loads == ["a", "b", "c", "b"]


def test_a_node_computes_where_comfyui_computes(load: Any, comfy: Any) -> None:
    comfy.device = torch.device("cuda", 1)
    assert load("host").device() == torch.device("cuda", 1)


def test_the_precision_follows_comfyuis_device(node: Any, comfy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI with --cpu on a machine with a graphics card: what "auto" means is decided by ComfyUI."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    key, card, meant = node("MatteTKey"), Scale(None).card, []
    monkeypatch.setattr(type(key.OP), "call", lambda self, values: (meant.append(pick_device()),))
    key.run()
    assert [pick_precision(card, "auto", device) for device in meant] == ["fp32"]
    assert pick_precision(card, "auto", pick_device()) == "fp16"


def test_the_models_folder_is_registered_and_those_of_extra_model_paths_are_searched(
    load: Any, comfy: Any, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, folders = load("host"), sys.modules["folder_paths"]
    host.register_models()
    assert comfy.models == [("matte", str(comfy.folder / "models" / "matte"))]
    monkeypatch.setitem(folders.folder_names_and_paths, "matte", ([], set()))
    monkeypatch.setattr(folders, "get_folder_paths", lambda name: ["/nowhere", str(tmp_path)], raising=False)
    assert host.find_weights(Scale(weights).card) == tmp_path / "scale.safetensors"
    (tmp_path / "scale.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"scale.safetensors is not the file that scale was made with"):
        host.find_weights(Scale(weights).card)


class OnCard(Tensor):
    """A stand-in for a tensor on a graphics card: it can be computed with, and read only after it was moved."""

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def to(self, *wanted: Any, **more: Any) -> Tensor:
        moved = self.as_subclass(Tensor).to(*wanted, **more)
        return moved if "cpu" in [str(each) for each in wanted] else moved.as_subclass(OnCard)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("on_card", [False, True], ids=["cpu", "card"])
def test_pictures_in_half_and_on_a_graphics_card_are_taken(load: Any, kind: torch.dtype, on_card: bool) -> None:
    from matte_core.pull import frames

    sockets = load("sockets")
    values = torch.arange(2 * 3 * 4 * 3).reshape(2, 3, 4, 3) / 128  # exact in every one of the types
    image, mask = values.to(kind), values[..., 0].to(kind)
    if on_card:
        image, mask = image.as_subclass(OnCard), mask.as_subclass(OnCard)
    numbers = sockets.numbered(2)
    plate, matte = sockets.shot_of_image(image, numbers), sockets.shot_of_mask(mask, numbers)
    for place, (colour, alpha) in enumerate(zip(frames(plate, numbers), frames(matte, numbers), strict=True)):
        assert colour.pixels.dtype == alpha.pixels.dtype == "float32"
        assert torch.equal(torch.tensor(colour.pixels), values[place].permute(2, 0, 1))
        assert torch.equal(torch.tensor(alpha.pixels[0]), values[place, ..., 0].clamp(0, 1))


def test_pictures_leave_on_the_device_comfyui_passes_them_on(
    load: Any, comfy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["comfy.model_management"], "intermediate_device", lambda: torch.device("meta"))
    assert load("host").to_comfy(torch.zeros(1)).device.type == "meta"
