"""Compiled networks answer otherwise in the last bits: their frames are never taken for others, and it is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from matte_core.cli import work
from matte_core.models.base import Card

from .conftest import MAIN, Folder, Matte
from .test_sequence import contents

OUT = ("--out", "out/m.####.exr", "--frames", "1001-1002")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cards of the networks that were to be compiled; none is, since that takes a minute."""
    cards: list[str] = []

    def stand_in(net: Any, card: Card, device: torch.device) -> Any:
        cards.append(card.name)
        return net

    monkeypatch.setattr(work, "compiled", stand_in)
    return cards


def test_frames_of_a_compiled_network_have_stamps_of_their_own(shot: Folder, matte: Matte, asked: list[str]) -> None:
    words = (*MAIN, "--model", "net_m-small-fast", *OUT)
    answer = matte(*words, "--compile")
    assert answer.code == 0 and asked == ["net_m-small-fast"], answer.error
    assert "Networks are compiled first" in answer.error
    made = contents(shot / "out")
    answer = matte(*words, "--frames", "1001-1003")
    assert answer.code != 0 and "was not made with these settings (2 of 3 frames)" in answer.sentence
    assert contents(shot / "out") == made
    assert matte(*words, "--compile").code == 0 and contents(shot / "out") == made


def test_what_is_never_compiled_has_the_same_stamps_both_ways(shot: Folder, matte: Matte, asked: list[str]) -> None:
    words = (*MAIN, "--model", "closed-form", *OUT)
    assert matte(*words, "--frames", "1001").code == 0
    answer = matte(*words, "--compile")
    assert answer.code == 0, answer.error
    assert matte(*words).code == 0 and len(shot.written) == 2
