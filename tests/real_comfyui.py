"""A real ComfyUI with this pack in it, on the CPU: for the tests that run where COMFYUI_DIR is set.

COMFYUI_DIR      a checkout of ComfyUI
COMFYUI_PYTHON   its Python, which has ComfyUI's requirements and the pack's; without it the one that runs the tests
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_core.workflow import load

ROOT = Path(__file__).resolve().parents[1]
COMFYUI = os.environ.get("COMFYUI_DIR", "")
BOOT_SECONDS, RUN_SECONDS = 180, 300
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


@dataclass
class Server:
    """A running ComfyUI: its address, its folders, its log."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    @property
    def version(self) -> str:
        return str(self.get("/system_stats")["system"]["comfyui_version"])

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.loads(answer.read())

    def post(self, path: str, content: Mapping[str, Any]) -> bytes:
        body = json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()  # type: ignore[no-any-return]
        except urllib.error.HTTPError as refusal:
            raise AssertionError(refusal.read().decode()) from None

    def queue(self, prompt: Mapping[str, Any]) -> str:
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

    def run(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        return self.finished(self.queue(prompt))

    def prompt_of(self, template: Path, **settings: Any) -> dict[str, Any]:
        """A template as the page would queue it; `settings` change widgets of Matte's nodes wherever they stand."""
        nodes = load(template, widgets_of(self.get("/object_info")))
        prompt = {}
        for key, node in nodes.items():
            ours = node.type.startswith("Matte")
            changed = {name: value for name, value in settings.items() if ours and name in node.values}
            links = {name: [link.node, link.slot] for name, link in node.links.items()}
            prompt[key] = {"class_type": node.type, "inputs": {**node.values, **changed, **links}}
        return prompt


def widgets_of(described: Mapping[str, Any]) -> Any:
    """A function that names the widgets of a node, from ComfyUI's /object_info."""

    def names(node: str) -> list[str] | None:
        if node not in described:
            return None
        groups = described[node]["input"]
        entries = {name: entry for group in ("required", "optional") for name, entry in groups.get(group, {}).items()}
        return [name for name, entry in entries.items() if isinstance(entry[0], list) or entry[0] in WIDGETS]

    return names


def outputs(history: Mapping[str, Any]) -> dict[str, Any]:
    """What the nodes of a prompt showed; the prompt must have succeeded."""
    assert history["status"]["status_str"] == "success", history["status"]
    return dict(history["outputs"])


def cached(history: Mapping[str, Any]) -> set[str]:
    """Nodes that ComfyUI did not run again."""
    told = [content for kind, content in history["status"]["messages"] if kind == "execution_cached"]
    return {node for content in told for node in content["nodes"]}


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Server]:
    """ComfyUI with its folders below `folder` and this checkout as its pack `matte`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("input", "output", "user", "packs", "more-models"):
        (folder / name).mkdir(parents=True)
    (folder / "packs" / "matte").symlink_to(ROOT)
    paths = f"test:\n  base_path: {folder}\n  custom_nodes: packs\n  matte: more-models\n"
    (folder / "paths.yaml").write_text(paths)
    command = [
        *(os.environ.get("COMFYUI_PYTHON", sys.executable), "main.py", "--cpu", "--disable-api-nodes"),
        *("--listen", "127.0.0.1", "--port", str(port), "--extra-model-paths-config", str(folder / "paths.yaml")),
        *("--user-directory", str(folder / "user"), "--database-url", f"sqlite:///{folder}/comfy.db"),
        *("--output-directory", str(folder / "output"), "--input-directory", str(folder / "input")),
        *("--temp-directory", str(folder), *arguments),
    ]
    # As on an artist's machine: the pack is found by ComfyUI and by nothing else.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=COMFYUI, stdout=log, stderr=subprocess.STDOUT, env=environment)
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
