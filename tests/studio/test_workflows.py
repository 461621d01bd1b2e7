"""Every workflow of the pack, as it is: in the studio node by node, and by `matte run`; the same pixels."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.cli import main
from matte_core.graph import node_types, widget_names
from matte_core.io.image import read_header, read_pixels
from matte_core.op import OPS
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


def in_the_studio(studio: Studio, file: Path) -> dict[str, Any]:
    """Executes the graph, two frames of it, node by node; the description of the nodes it was made with."""
    served: dict[str, Any] = {}

    async def scenario(page: Page) -> None:
        served.update((await page.get("/object_info"))[1])
        prompt = prompt_of(file, served)
        for key, values in shortened(prompt).items():
            prompt[key]["inputs"].update(values)
        events = await page.run(prompt)
        failures = [one["data"] for one in events if one["type"] == "execution_error"]
        assert not failures, failures[0]["exception_message"]
        assert "execution_success" in [one["type"] for one in events]

    studio(scenario)
    return served


def by_the_command(file: Path, output: Path) -> None:
    """`matte run` of the same two frames."""
    nodes = {key: node("", **each.values) for key, each in load(file, names_of).items()}
    settings = [
        f"--set={key}.{name}={value}" for key, values in shortened(nodes).items() for name, value in values.items()
    ]
    with pytest.raises(SystemExit) as left:
        main(["run", str(file), "--output", str(output), *settings])
    assert left.value.code == 0


def assert_same(run: dict[str, dict[str, Any]], graph: dict[str, dict[str, Any]]) -> None:
    """Every file and every channel of both, bit by bit."""
    assert run.keys() == graph.keys() and len(run) >= 2
    for name, channels in run.items():
        assert channels.keys() == graph[name].keys()
        for channel, values in channels.items():
            np.testing.assert_array_equal(values, graph[name][channel], err_msg=f"{name} {channel}")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Goes to a folder where nothing is, and away from the network."""

    def refuse(*args: Any, **more: Any) -> None:
        raise AssertionError("a workflow touched the network")

    def go() -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)

    return go


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_the_graph_in_the_studio_and_matte_run_make_the_same_pixels(
    matte_studio: Studio, folder: Path, tmp_path: Path, file: Path, offline: Callable[[], None]
) -> None:
    in_the_studio(matte_studio, file)
    offline()
    by_the_command(file, tmp_path / "run")
    assert_same(pictures(tmp_path / "run"), pictures(folder / "output"))


def old_workflow(place: Path) -> Path:
    """Mask to matte as a version would have saved it in which a node had another name and the nodes fewer widgets."""
    content = json.loads((ROOT / "workflows" / "mask_to_matte.json").read_text(encoding="utf-8"))
    kept = {"MatteReadPlate": 2, "MatteReadMatte": 1, "MatteTrimapFromMask": 2, "MatteEstimateAlpha": 1}
    for each in content["nodes"]:
        each["widgets_values"] = each["widgets_values"][: kept.get(each["type"], 1)]
        if each["type"] == "MatteTrimapFromMask":
            each["type"] = each["properties"]["Node name for S&R"] = "MatteDilateErode"
    place.write_text(json.dumps(content), encoding="utf-8")
    return place


def test_a_workflow_of_an_older_version_still_runs(
    matte_studio: Studio, folder: Path, tmp_path: Path, offline: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = replace(OPS["trimap_from_mask"], formerly=("dilate_erode",))
    monkeypatch.setitem(OPS, "trimap_from_mask", renamed)
    old = old_workflow(tmp_path / "old.json")
    served = in_the_studio(matte_studio, old)
    assert served["MatteDilateErode"]["deprecated"] and "(old name)" in served["MatteDilateErode"]["display_name"]
    assert served["MatteDilateErode"]["input"] == served["MatteTrimapFromMask"]["input"]
    offline()
    by_the_command(old, tmp_path / "old")
    by_the_command(ROOT / "workflows" / "mask_to_matte.json", tmp_path / "new")
    assert_same(pictures(tmp_path / "old"), pictures(folder / "output"))
    assert_same(pictures(tmp_path / "old"), pictures(tmp_path / "new"))


def test_there_are_six_workflows_and_each_says_what_it_does() -> None:
    assert len(WORKFLOWS) >= 6
    for file in WORKFLOWS:
        content = json.loads(file.read_text(encoding="utf-8"))
        (note,) = [each for each in content["nodes"] if each["type"] == "MarkdownNote"]
        assert note["widgets_values"][0].startswith("## ")
