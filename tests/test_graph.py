"""Workflow files without ComfyUI: both forms, reroutes, bypass, mute, settings; what is wrong is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from matte_core.errors import SourceError, UsageError
from matte_core.frame import Frame, FrameRange, Header, Window
from matte_core.graph import node_type, run_workflow
from matte_core.op import OPS, Output, flag, integer, matte, number, op, plate, text
from matte_core.paths import Roots
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run
from matte_core.shot import VERBS, Job, Result, Shot, Verb, make
from matte_core.workflow import MOST_BYTES, MOST_NODES

HEADER = Header(Window(0, 0, 1, 1), Window(0, 0, 1, 1))
PLATE = [Output("plate", "plate", "the plate")]
MATTE = [Output("matte", "matte", "the matte")]
RECEIPT = [Output("receipt", "receipt", "what was written")]


def compute(job: Job) -> Result:
    return Result([Frame(np.zeros((1, 1, 1), np.float32), number, HEADER) for number in job.numbers])


def source(kind: Any, path: str) -> Shot:
    frames = FrameRange.parse("1001-1002")
    return make("t work", (), {"path": path}, kind=kind, frames=frames, header=HEADER, channels=["A"])


@pytest.fixture(autouse=True)
def operations() -> Iterator[None]:
    before, VERBS["t work"] = dict(OPS), Verb("t work", compute)

    @op("Open Plate", "Read", PLATE, formerly=["t_load"])
    def t_open(
        path: Annotated[str, text("File.", "read")], start: Annotated[int, integer("First frame.", 0, 10)] = 1
    ) -> Shot:
        return source("plate", f"{path}@{start}")

    @op("Open Mask", "Read", MATTE)
    def t_mask(path: Annotated[str, text("File.", "read")] = "") -> Shot:
        return source("matte", path)

    @op("Key", "Matte", MATTE)
    def t_key(
        plate: Annotated[Shot, plate("Plate.")],
        guide: Annotated[Shot | None, matte("Guide.")] = None,
        gain: Annotated[float, number("Gain.", 0, 4)] = 1.0,
        soft: Annotated[bool, flag("Soft.")] = False,
    ) -> Shot:
        inputs = [plate] if guide is None else [plate, guide]
        return make("t work", inputs, {"gain": gain, "soft": soft}, kind="matte")

    @op("Save", "Write", RECEIPT)
    def t_save(matte: Annotated[Shot, matte("Matte.")], out: Annotated[str, text("File.", "write")]) -> Shot:
        return make("t work", [matte], {"out": out}, kind="receipt")

    yield
    OPS.clear()
    OPS.update(before)
    del VERBS["t work"]


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "in").mkdir()
    for name in ("plate.1001.exr", "mask.1001.png"):
        (tmp_path / "in" / name).write_text("x")
    return Roots.of([tmp_path / "in"], [tmp_path / "out"])


Slot = tuple[str, str, int | None]


def node(key: int, kind: str, inputs: Sequence[Slot] = (), values: Any = (), **more: Any) -> dict[str, Any]:
    slots = [{"name": name, "type": accepted, "link": link} for name, accepted, link in inputs]
    saved = values if isinstance(values, dict) else list(values)
    return {"id": key, "type": kind, "inputs": slots, "widgets_values": saved, "mode": 0, **more}


def editor(*nodes: dict[str, Any], links: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {"version": 0.4, "nodes": list(nodes), "links": [[*link, "MATTE_SHOT"] for link in links]}


def the_usual(**more: dict[str, Any]) -> dict[str, Any]:
    """Open -> Key (with the mask as guide) -> Save, in the editor's form."""
    return editor(
        node(1, "MatteTOpen", values=["plate.####.exr", 3], **more.get("open", {})),
        node(2, "MatteTMask", values=["mask.####.png"], **more.get("mask", {})),
        node(
            3,
            "MatteTKey",
            [("plate", "IMAGE,MATTE_SHOT", 11), ("guide", "MASK,MATTE_SHOT", 12)],
            [2.5, True],
            **more.get("key", {}),
        ),
        node(
            4, "MatteTSave", [("matte", "MASK,MATTE_SHOT", 13)], ["hero.####.exr"], title="Hero", **more.get("save", {})
        ),
        links=[[11, 1, 0, 3, 0], [12, 2, 0, 3, 1], [13, 3, 0, 4, 0]],
    )


def the_usual_api() -> dict[str, Any]:
    return {
        "1": {"class_type": "MatteTOpen", "inputs": {"path": "plate.####.exr", "start": 3}},
        "2": {"class_type": "MatteTMask", "inputs": {"path": "mask.####.png"}},
        "3": {"class_type": "MatteTKey", "inputs": {"plate": ["1", 0], "guide": ["2", 0], "gain": 2.5, "soft": True}},
        "4": {
            "class_type": "MatteTSave",
            "inputs": {"matte": ["3", 0], "out": "hero.####.exr"},
            "_meta": {"title": "Hero"},
        },
    }


class Play:
    """Writes a workflow and runs it."""

    def __init__(self, folder: Path, roots: Roots) -> None:
        self.folder, self.roots = folder, roots

    def __call__(self, content: Any, settings: dict[str, Any] | None = None) -> Shot:
        return self.all(content, settings)[0]

    def all(self, content: Any, settings: dict[str, Any] | None = None) -> tuple[Shot, ...]:
        path = self.folder / "job.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return run_workflow(path, settings, self.roots).receipts


@pytest.fixture
def play(tmp_path: Path, roots: Roots) -> Play:
    return Play(tmp_path, roots)


def test_an_editor_workflow_builds_the_shots_that_its_nodes_and_links_say(play: Play, tmp_path: Path) -> None:
    receipt = play(the_usual())
    key = receipt.inputs[0]
    assert receipt.parameters["out"] == str(tmp_path / "out/hero.####.exr")
    assert dict(key.parameters) == {"gain": 2.5, "soft": True}
    assert [shot.parameters["path"] for shot in key.inputs] == [
        f"{tmp_path}/in/plate.####.exr@3",
        f"{tmp_path}/in/mask.####.png",
    ]


def test_the_api_form_of_the_same_graph_builds_the_same_shots(play: Play) -> None:
    assert play(the_usual_api()).settings() == play(the_usual()).settings()


def test_newer_files_whose_links_are_tables_and_whose_ids_are_texts_are_understood(play: Play) -> None:
    content = the_usual()
    content["links"] = [
        {"id": link, "origin_id": str(origin), "origin_slot": slot, "target_id": str(target), "target_slot": place}
        for link, origin, slot, target, place, _ in content["links"]
    ]
    for entry in content["nodes"]:
        entry["id"] = str(entry["id"])
    assert play(content).settings() == play(the_usual()).settings()


def test_widget_values_may_be_a_table_or_a_shorter_list(play: Play) -> None:
    content = the_usual()
    content["nodes"][2]["widgets_values"] = {"soft": True}
    assert dict(play(content).inputs[0].parameters) == {"gain": 1.0, "soft": True}
    content["nodes"][2]["widgets_values"] = [0.5]
    assert dict(play(content).inputs[0].parameters) == {"gain": 0.5, "soft": False}


def test_reroutes_are_followed_and_primitives_give_their_value(play: Play) -> None:
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


def test_a_bypassed_node_hands_on_the_input_in_the_place_of_its_output(play: Play) -> None:
    content = the_usual(key={"mode": 4})
    content["nodes"][2]["inputs"].reverse()  # the matte stands first
    receipt = play(content)
    assert receipt.inputs[0].kind == "matte"
    assert receipt.inputs[0].inputs == ()


def test_a_bypass_that_hands_a_plate_to_a_matte_input_is_one_sentence(play: Play) -> None:
    with pytest.raises(UsageError, match=r"node 4 \(Hero\): Save needs a matte at 'matte' and was given a plate"):
        play(the_usual(key={"mode": 4}))


def test_a_muted_node_is_not_there(play: Play) -> None:
    assert len(play(the_usual(mask={"mode": 2})).inputs[0].inputs) == 1
    with pytest.raises(UsageError, match=r"node 3 .*Key needs 'plate'"):
        play(the_usual(open={"mode": 2}))
    with pytest.raises(UsageError, match="writes nothing"):
        play(the_usual(save={"mode": 2}))


def test_two_writes_share_what_they_have_in_common(play: Play) -> None:
    content = the_usual()
    content["nodes"].append(node(9, "MatteTSave", [("matte", "MASK,MATTE_SHOT", 19)], ["again.####.exr"]))
    content["links"].append([19, 3, 0, 9, 0, "MATTE_SHOT"])
    first, second = play.all(content)
    assert first.inputs[0] is second.inputs[0]
    plan = Plan([(first, first.frames), (second, second.frames)])
    assert len(plan.units) == 2 * 5
    assert [frame.number for frame in Run(plan, lanes=SERIAL)] == [1001, 1001, 1002, 1002]


def test_the_overwrite_of_a_write_node_is_the_persons_to_decide_and_is_left_aside(play: Play) -> None:
    content = the_usual()
    content["nodes"][3]["widgets_values"] = ["hero.####.exr", True]
    assert play(content).settings() == play(the_usual()).settings()
    api = the_usual_api()
    api["4"]["inputs"]["overwrite"] = True
    assert play(api).settings() == play(the_usual()).settings()


def test_a_former_name_of_a_node_keeps_working(play: Play) -> None:
    content = the_usual()
    content["nodes"][0]["type"] = node_type("t_load")
    assert play(content).settings() == play(the_usual()).settings()


def test_settings_are_given_by_id_by_title_or_by_the_operations_title(play: Play, tmp_path: Path) -> None:
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
def test_a_setting_that_fits_nothing_is_one_sentence(play: Play, key: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        play(the_usual(), {key: "1"})


def test_a_title_that_two_nodes_bear_cannot_be_set(play: Play) -> None:
    with pytest.raises(UsageError, match="2 nodes are called 'Same'"):
        play(the_usual(open={"title": "Same"}, mask={"title": "Same"}), {"Same.path": "x"})


@pytest.mark.parametrize("path", ["../x.####.exr", "/etc/x.####.exr", "//server/x.####.exr", "a/../../x.exr"])
def test_paths_in_the_file_are_confined_and_the_node_is_named(play: Play, path: str) -> None:
    content = the_usual()
    content["nodes"][3]["widgets_values"] = [path]
    with pytest.raises(UsageError, match=r"^node 4 \(Hero\): "):
        play(content)
    content = the_usual()
    content["nodes"][0]["widgets_values"] = [path, 1]
    with pytest.raises(UsageError, match=r"^node 1 \(MatteTOpen\): "):
        play(content)


def test_a_path_from_a_primitive_is_confined_as_well(play: Play) -> None:
    content = the_usual()
    content["nodes"][3]["inputs"].append({"name": "out", "type": "STRING", "link": 16, "widget": {"name": "out"}})
    content["nodes"].append(node(7, "PrimitiveNode", values=["/etc/side.####.exr"]))
    content["links"].append([16, 7, 0, 4, 1, "STRING"])
    with pytest.raises(UsageError, match="may write"):
        play(content)


def test_a_missing_source_names_the_node_and_the_folders(play: Play) -> None:
    content = the_usual()
    content["nodes"][0]["widgets_values"] = ["hero.####.exr", 1]
    with pytest.raises(SourceError, match=r"node 1 .*hero\.####\.exr is not there"):
        play(content)


def test_an_unknown_node_is_named_with_id_type_and_title(play: Play) -> None:
    content = the_usual(mask={"title": "My loader"})
    content["nodes"][1]["type"] = "LoadImageMask"
    with pytest.raises(UsageError, match="node 2 is a LoadImageMask titled 'My loader', which Matte cannot run"):
        play(content)


def test_what_no_write_needs_is_left_out_and_said(play: Play, tmp_path: Path, roots: Roots) -> None:
    content = the_usual()
    content["nodes"].append(node(9, "SaveImage", [("images", "IMAGE", 20)], ["ComfyUI"], title="Proof"))
    content["links"].append([20, 3, 0, 9, 0, "MATTE_SHOT"])
    assert play(content).settings() == play(the_usual()).settings()
    (tmp_path / "job.json").write_text(json.dumps(content))
    assert run_workflow(tmp_path / "job.json", None, roots).notes == (
        "Node 9 (SaveImage titled 'Proof') is left out: it needs ComfyUI, and no write needs it.",
    )


def test_a_subgraph_says_how_to_unpack_it(play: Play) -> None:
    content = the_usual()
    content["nodes"][1]["type"] = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"
    with pytest.raises(UsageError, match="It is a subgraph: unpack it"):
        play(content)


def test_previews_are_left_out_and_pictures_inside_a_write_are_refused(play: Play) -> None:
    content = the_usual()
    content["nodes"].append(node(9, "MattePreview", [("shot", "MATTE_SHOT", 20)]))
    content["links"].append([20, 3, 0, 9, 0, "MATTE_SHOT"])
    assert play(content).kind == "receipt"
    content["nodes"][1]["type"] = "MatteShotFromMask"
    with pytest.raises(UsageError, match="only inside ComfyUI"):
        play(content)


def test_a_circle_is_one_sentence(play: Play) -> None:
    content = the_usual_api()
    content["1"] = {"class_type": "MatteTKey", "inputs": {"plate": ["3", 0]}}
    with pytest.raises(UsageError, match="is fed by its own output"):
        play(content)
    reroutes = the_usual()
    reroutes["nodes"] += [node(5, "Reroute", [("", "*", 31)]), node(6, "Reroute", [("", "*", 32)])]
    reroutes["links"] += [[31, 6, 0, 5, 0, "*"], [32, 5, 0, 6, 0, "*"]]
    reroutes["nodes"][3]["inputs"][0]["link"] = 31
    with pytest.raises(UsageError, match="in a circle through reroutes"):
        play(reroutes)


def _unlinked(content: dict[str, Any]) -> None:
    content["links"].pop()


def _gone(content: dict[str, Any]) -> None:
    content["nodes"].pop(0)


def _slot(content: dict[str, Any]) -> None:
    content["links"][0][2] = 4


def _broken_link(content: dict[str, Any]) -> None:
    content["links"][0] = [1, 2]


def _many_values(content: dict[str, Any]) -> None:
    content["nodes"][2]["widgets_values"] = [1, True, "newer"]


def _odd_value(content: dict[str, Any]) -> None:
    content["nodes"][2]["widgets_values"] = [{"a": 1}]


def _wrong_value(content: dict[str, Any]) -> None:
    content["nodes"][2]["widgets_values"] = ["much"]


def _no_type(content: dict[str, Any]) -> None:
    del content["nodes"][0]["type"]


def _receipt(content: dict[str, Any]) -> None:
    content["links"][0][1] = 9
    content["nodes"].append(node(9, "MatteTSave", [("matte", "MATTE_SHOT", 12)], ["b.####.exr"]))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (_unlinked, "node 4 .* has a link at 'matte' that is not in the file"),
        (_gone, "node 3 .* is linked at 'plate' to node 1, which is not there"),
        (_slot, "'plate' is linked to output 4 of node 1"),
        (_broken_link, "a link of the workflow is broken"),
        (_many_values, r"node 3 .* has 3 values and Matte knows 2 there \(gain, soft\)"),
        (_odd_value, "neither text nor number"),
        (_wrong_value, "node 3 .*'gain' must be a number"),
        (_no_type, "no id or no type"),
        (_receipt, "'plate' is linked to output 0 of node 9"),
    ],
)
def test_what_is_broken_is_one_sentence(play: Play, harm: Any, sentence: str) -> None:
    content = the_usual()
    harm(content)
    with pytest.raises(UsageError, match=sentence):
        play(content)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("not json", "is no JSON file"),
        ("[" * 100_000, "is no JSON file"),
        ("[]", "is no ComfyUI workflow"),
        ('{"nodes": 3}', "has no list of at most"),
        ('{"a": 3}', "node a has no class_type"),
        ('{"a": {"class_type": "MatteTOpen", "inputs": {"start": Infinity}}}', "is no JSON file"),
        ('{"a": {"class_type": "MatteTOpen", "inputs": {"start": 1e999}}}', "neither text nor number"),
        ('{"a": {"class_type": "MatteTOpen", "inputs": {"start": ["1"]}}}', "broken link at 'start'"),
        (
            '{"a": {"class_type": "MatteTSave", "inputs": {"matte": ["b", 0], "out": "x"}}}',
            "node b, which is not there",
        ),
    ],
)
def test_a_file_that_is_no_workflow_is_one_sentence(play: Play, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        play(text)


def test_a_file_too_large_or_with_too_many_nodes_is_refused(play: Play) -> None:
    with pytest.raises(UsageError, match="too large"):
        play(" " * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match=f"at most {MOST_NODES} nodes"):
        play({"nodes": [{}] * (MOST_NODES + 1)})


def test_a_chain_as_long_as_a_file_may_be_needs_no_recursion(play: Play) -> None:
    content: dict[str, Any] = {"0": {"class_type": "MatteTOpen", "inputs": {"path": "plate.####.exr"}}}
    content["1"] = {"class_type": "MatteTKey", "inputs": {"plate": ["0", 0]}}
    for place in range(2, MOST_NODES - 1):
        content[str(place)] = {"class_type": "MatteTKey", "inputs": {"plate": ["0", 0], "guide": [str(place - 1), 0]}}
    content["end"] = {"class_type": "MatteTSave", "inputs": {"matte": [str(MOST_NODES - 2), 0], "out": "x.####.exr"}}
    assert play(content).kind == "receipt"


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.json cannot be read"):
        run_workflow(tmp_path / "none.json")
