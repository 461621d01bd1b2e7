"""Frame ranges, and shots as data: hashes that move only with what changes pixels, a recipe that rebuilds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from matte_core.errors import UsageError
from matte_core.frame import Attribute, Frame, FrameRange, Header, Window
from matte_core.shot import Shot, make
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

HEADER = Header(Window(-8, -8, 496, 286), Window(0, 0, 480, 270), metadata=(Attribute("reelName", "string", "A001"),))


@pytest.fixture(autouse=True)
def verbs() -> Iterator[dict[int, str]]:
    files = {number: f"file {number}" for number in range(1001, 1011)}

    def compute(job: Job) -> Result:
        return Result([Frame(np.zeros((1, 1, 1), np.float32), n, HEADER) for n in job.numbers])

    def declare(parameters: Any) -> Declaration:
        return Declaration(windows=((1, 1),), batch=parameters.get("batch", 1))

    def recipe(parameters: Any) -> Any:
        return {name: value for name, value in parameters.items() if name != "batch"}

    VERBS["a read"] = Verb("a read", compute, source=lambda parameters, number: files[number])
    VERBS["a smooth"] = Verb("a smooth", compute, declare=declare, recipe=recipe)
    yield files
    del VERBS["a read"], VERBS["a smooth"]


def a_graph(width: int = 3, batch: int = 1, frames: str = "1001-1010") -> Shot:
    plate = make("a read", (), {}, kind="plate", frames=FrameRange.parse(frames), header=HEADER, channels="RGB")
    smooth = make("a smooth", [plate], {"width": width, "batch": batch})
    return make("a smooth", [smooth, plate], {"width": 1})


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1001-1004", [1001, 1002, 1003, 1004]),
        ("1001-1007x3", [1001, 1004, 1007]),
        ("1001-1008x3", [1001, 1004, 1007]),
        ("7", [7]),
        ("-2-1", [-2, -1, 0, 1]),
        ("-5--3", [-5, -4, -3]),
        ("1003, 1001-1002", [1001, 1002, 1003]),
    ],
)
def test_a_frame_range_is_parsed_and_spelled_so_that_it_parses_again(text: str, numbers: list[int]) -> None:
    frames = FrameRange.parse(text)
    assert list(frames) == numbers
    assert FrameRange.parse(str(frames)) == frames


@pytest.mark.parametrize("text", ["", "a", "1001-", "1005-1001", "1-5x0", "1:5", "1-99999999999", "1-5-7"])
def test_what_is_no_frame_range_gets_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="frame range"):
        FrameRange.parse(text)


def test_neighbours_are_counted_by_place_and_repeat_at_the_ends() -> None:
    frames = FrameRange.parse("1001-1009x2")
    assert frames.around(1001, 1, 1) == [1001, 1001, 1003]
    assert frames.around(1005, 2, 1) == [1001, 1003, 1005, 1007]


def test_settings_move_with_what_changes_pixels_and_with_nothing_else() -> None:
    assert a_graph().settings() == a_graph().settings() == a_graph(batch=4).settings()
    assert a_graph(width=5).settings() != a_graph().settings()


def test_a_changed_file_changes_the_stamps_of_the_frames_that_see_it(verbs: dict[int, str]) -> None:
    before = {number: a_graph().stamp(number) for number in range(1001, 1011)}
    verbs[1005] = "rendered again"
    changed = [number for number in range(1001, 1011) if a_graph().stamp(number) != before[number]]
    assert changed == [1003, 1004, 1005, 1006, 1007]
    assert len(set(before.values())) == 10


def test_frames_of_a_shot_shorter_than_the_window_have_stamps_of_their_own() -> None:
    smooth = a_graph(frames="1003-1004").inputs[0]
    assert smooth.lookback(1003) == smooth.lookback(1004)
    assert smooth.stamp(1003) != smooth.stamp(1004)


def test_a_shot_is_rebuilt_from_its_description() -> None:
    graph = a_graph()
    description = json.loads(json.dumps(graph.describe()))
    assert len(description["shots"]) == 3
    again = Shot.rebuild(description)
    assert again.describe() == graph.describe()
    assert again.stamp(1004) == graph.stamp(1004)
    assert again.header == graph.header


def test_a_description_of_another_version_is_refused() -> None:
    description = a_graph().describe()
    description["shots"][0]["version"] = 99
    with pytest.raises(UsageError, match="verb 'a read' version 99 is not known here"):
        Shot.rebuild(description)


def test_a_parameter_that_cannot_be_written_down_is_refused_at_once() -> None:
    with pytest.raises(TypeError):
        make("a smooth", [a_graph()], {"width": object()})


def test_a_shot_is_shown_in_a_few_words_whatever_it_is_made_of() -> None:
    assert str(a_graph()) == "plate, frames 1001-1010, 480x270, by a smooth"
