"""The pack in a real ComfyUI, on the CPU. Needs COMFYUI_DIR (a checkout) and COMFYUI_PYTHON (its Python)."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.graph import node_types
from matte_core.io.image import read_header
from matte_core.pull import frames as frames_of
from matte_core.sources import plate_source

from ..made import WORKFLOWS, by_command, same_pixels
from ..real_comfyui import COMFYUI, ROOT, RUN_SECONDS, Server, cached, outputs, serving

pytestmark = pytest.mark.skipif(not COMFYUI, reason="COMFYUI_DIR is not set")
TEMPLATE = ROOT / "workflows" / "mask_to_matte.json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("comfyui") / "server") as running:
        yield running


def test_the_pack_is_imported(server: Server) -> None:
    assert "IMPORT FAILED" not in server.log.replace("IMPORT FAILED: nodes_audio", "")
    assert "Cannot import" not in "\n".join(line for line in server.log.splitlines() if "matte" in line)


def test_comfyui_tells_of_every_node(server: Server) -> None:
    known = server.get("/object_info")
    for name, op in node_types().items():
        told = known[name]
        assert told["display_name"].startswith(op.title) and told["category"] == op.category
        assert told["output_node"] == op.writes
    assert known["MatteEstimateAlpha"]["input"]["required"]["plate"][0] == "IMAGE,MATTE_SHOT"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_runs_as_it_is_with_the_pixels_of_the_command(
    server: Server, workflow: Path, tmp_path: Path
) -> None:
    written = server.folder / "output"
    shutil.rmtree(written)
    written.mkdir()
    made = outputs(server.run(server.prompt_of(workflow)))
    assert any("images" in shown for shown in made.values()) or any("text" in shown for shown in made.values())
    same_pixels(written, by_command(workflow, tmp_path / "command"))


def test_templates_and_help_are_served(server: Server) -> None:
    assert sorted(server.get("/workflow_templates")["matte"]) == sorted(p.stem for p in ROOT.glob("workflows/*.json"))
    assert server.get("/api/workflow_templates/matte/mask_to_matte.json")["nodes"]
    with urllib.request.urlopen(server.address + "/extensions/matte/docs/MatteReadPlate.md", timeout=30) as answer:
        assert b"`path`" in answer.read()


def test_mask_to_matte_writes_frames_shows_a_preview_and_resumes(server: Server) -> None:
    prompt = server.prompt_of(TEMPLATE, frames="1001-1002")
    made = outputs(server.run(prompt))
    files = sorted((server.folder / "output" / "matte").iterdir())
    assert [file.name for file in files] == ["matte.1001.exr", "matte.1002.exr"]
    assert read_header(files[0]).parts[0].channels == ("A",)
    (shown,) = [entry["images"] for entry in made.values() if "images" in entry]
    query = "&".join(f"{key}={value}" for key, value in shown[0].items())
    with urllib.request.urlopen(f"{server.address}/view?{query}", timeout=30) as answer:
        assert answer.read(4) == b"\x89PNG"
    files[1].unlink()
    again = outputs(server.run(prompt))
    assert files[1].is_file()
    (said,) = [entry["text"] for entry in again.values() if "text" in entry]
    assert said[0] == "1 frames written, 1 were finished before."


def test_the_stop_button_ends_a_write_and_the_next_run_goes_on(server: Server) -> None:
    prompt = server.prompt_of(TEMPLATE, frames="1003-1007", grow=21, out="stopped/a.####.exr")
    prompt = {key: node for key, node in prompt.items() if node["class_type"] != "MattePreview"}
    number, first = server.queue(prompt), server.folder / "output" / "stopped" / "a.1003.exr"
    end = time.monotonic() + RUN_SECONDS
    while not first.is_file() and time.monotonic() < end:
        time.sleep(0.05)
    server.post("/interrupt", {})
    told = [kind for kind, _ in server.finished(number)["status"]["messages"]]
    assert "execution_interrupted" in told and "execution_error" not in told
    left = sorted(file.name for file in first.parent.iterdir())
    assert 1 <= len(left) < 5 and all(name.startswith("a.100") and name.endswith(".exr") for name in left)
    (said,) = [entry["text"] for entry in outputs(server.run(prompt)).values() if "text" in entry]
    assert said[0] == f"{5 - len(left)} frames written, {len(left)} were finished before."


def test_an_image_of_comfyuis_own_goes_into_an_operation_and_back(server: Server) -> None:
    grey = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 2, "color": 0x808080}}
    mask = {"class_type": "SolidMask", "inputs": {"value": 0.25, "width": 64, "height": 48}}
    prompt = {
        "1": grey,
        "2": mask,
        "3": {"class_type": "MattePremultiply", "inputs": {"plate": ["1", 0], "matte": ["2", 0]}},
        "4": {"class_type": "MatteImageFromShot", "inputs": {"shot": ["3", 0], "frames": "", "view": "linear"}},
        "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
        "6": {"class_type": "MatteShotInfo", "inputs": {"shot": ["3", 0]}},
    }
    made = outputs(server.run(prompt))
    assert len(made["5"]["images"]) == 2
    assert "plate: 2 frames, 1-2" in made["6"]["text"][0]


def test_a_wrong_path_is_one_sentence_on_the_node(server: Server) -> None:
    prompt = server.prompt_of(TEMPLATE, path="/etc/passwd")
    status = server.run(prompt)["status"]
    assert status["status_str"] == "error"
    (failure,) = [told for kind, told in status["messages"] if kind == "execution_error"]
    assert failure["node_type"].startswith("MatteRead")
    assert "lies outside the folders that a workflow may read" in failure["exception_message"]


def test_what_has_not_changed_does_not_run_again_and_a_changed_file_does(server: Server) -> None:
    plates = server.folder / "input" / "changing"
    shutil.copytree(ROOT / "samples" / "plate", plates)
    prompt = server.prompt_of(TEMPLATE, frames="1001", out="changing/a.####.exr")
    for node in prompt.values():
        if "path" in node["inputs"]:
            node["inputs"]["path"] = node["inputs"]["path"].replace("plate/", "changing/")
    kind = {node["class_type"]: key for key, node in prompt.items()}
    outputs(server.run(prompt))
    assert set(prompt) - cached(server.run(prompt)) == {kind["MatteWriteSequence"]}  # it looks after its files itself
    (plates / "mask.1001.png").touch()
    ran = set(prompt) - cached(server.run(prompt))
    assert {kind["MatteReadMatte"], kind["MatteTrimapFromMask"], kind["MatteEstimateAlpha"]} <= ran
    assert kind["MatteReadPlate"] not in ran


def test_the_network_is_one_of_comfyuis_models_and_comes_back_after_comfyui_unloaded_it(server: Server) -> None:
    def loads() -> int:
        return server.log.count("Requested to load NetM")

    def run(grow: int) -> None:
        outputs(server.run(server.prompt_of(TEMPLATE, frames="1001", grow=grow, out=f"unloaded/{grow}.####.exr")))

    run(9)
    before = loads()
    assert before > 0
    run(10)
    assert loads() == before  # it had stayed
    server.post("/free", {"unload_models": True})
    for _ in range(2):  # ComfyUI does it after the prompt that comes next
        outputs(
            server.run(
                {
                    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
                    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
                }
            )
        )
    run(11)
    assert loads() == before + 1


def test_folders_of_extra_model_paths_hold_weights(server: Server) -> None:
    (server.folder / "more-models" / "mine.safetensors").write_bytes(b"")
    assert "mine.safetensors" in server.get("/models/matte")


def test_a_viewer_shows_frames_of_its_prompt_and_tells_their_values(server: Server) -> None:
    prompt = {
        "1": {"class_type": "MatteReadPlate", "inputs": {"path": "plate/plate.####.exr", "frames": "1001-1003"}},
        "2": {"class_type": "MatteReadMatte", "inputs": {"path": "plate/truth.####.exr", "frames": "1001-1003"}},
        "3": {"class_type": "MatteViewer", "inputs": {"plate": ["1", 0], "matte": ["2", 0]}},
    }
    (view,) = outputs(server.run(prompt))["3"]["matte_view"]
    assert outputs(server.run(prompt))["3"]["matte_view"] == [view]
    address = f"/api/matte/viewer/{view}"
    assert server.get(f"{address}/about")["frames"] == "1001-1003"
    with urllib.request.urlopen(f"{server.address}{address}/picture?look=overlay&frame=1003", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/png" and answer.read(4) == b"\x89PNG"
    (frame,) = frames_of(plate_source(str(ROOT / "samples/plate/plate.####.exr"), "1003"))
    row, column = 100 - frame.header.data.y, 200 - frame.header.data.x
    told = server.get(f"{address}/values?look=alpha&frame=1003&x=200&y=100")["values"]
    assert list(told["plate"].values()) == frame.pixels[:, row, column].tolist()
    assert set(told["matte"]) == {"A"}
    with pytest.raises(urllib.error.HTTPError) as refusal:
        server.get(f"{address}/picture?look=rgb&frame=9")
    assert refusal.value.code == 400
    assert json.loads(refusal.value.read())["error"].startswith("frame 9 is not in the plate (1001-1003).")
