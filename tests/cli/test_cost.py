"""`matte models --cost`: parameters, multiplications, seconds and memory of every model that is here."""

from __future__ import annotations

import json

import pytest
import torch

from matte_core.evaluate.price import price
from matte_core.models.catalogue import model
from matte_core.models.net_t.model import SMALL
from matte_core.models.net_t.net import NetT

from .conftest import Matte


def test_a_network_s_price_is_its_own_and_grows_with_the_picture() -> None:
    card = model("net_t-small").card
    small, large = (price(card, side, 2 * side, torch.device("cpu")) for side in (64, 128))
    assert small.parameters == sum(parameter.numel() for parameter in NetT(SMALL).parameters())
    assert small.multiplications is not None and large.multiplications is not None
    assert large.multiplications == pytest.approx(4 * small.multiplications, rel=0.05)
    assert large.as_in_2021 is not None and large.as_in_2021 > large.multiplications
    assert large.processor is not None and large.processor > 0 and large.device is None


def test_every_model_is_listed_and_what_is_not_here_says_so(
    matte: Matte, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = [model(name).card for name in ("net_t-small", "maggie-image", "portrait")]
    monkeypatch.setattr("matte_core.cli.look.cards", lambda: cards)
    monkeypatch.setenv("MATTE_MODELS", str(tmp_path))
    rows = matte("models", "--cost", "--size", "96x64", "--json")
    assert rows.code == 0
    found = {row["name"]: row for row in json.loads(rows.out)}
    assert list(found) == [card.name for card in cards]
    assert found["net_t-small"]["multiplications"] > 0 and found["net_t-small"]["note"] == ""
    assert "matte weights fetch maggie-image" in found["maggie-image"]["note"]
    assert "matte weights convert portrait" in found["portrait"]["note"]
    answer = matte("models", "--cost", "--size", "large")
    assert answer.code == 2 and "'large' is no size" in answer.sentence
