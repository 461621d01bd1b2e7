"""Workflow files without ComfyUI: both forms, reroutes, bypass, mute, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from matte_core.errors import UsageError
from matte_core.graph import node_type
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run


def test_an_editor_workflow_builds_the_shots_that_its_links_say(play: Any, tmp_path: Path, the_usual: Any) -> None:
    receipt = play(the_usual())
    key = receipt.inputs[0]
    assert receipt.parameters["out"] == str(tmp_path / "out/hero.####.exr")
    assert dict(key.parameters) == {"gain": 2.5, "soft": True}
    assert [shot.parameters["path"] for shot in key.inputs] == [
        f"{tmp_path}/in/plate.####.exr@3",
        f"{tmp_path}/in/mask.####.png",
    ]


def test_the_api_form_of_the_same_graph_builds_the_same_shots(play: Any, the_usual: Any, the_usual_api: Any) -> None:
    assert play(the_usual_api()).settings() == play(the_usual()).settings()


def test_newer_files_whose_links_are_tables_and_whose_ids_are_texts_are_understood(play: Any, the_usual: Any) -> None:
    content = the_usual()
    content["links"] = [
        {"id": link, "origin_id": str(origin), "origin_slot": slot, "target_id": str(target), "target_slot": place}
        for link, origin, slot, target, place, _ in content["links"]
    ]
    for entry in content["nodes"]:
        entry["id"] = str(entry["id"])
    assert play(content).settings() == play(the_usual()).settings()


def test_widget_values_may_be_a_table_or_a_shorter_list(play: Any, the_usual: Any) -> None:
    content = the_usual()
    content["nodes"][2]["widgets_values"] = {"soft": True}
    assert dict(play(content).inputs[0].parameters) == {"gain": 1.0, "soft": True}
    content["nodes"][2]["widgets_values"] = [0.5]
    assert dict(play(content).inputs[0].parameters) == {"gain": 0.5, "soft": False}


def test_text_that_the_page_showed_on_a_node_and_saved_with_it_is_left_aside(play: Any, the_usual: Any) -> None:
    content = the_usual()
    content["nodes"][3]["widgets_values"] = ["hero.####.exr", False, "2 frames written.", None]
    assert play(content).settings() == play(the_usual()).settings()


def test_reroutes_are_followed_and_primitives_give_their_value(play: Any, the_usual: Any, node: Any) -> None:
    content = the_usual()
    content["nodes"][3]["inputs"] = [
        {"name": "matte", "type": "MASK,MATTE_SHOT", "link": 14},
        {"name": "out", "type": "STRING", "link": 16, "widget": {"name": "out"}},
    ]
    content["nodes"] += [
        node(5, "Reroute", [("", "*", 13)]),
        node(6, "Reroute", [("", "*", 15)]),
        node(7, "PrimitiveNode", values=["side.####.exr", "fixed"]),
        node(8, "Note", values=["Remember."]),
    ]
    content["links"] += [[14, 6, 0, 4, 0, "*"], [15, 5, 0, 6, 0, "*"], [16, 7, 0, 4, 1, "STRING"]]
    receipt = play(content)
    assert receipt.parameters["out"].endswith("out/side.####.exr")
    assert receipt.inputs[0].settings() == play(the_usual()).inputs[0].settings()


def test_a_bypassed_node_hands_on_the_input_in_the_place_of_its_output(play: Any, the_usual: Any) -> None:
    content = the_usual(key={"mode": 4})
    content["nodes"][2]["inputs"].reverse()  # the matte stands first
    receipt = play(content)
    assert receipt.inputs[0].kind == "matte"
    assert receipt.inputs[0].inputs == ()


def test_a_bypass_that_hands_a_plate_to_a_matte_input_is_one_sentence(play: Any, the_usual: Any) -> None:
    with pytest.raises(UsageError, match=r"node 4 \(Hero\): Save needs a matte at 'matte' and was given a plate"):
        play(the_usual(key={"mode": 4}))


def test_a_muted_node_is_not_there(play: Any, the_usual: Any) -> None:
    assert len(play(the_usual(mask={"mode": 2})).inputs[0].inputs) == 1
    with pytest.raises(UsageError, match=r"node 3 .*Key needs 'plate'"):
        play(the_usual(open={"mode": 2}))
    with pytest.raises(UsageError, match="writes nothing"):
        play(the_usual(save={"mode": 2}))


def test_two_writes_share_what_they_have_in_common(play: Any, the_usual: Any, node: Any) -> None:
    content = the_usual()
    content["nodes"].append(node(9, "MatteTSave", [("matte", "MASK,MATTE_SHOT", 19)], ["again.####.exr"]))
    content["links"].append([19, 3, 0, 9, 0, "MATTE_SHOT"])
    first, second = play.all(content)
    assert first.inputs[0] is second.inputs[0]
    plan = Plan([(first, first.frames), (second, second.frames)])
    assert len(plan.units) == 2 * 5
    assert [frame.number for frame in Run(plan, lanes=SERIAL)] == [1001, 1001, 1002, 1002]


def test_the_overwrite_of_a_write_node_is_left_to_the_person(play: Any, the_usual: Any, the_usual_api: Any) -> None:
    content = the_usual()
    content["nodes"][3]["widgets_values"] = ["hero.####.exr", True]
    assert play(content).settings() == play(the_usual()).settings()
    api = the_usual_api()
    api["4"]["inputs"]["overwrite"] = True
    assert play(api).settings() == play(the_usual()).settings()


def test_a_former_name_of_a_node_keeps_working(play: Any, the_usual: Any) -> None:
    content = the_usual()
    content["nodes"][0]["type"] = node_type("t_load")
    assert play(content).settings() == play(the_usual()).settings()


def test_settings_are_given_by_id_by_title_or_by_operation(play: Any, tmp_path: Path, the_usual: Any) -> None:
    changed = play(the_usual(), {"3.gain": "0.25", "Hero.out": "/elsewhere/x.####.exr", "Open Plate.path": "../p.exr"})
    assert changed.parameters["out"] == "/elsewhere/x.####.exr"
    assert changed.inputs[0].parameters["gain"] == 0.25
    assert changed.inputs[0].inputs[0].parameters["path"] == "../p.exr@3"


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("gain", "setting 'gain' names no input"),
        ("Nobody.gain", r"there is no node 'Nobody'. Name one of: 1 \(MatteTOpen\)"),
        ("3.gian", "Key has no input 'gian'"),
        ("3.plate", "'plate' of node 3 .* is a connection"),
    ],
)
def test_a_setting_that_fits_nothing_is_one_sentence(play: Any, key: str, sentence: str, the_usual: Any) -> None:
    with pytest.raises(UsageError, match=sentence):
        play(the_usual(), {key: "1"})


def test_a_title_that_two_nodes_bear_cannot_be_set(play: Any, the_usual: Any) -> None:
    with pytest.raises(UsageError, match="2 nodes are called 'Same'"):
        play(the_usual(open={"title": "Same"}, mask={"title": "Same"}), {"Same.path": "x"})
