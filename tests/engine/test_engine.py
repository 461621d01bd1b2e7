"""The engine: picks a device and a precision, pads, and steps down when memory runs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from matte_core.engine.engine import Engine, pick_device, pick_precision
from matte_core.errors import ModelError, UsageError
from matte_core.models.base import Card, Guides, Layers


class Blur:
    """A model whose answer at a pixel depends on the pixels within one of it; refuses pictures above `most`."""

    def __init__(self, card: Card, most: int = 10**9) -> None:
        self.card, self.most = card, most
        self.sizes: list[tuple[int, ...]] = []
        self.loads = 0

    def load(self, weights: Path | None, device: torch.device) -> Any:
        self.loads += 1
        return object()

    def step(self, net: Any, frames: Tensor, guides: Guides, state: Any) -> tuple[Layers, Any]:
        if frames.numel() > self.most:
            raise torch.OutOfMemoryError("out of memory")
        self.sizes.append(tuple(frames.shape))
        mean = torch.nn.functional.avg_pool2d(frames.mean(1, keepdim=True), 3, 1, 1, count_include_pad=False)
        return {"alpha": mean * guides["trimap"]}, (state or 0) + 1


def an_engine() -> Engine:
    return Engine(torch.device("cpu"), lambda card: None)


def pictures(count: int, height: int, width: int) -> tuple[Tensor, dict[str, Tensor]]:
    made = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, height, width, generator=made), {"trimap": torch.ones(count, 1, height, width)}


def test_a_picture_is_padded_to_the_multiple_and_cropped_again() -> None:
    model = Blur(Card("blur", "Blur", multiple=32))
    frames, guides = pictures(1, 50, 70)
    layers, state = an_engine().step(model, frames, guides)
    assert model.sizes == [(1, 3, 64, 96)]
    assert layers["alpha"].shape == (1, 1, 50, 70)
    assert state == 1


def test_a_network_is_loaded_once() -> None:
    engine, model = an_engine(), Blur(Card("blur", "Blur"))
    for _ in range(3):
        engine.step(model, *pictures(1, 8, 8))
    assert model.loads == 1


def test_out_of_memory_takes_a_smaller_batch_with_the_same_answer() -> None:
    frames, guides = pictures(4, 16, 16)
    whole, _ = an_engine().step(Blur(Card("blur", "Blur", batch=4)), frames, guides)
    small = Blur(Card("blur", "Blur", batch=4), most=3 * 16 * 16)
    halved, _ = an_engine().step(small, frames, guides)
    assert {size[0] for size in small.sizes} == {1}
    assert torch.equal(whole["alpha"], halved["alpha"])


def test_out_of_memory_takes_tiles_where_the_card_allows() -> None:
    frames, guides = pictures(1, 700, 900)
    whole, _ = an_engine().step(Blur(Card("blur", "Blur", overlap=16)), frames, guides)
    tiled = Blur(Card("blur", "Blur", overlap=16), most=3 * 460 * 460)
    layers, _ = an_engine().step(tiled, frames, guides)
    assert len(tiled.sizes) > 1
    assert (layers["alpha"] - whole["alpha"]).abs().max() < 1e-6


def test_what_cannot_be_tiled_ends_in_a_sentence_with_need_and_cure() -> None:
    with pytest.raises(
        ModelError, match=r"blur needs about .* MB for a frame of 600x600 on cpu.*choose a smaller model"
    ):
        an_engine().step(Blur(Card("blur", "Blur"), most=1), *pictures(1, 600, 600))


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'gpu' is no device. Choose one of: auto, cpu, cuda, mps, cuda:N"):
        pick_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="device cuda:3 is not on this machine"):
        pick_device("cuda:3")


def test_the_precision_follows_the_card() -> None:
    card = Card("net", "Net", precisions=("fp32", "fp16"))
    assert pick_precision(card, "auto", torch.device("cpu")) == "fp32"
    assert pick_precision(card, "auto", torch.device("cuda")) == "fp16"
    with pytest.raises(UsageError, match=r"net does not run in bf16. Choose one of: auto, fp32, fp16"):
        pick_precision(card, "bf16", torch.device("cpu"))


@pytest.mark.gpu
def test_a_model_runs_on_cuda() -> None:
    engine = Engine(pick_device("cuda"), lambda card: None)
    frames, guides = pictures(2, 64, 64)
    layers, _ = engine.step(Blur(Card("blur", "Blur", batch=2)), frames, guides)
    plain, _ = an_engine().step(Blur(Card("blur", "Blur", batch=2)), frames, guides)
    assert (layers["alpha"] - plain["alpha"]).abs().max() < 1e-5
