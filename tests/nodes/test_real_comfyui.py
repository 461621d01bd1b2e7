"""The pack in a real ComfyUI, on the CPU. Needs COMFYUI_DIR (a checkout) and COMFYUI_PYTHON (its Python)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.graph import node_types, widget_names
from matte_core.io.image import read_header
from matte_core.workflow import load as load_workflow

ROOT = Path(__file__).resolve().parents[2]
COMFYUI = os.environ.get("COMFYUI_DIR", "")
pytestmark = pytest.mark.skipif(not COMFYUI, reason="COMFYUI_DIR is not set")
BOOT_SECONDS, RUN_SECONDS = 180, 300


@dataclass
class Server:
    """A running ComfyUI: its address, its folders, its log."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.loads(answer.read())

    def post(self, path: str, content: dict[str, Any]) -> bytes:
        body = json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()  # type: ignore[no-any-return]
        except urllib.error.HTTPError as refusal:
            raise AssertionError(refusal.read().decode()) from None

    def queue(self, prompt: dict[str, Any]) -> str:
        """The number under which ComfyUI runs a prompt."""
        return str(json.loads(self.post("/prompt", {"prompt": prompt}))["prompt_id"])

    def finished(self, number: str) -> dict[str, Any]:
        """ComfyUI's history of a prompt, waited for."""
        end = time.monotonic() + RUN_SECONDS
        while time.monotonic() < end:
            history = self.get(f"/history/{number}")
            if number in history:
                return history[number]  # type: ignore[no-any-return]
            time.sleep(0.1)
        raise TimeoutError(self.log[-2000:])

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]:
        return self.finished(self.queue(prompt))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("comfyui"), _free_port()
    for name in ("input", "output", "temp", "user", "packs"):
        (folder / name).mkdir()
    (folder / "packs" / "matte").symlink_to(ROOT)
    (folder / "paths.yaml").write_text(f"matte_test:\n  base_path: {folder}\n  custom_nodes: packs\n")
    command = [
        *(os.environ.get("COMFYUI_PYTHON", sys.executable), "main.py", "--cpu", "--disable-api-nodes"),
        *("--listen", "127.0.0.1", "--port", str(port), "--extra-model-paths-config", str(folder / "paths.yaml")),
        *("--user-directory", str(folder / "user"), "--database-url", f"sqlite:///{folder}/comfy.db"),
        *("--output-directory", str(folder), "--input-directory", str(folder / "input")),
        *("--temp-directory", str(folder)),
    ]
    command[command.index("--output-directory") + 1] = str(folder / "output")
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=COMFYUI, stdout=log, stderr=subprocess.STDOUT)
    running = Server(f"http://127.0.0.1:{port}", folder, process)
    try:
        _wait(running)
        yield running
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: Server) -> None:
    end = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            server.get("/queue")
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    raise TimeoutError(server.log[-2000:])


def prompt_of(template: Path, **settings: Any) -> dict[str, Any]:
    """A template as the page would queue it, its widgets changed where an operation has one of that name."""
    types = node_types()

    def widgets(name: str) -> list[str] | None:
        extra = {"MattePreview": ["frames", "look"], "MatteShotInfo": [], "PreviewAny": []}
        extra["EmptyImage"] = ["width", "height", "batch_size", "color"]
        return widget_names(types[name]) if name in types else extra.get(name)

    prompt = {}
    for key, node in load_workflow(template, widgets).items():
        values: dict[str, Any] = dict(node.values)
        values.update({name: value for name, value in settings.items() if name in values and node.type in types})
        values.update({name: [link.node, link.slot] for name, link in node.links.items()})
        prompt[key] = {"class_type": node.type, "inputs": values}
    return prompt


def outputs(history: dict[str, Any]) -> dict[str, Any]:
    assert history["status"]["status_str"] == "success", history["status"]
    return history["outputs"]  # type: ignore[no-any-return]


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


def test_templates_and_help_are_served(server: Server) -> None:
    assert sorted(server.get("/workflow_templates")["matte"]) == sorted(p.stem for p in ROOT.glob("workflows/*.json"))
    assert server.get("/api/workflow_templates/matte/mask_to_matte.json")["nodes"]
    with urllib.request.urlopen(server.address + "/extensions/matte/docs/MatteReadPlate.md", timeout=30) as answer:
        assert b"`path`" in answer.read()


def test_mask_to_matte_writes_frames_shows_a_preview_and_resumes(server: Server) -> None:
    prompt = prompt_of(ROOT / "workflows" / "mask_to_matte.json", frames="1001-1002")
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
    prompt = prompt_of(ROOT / "workflows" / "mask_to_matte.json", frames="1003-1007", out="stopped/a.####.exr")
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
    prompt = prompt_of(ROOT / "workflows" / "mask_to_matte.json", path="/etc/passwd")
    status = server.run(prompt)["status"]
    assert status["status_str"] == "error"
    (failure,) = [told for kind, told in status["messages"] if kind == "execution_error"]
    assert failure["node_type"].startswith("MatteRead")
    assert "lies outside the folders that a workflow may read" in failure["exception_message"]
