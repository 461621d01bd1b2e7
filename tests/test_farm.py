"""Where a shot may be cut: what every verb declares is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from matte_core.farm import Seams, cut, seams
from matte_core.frame import FrameRange
from matte_core.shot import Shot, make
from matte_core.verb import VERBS, Declaration, Job, Result, Verb


def nothing(job: Job) -> Result:
    return Result([])


@pytest.fixture
def declaring() -> Iterator[None]:
    verb = Verb("declaring", nothing, declare=lambda parameters: Declaration(**parameters))
    VERBS[verb.name] = verb
    yield
    del VERBS[verb.name]


@pytest.fixture
def receipt(shot_of: Any, declaring: None) -> Any:
    def make_one(*declarations: dict[str, Any], count: int = 20) -> Shot:
        shot: Shot = shot_of([np.zeros((3, 2, 2))] * count)
        for declared in declarations:
            shot = make("declaring", [shot], declared)
        return shot

    return make_one


def numbers(text: str) -> FrameRange:
    return FrameRange.parse(text)


def test_frames_that_know_nothing_of_each_other_are_cut_on_the_shots_own_grid(receipt: Any) -> None:
    shot = receipt()
    assert seams([shot]) == Seams()
    assert [str(piece) for piece in cut([shot], shot.frames, 6)] == ["1001-1006", "1007-1012", "1013-1018", "1019-1020"]
    assert [str(piece) for piece in cut([shot], numbers("1005-1008"), 6)] == ["1005-1006", "1007-1008"]
    assert cut([shot], numbers("1005"), 6) == [numbers("1005")] and cut([shot], FrameRange(()), 6) == []


def test_clips_are_never_cut(receipt: Any) -> None:
    shot = receipt({"clip": 4}, {"clip": 6})
    assert seams([shot]).clip == 12
    assert [str(piece) for piece in cut([shot], shot.frames, 5)] == ["1001-1012", "1013-1020"]


def test_a_state_from_the_first_frame_on_is_never_cut(receipt: Any) -> None:
    shot = receipt({"carries": True, "warm_up": None})
    assert seams([receipt(), shot]).whole
    assert cut([shot], numbers("1003-1020"), 2) == [numbers("1003-1020")]


def test_a_state_that_begins_anew_is_cut_there_alone_and_no_piece_is_short(receipt: Any) -> None:
    keyed = {"carries": True, "warm_up": None, "begins": (1001, 1004, 1006, 1011, 1015, 1020)}
    shot = receipt(keyed, {**keyed, "backward": True})
    assert [str(piece) for piece in cut([shot], shot.frames, 5)] == ["1001-1005", "1006-1010", "1011-1019", "1020"]
    assert [str(piece) for piece in cut([shot], numbers("1003-1012"), 5)] == ["1003-1005", "1006-1010", "1011-1012"]
    clipped = receipt(keyed, {"clip": 5})
    assert [str(piece) for piece in cut([clipped], shot.frames, 4)] == ["1001-1005", "1006-1010", "1011-1020"]
    once = receipt(keyed, {"carries": True, "warm_up": None, "begins": (1011,)})
    assert [str(piece) for piece in cut([once], shot.frames, 2)] == ["1001-1010", "1011-1020"]


def test_pieces_are_long_beside_their_warm_up_and_suit_the_workers(receipt: Any) -> None:
    shot = receipt({"carries": True, "warm_up": 3}, count=100)
    assert seams([shot]).warm_up == 3
    assert [len(piece) for piece in cut([shot], shot.frames, workers=20)] == [12] * 8 + [4]
    assert [len(piece) for piece in cut([receipt(count=100)], shot.frames, workers=5)] == [5] * 20
    assert [len(piece) for piece in cut([receipt(count=100)], shot.frames)] == [25] * 4
