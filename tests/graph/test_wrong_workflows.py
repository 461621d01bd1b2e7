"""Workflow files that cannot run, or must not: confined paths, and one sentence for what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from matte_core.errors import SourceError, UsageError
from matte_core.graph import confined, run_workflow
from matte_core.op import OPS, Port
from matte_core.paths import Roots
from matte_core.workflow import MOST_BYTES, MOST_NODES


def test_paths_in_the_file_are_confined_and_the_node_is_named(
    play: Any, the_usual: Any, the_usual_api: Any, elsewhere: dict[str, str]
) -> None:
    for path, phrase in elsewhere.items():
        for number, name, values in ((4, "Hero", [path]), (1, "MatteTOpen", [path, 1])):
            content = the_usual()
            content["nodes"][number - 1]["widgets_values"] = values
            with pytest.raises(UsageError, match=rf"^node {number} \({name}\): ") as refusal:
                play(content)
            assert phrase in str(refusal.value)
        api = the_usual_api()
        api["1"]["inputs"]["path"] = path
        with pytest.raises(UsageError, match=r"^node 1 \(MatteTOpen\): "):
            play(api)


def test_every_text_that_names_files_is_confined(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    """A new operation whose files are not declared as files fails here."""
    import matte_core.ops  # noqa: F401  (fills OPS)

    roots, named = Roots.of([tmp_path], [tmp_path]), set()
    for op in OPS.values():
        for port in op.ports:
            files = re.fullmatch(
                "(path|out|file|folder|ocio|config|weights|cube|lut)s?|.*_(path|file|folder)", port.name
            )
            assert not files or port.path, f"{op.name}.{port.name}: text(..., 'read'), 'write' or 'config'"
            if port.path:
                named.add(port.path)
                for text in elsewhere:
                    with pytest.raises(UsageError):
                        confined(port, text, roots)
    assert named == {"read", "write", "config"}


CONFIG = """ocio_profile_version: 2
environment: {{UP: ../..}}
search_path: "{search}"
roles: {{scene_linear: lin, default: lin}}
displays: {{sRGB: [!<View> {{name: Raw, colorspace: lin}}]}}
looks: [!<Look> {{name: warm, process_space: lin, transform: !<FileTransform> {{src: "{look}"}}}}]
colorspaces:
  - !<ColorSpace> {{name: lin}}
  - !<ColorSpace> {{name: camera, to_scene_reference: !<FileTransform> {{src: "{table}"}}}}
"""
READ_CONFIG = Port("Configuration.", path="config", name="ocio")


def test_a_colour_configuration_may_read_below_its_own_folder(tmp_path: Path) -> None:
    place, roots = tmp_path / "show.ocio", Roots.of([tmp_path], [])
    place.write_text(CONFIG.format(search="luts", look="a/warm.cube", table="camera.cube"))
    assert confined(READ_CONFIG, "show.ocio", roots) == str(place)
    assert confined(READ_CONFIG, "ocio://default", roots) == "ocio://default"
    assert confined(READ_CONFIG, "", roots) == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"search": "/etc"},
        {"search": "../luts"},
        {"search": "luts/$UP"},
        {"table": "/etc/passwd"},
        {"table": "a/../../secret.cube"},
        {"table": "${UP}/secret.cube"},
        {"look": "~/../secret.cube"},
        {"look": "%UP%/secret.cube"},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_a_colour_configuration_that_reads_elsewhere_is_refused(tmp_path: Path, changed: dict[str, str]) -> None:
    parts = {"search": "luts", "look": "warm.cube", "table": "camera.cube", **changed}
    (tmp_path / "show.ocio").write_text(CONFIG.format(**parts))
    with pytest.raises(UsageError, match=r"^show\.ocio reads tables outside its own folder"):
        confined(READ_CONFIG, "show.ocio", Roots.of([tmp_path], []))


def test_a_path_from_a_primitive_is_confined_as_well(play: Any, the_usual: Any, node: Any) -> None:
    content = the_usual()
    content["nodes"][3]["inputs"].append({"name": "out", "type": "STRING", "link": 16, "widget": {"name": "out"}})
    content["nodes"].append(node(7, "PrimitiveNode", values=["/etc/side.####.exr"]))
    content["links"].append([16, 7, 0, 4, 1, "STRING"])
    with pytest.raises(UsageError, match="may write"):
        play(content)


def test_a_missing_source_names_the_node_and_the_folders(play: Any, the_usual: Any) -> None:
    content = the_usual()
    content["nodes"][0]["widgets_values"] = ["hero.####.exr", 1]
    with pytest.raises(SourceError, match=r"node 1 .*hero\.####\.exr is not there"):
        play(content)


def test_an_unknown_node_is_named_with_id_type_and_title(play: Any, the_usual: Any) -> None:
    content = the_usual(mask={"title": "My loader"})
    content["nodes"][1]["type"] = "LoadImageMask"
    with pytest.raises(UsageError, match="node 2 is a LoadImageMask titled 'My loader', which Matte cannot run"):
        play(content)


def test_what_no_write_needs_is_left_out_and_said(
    play: Any, tmp_path: Path, roots: Roots, the_usual: Any, node: Any
) -> None:
    content = the_usual()
    content["nodes"].append(node(9, "SaveImage", [("images", "IMAGE", 20)], ["ComfyUI"], title="Proof"))
    content["links"].append([20, 3, 0, 9, 0, "MATTE_SHOT"])
    assert play(content).settings() == play(the_usual()).settings()
    (tmp_path / "job.json").write_text(json.dumps(content))
    assert run_workflow(tmp_path / "job.json", None, roots).notes == (
        "Node 9 (SaveImage titled 'Proof') is left out: it needs ComfyUI, and no write needs it.",
    )


def test_a_subgraph_says_how_to_unpack_it(play: Any, the_usual: Any) -> None:
    content = the_usual()
    content["nodes"][1]["type"] = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"
    with pytest.raises(UsageError, match="It is a subgraph: unpack it"):
        play(content)


def test_previews_are_left_out_and_pictures_inside_a_write_are_refused(play: Any, the_usual: Any, node: Any) -> None:
    content = the_usual()
    content["nodes"].append(node(9, "MattePreview", [("shot", "MATTE_SHOT", 20)]))
    content["links"].append([20, 3, 0, 9, 0, "MATTE_SHOT"])
    assert play(content).kind == "receipt"
    content["nodes"][1]["type"] = "MatteShotFromMask"
    with pytest.raises(UsageError, match="only inside ComfyUI"):
        play(content)


def test_a_circle_is_one_sentence(play: Any, the_usual: Any, the_usual_api: Any, node: Any) -> None:
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
    content["nodes"][2]["widgets_values"] = [1, True, 3]


def _odd_value(content: dict[str, Any]) -> None:
    content["nodes"][2]["widgets_values"] = [{"a": 1}]


def _wrong_value(content: dict[str, Any]) -> None:
    content["nodes"][2]["widgets_values"] = ["much"]


def _no_type(content: dict[str, Any]) -> None:
    del content["nodes"][0]["type"]


def _receipt(content: dict[str, Any]) -> None:
    content["links"][0][1] = 9
    save = {**content["nodes"][3], "id": 9, "inputs": [{"name": "matte", "type": "MATTE_SHOT", "link": 12}]}
    content["nodes"].append(save)


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
def test_what_is_broken_is_one_sentence(play: Any, harm: Any, sentence: str, the_usual: Any) -> None:
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
def test_a_file_that_is_no_workflow_is_one_sentence(play: Any, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        play(text)


def test_a_file_too_large_or_with_too_many_nodes_is_refused(play: Any) -> None:
    with pytest.raises(UsageError, match="too large"):
        play(" " * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match=f"at most {MOST_NODES} nodes"):
        play({"nodes": [{}] * (MOST_NODES + 1)})


def test_a_chain_as_long_as_a_file_may_be_needs_no_recursion(play: Any) -> None:
    content: dict[str, Any] = {"0": {"class_type": "MatteTOpen", "inputs": {"path": "plate.####.exr"}}}
    content["1"] = {"class_type": "MatteTKey", "inputs": {"plate": ["0", 0]}}
    for place in range(2, MOST_NODES - 1):
        content[str(place)] = {"class_type": "MatteTKey", "inputs": {"plate": ["0", 0], "guide": [str(place - 1), 0]}}
    content["end"] = {"class_type": "MatteTSave", "inputs": {"matte": [str(MOST_NODES - 2), 0], "out": "x.####.exr"}}
    assert play(content).kind == "receipt"


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.json cannot be read"):
        run_workflow(tmp_path / "none.json")
