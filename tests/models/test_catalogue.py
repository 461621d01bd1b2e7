"""The table of models: every card is complete, every file of weights is the one its card means."""

from __future__ import annotations

from pathlib import Path

import pytest

from matte_core.errors import ModelError
from matte_core.models.base import Card, Weights
from matte_core.models.catalogue import CATALOGUE, cards, model
from matte_core.models.weights import find, sha256

CARDS = {card.name: card for card in cards()}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_model_is_found_under_the_name_on_its_card(name: str) -> None:
    card = model(name).card
    assert card.name == name and card.title and card.precisions and card.memory > 0
    assert card.guides or card.answers in ("guide", "trimap", "alpha")


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.weights is not None])
def test_weights_say_where_they_come_from_and_what_they_may_be_used_for(name: str) -> None:
    weights = CARDS[name].weights
    assert weights is not None
    brought = weights.repository or weights.convert  # by the person, from elsewhere
    assert weights.licence and len(weights.sha256) in ((0, 64) if brought else (64,))
    assert weights.origin or brought
    assert brought or find(CARDS[name]) is not None  # shipped weights are there and are the right ones
    assert brought or weights.megabytes < 8


def test_an_unknown_model_is_answered_with_the_likely_one() -> None:
    with pytest.raises(ModelError, match="Did you mean closed-form"):
        model("closed-from")


def test_weights_that_are_another_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"something else")
    monkeypatch.setenv("MATTE_MODELS", str(tmp_path))
    card = Card("net", "Net", weights=Weights("net.safetensors", "0" * 64, "Apache-2.0", True, 1.0, origin="a test"))
    with pytest.raises(ModelError, match=r"net.safetensors is not the file that net was made with"):
        find(card)
    (tmp_path / "net.safetensors").unlink()
    with pytest.raises(ModelError, match=r"the weights net.safetensors of net are in none of"):
        find(card)


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
