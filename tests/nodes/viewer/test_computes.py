"""What the viewer computes, and what it finds already made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from matte_core.errors import FrameError

from .conftest import here, keyed


def test_a_prompt_computes_the_first_frame_and_the_page_finds_it_made(
    node: Any, plate_files: str, opened: Any, worked: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    assert worked.numbers == [1001]
    assert ask("about")["frames"] == "1001-1004"
    ask("picture", look="checker", frame=1001)
    assert worked.numbers == [1001]


def test_scrubbing_back_is_free_whatever_the_look(node: Any, plate_files: str, opened: Any, worked: Any) -> None:
    plate, matte = keyed(node, plate_files)
    ask = opened(plate=plate, matte=matte)
    for number in (1001, 1002, 1003, 1004, 1003, 1002, 1001):
        for look in ("checker", "alpha", "overlay", "grey", "colour"):
            ask("picture", look=look, frame=number, exposure=1, gamma=2.2)
        ask("values", look="alpha", frame=number, x=0, y=0)
    assert worked.numbers == [1001, 1002, 1003, 1004]


def test_looking_at_the_plate_never_computes_the_matte(node: Any, plate_files: str, viewer: Any, worked: Any) -> None:
    plate, matte = keyed(node, plate_files)
    view = viewer.View({"plate": plate, "matte": matte}, viewer.Asked())
    token = viewer.VIEWS.add(view)
    asked = {"view": token, "look": "rgb", "frame": "1003", "x": "1", "y": "1"}
    viewer.answer({**asked, "what": "picture"}, here)
    body, _ = viewer.answer({**asked, "what": "values"}, here)
    assert worked.numbers == []
    assert set(json.loads(body)["values"]) == {"plate"}


def test_what_a_preview_showed_the_viewer_shows_for_nothing(
    node: Any, plate_files: str, load: Any, opened: Any, viewer: Any, worked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load("preview"), "CACHE", load("views").CACHE)
    plate, matte = keyed(node, plate_files)
    load("pictures").Preview().run("1001", "all", plate, matte)
    opened(plate=plate, matte=matte)("picture", look="checker", frame=1001)
    assert worked.numbers == [1001]


def test_the_next_prompt_computes_the_frame_and_look_the_page_is_at(
    node: Any, plate_files: str, opened: Any, viewer: Any, worked: Any
) -> None:
    plate, matte = keyed(node, plate_files)
    one = viewer.MatteViewer()
    opened(one, plate=plate, matte=matte)("picture", look="alpha", frame=1003)
    (other,) = node("MatteTKey").run(plate=plate, gain=2.0, width=3, soft=True, model="good")
    opened(one, plate=plate, matte=other)
    assert worked.numbers == [1001, 1003, 1003]


def test_a_frame_that_cannot_be_made_is_an_error_of_the_node(
    node: Any, plate_files: str, viewer: Any, worked: Any
) -> None:
    worked.fail_at = 1001
    plate, matte = keyed(node, plate_files)
    with pytest.raises(FrameError, match=r"t key in node 7 \(Key\), frame 1001"):
        viewer.MatteViewer().run(plate=plate, matte=matte)
