"""Every workflow of the pack, as it is: in the studio node by node, and by `matte run`; the same pixels."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.cli import main
from matte_core.graph import node_types, widget_names
from matte_core.io.image import read_header, read_pixels
from matte_core.workflow import load

from .page import Page, Studio, node

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
FRAMES = "1003-1004"  # of the bundled eight: a test is to be quick
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")


def prompt_of(file: Path, served: dict[str, Any]) -> dict[str, Any]:
    """What the page would queue for a workflow file."""

    def widgets(kind: str) -> list[str] | None:
        inputs = served[kind]["input"] if kind in served else {}
        entries = {name: entry for group in ("required", "optional") for name, entry in inputs.get(group, {}).items()}
        return [name for name, entry in entries.items() if isinstance(entry[0], list) or entry[0] in WIDGETS]

    return {
        key: node(each.type, **each.values, **{name: [link.node, link.slot] for name, link in each.links.items()})
        for key, each in load(file, widgets).items()
    }


def names_of(kind: str) -> list[str] | None:
    return widget_names(node_types()[kind]) if kind in node_types() else None


def shortened(prompt: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings by node that leave two frames of every sequence that is read."""
    return {key: {"frames": FRAMES} for key, each in prompt.items() if "#" in str(each["inputs"].get("path", ""))}


def pictures(folder: Path) -> dict[str, dict[str, Any]]:
    """Channels by name of every file below a folder."""
    found = {}
    for file in sorted(folder.rglob("*.exr")):
        names = list(read_header(file).parts[0].channels)
        pixels, _ = read_pixels(file, names)
        found[file.relative_to(folder).as_posix()] = dict(zip(names, pixels, strict=True))
    return found


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_the_graph_in_the_studio_and_matte_run_make_the_same_pixels(
    matte_studio: Studio, folder: Path, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(page: Page) -> None:
        prompt = prompt_of(file, (await page.get("/object_info"))[1])
        for key, values in shortened(prompt).items():
            prompt[key]["inputs"].update(values)
        events = await page.run(prompt)
        failures = [one["data"] for one in events if one["type"] == "execution_error"]
        assert not failures, failures[0]["exception_message"]
        assert "execution_success" in [one["type"] for one in events]

    matte_studio(scenario)
    shutil.copy(file, tmp_path / file.name)
    settings = [
        f"--set={key}.{name}={value}"
        for key, values in shortened({k: node("", **n.values) for k, n in load(file, names_of).items()}).items()
        for name, value in values.items()
    ]

    def refuse(*args: Any, **more: Any) -> None:
        raise AssertionError("a workflow touched the network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(SystemExit) as left:
        main(["run", file.name, "--output", "run", *settings])
    assert left.value.code == 0
    graph, run = pictures(folder / "output"), pictures(tmp_path / "run")
    assert run.keys() == graph.keys() and len(run) >= 2
    for name, channels in run.items():
        assert channels.keys() == graph[name].keys()
        for channel, values in channels.items():
            np.testing.assert_array_equal(values, graph[name][channel], err_msg=f"{name} {channel}")


def test_each_workflow_says_what_it_does() -> None:
    for file in WORKFLOWS:
        content = json.loads(file.read_text(encoding="utf-8"))
        (note,) = [each for each in content["nodes"] if each["type"] == "MarkdownNote"]
        assert note["widgets_values"][0].startswith("## ")
