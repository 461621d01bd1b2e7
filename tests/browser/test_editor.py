"""A person makes a matte in ComfyUI's page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from matte_core.workflow import load

from ..made import WORKFLOWS, by_command, same_pixels
from ..real_comfyui import WIDGETS

if TYPE_CHECKING:
    from .conftest import Place
    from .editor import Editor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Gives the folder in which `matte run` wrote what a workflow makes, once for all hosts."""
    folder = tmp_path_factory.mktemp("command")

    def made(workflow: Path) -> Path:
        target = folder / workflow.stem
        return target if target.is_dir() else by_command(workflow, target)

    return made


def workflow(name: str) -> dict[str, Any]:
    file = next(file for file in WORKFLOWS if file.stem == name)
    return dict(json.loads(file.read_text(encoding="utf-8")))


def mask_to_matte(editor: Editor, frames: str) -> None:
    """The workflow on the canvas, for some frames, writing where nothing was written before."""
    editor.drop(workflow("mask_to_matte"))
    editor.set("MatteReadPlate", "frames", frames)
    editor.set("MatteReadMatte", "frames", frames)
    editor.set("MatteWriteSequence", "out", f"{uuid4().hex}/matte.####.exr")


def test_every_node_of_the_server_is_in_the_page(editor: Editor) -> None:
    served = editor.get("/object_info")
    known = editor.tell("Object.keys(LiteGraph.registered_node_types)")
    assert {name for name in served if name.startswith("Matte")} <= set(known)


def test_a_node_is_found_by_its_title(editor: Editor) -> None:
    editor.search("Read EXR")
    assert editor.types() == ["MatteReadPlate"]


def test_a_link_is_dragged_to_an_input_of_several_types(editor: Editor) -> None:
    plate, preview = editor.add("MatteReadPlate", 100, 160), editor.add("MattePreview", 600, 160)
    editor.link(plate, 0, preview, "plate")
    assert editor.prompt()[preview]["inputs"]["plate"] == [plate, 0]


def test_a_link_of_the_wrong_type_does_not_hold(editor: Editor) -> None:
    plate, image = editor.add("MatteReadPlate", 100, 160), editor.add("PreviewImage", 600, 160)
    editor.link(plate, 0, image, "images")
    assert "images" not in editor.prompt()[image]["inputs"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_means_the_same_in_the_page_and_to_the_command(editor: Editor, file: Path) -> None:
    served = editor.get("/object_info")

    def names(node: str, widgets_only: bool = True) -> list[str] | None:
        inputs = served[node]["input"] if node in served else {}
        entries = {name: entry for group in ("required", "optional") for name, entry in inputs.get(group, {}).items()}
        wanted = {name for name, entry in entries.items() if isinstance(entry[0], list) or entry[0] in WIDGETS}
        return [name for name in entries if name in wanted or not widgets_only]

    editor.drop(workflow(file.stem))
    assert editor.missing() == []
    expected = {
        key: (node.type, {**node.values, **{name: [link.node, link.slot] for name, link in node.links.items()}})
        for key, node in load(file, names).items()
    }
    made = {
        key: (
            node["class_type"],
            {n: v for n, v in node["inputs"].items() if n in (names(node["class_type"], False) or ())},
        )
        for key, node in editor.prompt().items()
    }
    assert made == expected


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_runs_as_it_is_with_the_pixels_of_the_command(
    editor: Editor, place: Place, commanded: Callable[[Path], Path], file: Path
) -> None:
    shutil.rmtree(place.output, ignore_errors=True)
    place.output.mkdir()
    editor.drop(workflow(file.stem))
    assert editor.missing() == []
    assert editor.run()[0] == "execution_success"
    same_pixels(place.output, commanded(file))


def test_a_dropped_workflow_runs_and_shows_its_pictures(editor: Editor) -> None:
    mask_to_matte(editor, "1001-1002")
    editor.listen()
    editor.press_run()
    assert editor.ending()[0] == "execution_success"
    assert [one["value"] for one in editor.heard("progress") if str(one["node"]) == "6"][-1] == 2
    shown = {one["node"] for one in editor.heard("executed")}
    assert {"5", "6"} <= shown
    editor.previews("MattePreview", 3)


def test_nothing_is_computed_again_when_nothing_has_changed(editor: Editor) -> None:
    plate, preview = editor.add("MatteReadPlate", 100, 160), editor.add("MattePreview", 600, 160)
    editor.set(plate, "path", "plate/plate.1001.exr")
    editor.link(plate, 0, preview, "plate")
    assert editor.run()[0] == "execution_success"
    assert editor.run()[0] == "execution_success"
    assert [one for one in editor.heard("executing") if one is not None] == []


def test_a_missing_file_is_said_at_its_node(editor: Editor) -> None:
    plate, preview = editor.add("MatteReadPlate", 100, 160), editor.add("MattePreview", 600, 160)
    editor.set(plate, "path", "plate/none.####.exr")
    editor.link(plate, 0, preview, "plate")
    name, error = editor.run()
    assert (name, error["node_id"]) == ("execution_error", plate)
    assert error["exception_message"].startswith("plate/none.####.exr is not there. Put it into")
    assert editor.is_red(plate) and not editor.is_red(preview)
    editor.page.get_by_text("plate/none.####.exr is not there").or_(
        editor.page.get_by_test_id("error-overlay-see-errors")
    ).first.click()
    editor.page.get_by_text("plate/none.####.exr is not there").first.wait_for()


def test_a_value_that_is_no_choice_is_refused_at_its_node(editor: Editor) -> None:
    mask_to_matte(editor, "1001")
    editor.set("MatteReadPlate", "missing", "perhaps")
    editor.tell("async () => { await window.app.queuePrompt(0, 1).catch(() => null); }")
    errors = editor.tell("window.app.lastNodeErrors")
    assert {key: [one["type"] for one in entry["errors"]] for key, entry in errors.items()} == {
        "1": ["value_not_in_list"]
    }


def test_the_running_prompt_is_stopped_and_the_next_one_runs(editor: Editor) -> None:
    mask_to_matte(editor, "")
    editor.set("MatteTrimapFromMask", "grow", 21)  # as in no other test: answers that are kept come too quickly
    editor.listen()
    editor.press_run()
    editor.wait_for_progress()
    editor.page.get_by_role("button", name="Cancel current run").filter(visible=True).first.dispatch_event("click")
    assert editor.ending(30)[0] == "execution_interrupted"
    assert editor.heard("progress")[-1]["value"] < 8
    mask_to_matte(editor, "1001")
    assert editor.run()[0] == "execution_success"


def test_a_workflow_is_saved_and_loaded_again(editor: Editor) -> None:
    mask_to_matte(editor, "1001-1003")
    before, name = editor.prompt(), f"shot {uuid4().hex[:8]}"
    editor.save_as(name)
    saved = editor.get(f"/api/userdata/workflows%2F{name.replace(' ', '%20')}.json")
    editor.clear()
    editor.drop(saved)
    assert editor.prompt() == before


def test_the_packs_workflows_are_offered_as_templates(editor: Editor) -> None:
    offered = {name for names in editor.get("/api/workflow_templates").values() for name in names}
    assert {file.stem for file in WORKFLOWS} <= offered


def test_no_request_of_the_page_made_the_server_fail(page: Editor) -> None:
    assert page.failed == []
