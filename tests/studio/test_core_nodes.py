"""The core nodes look to the page and to a workflow as ComfyUI's own, recorded from ComfyUI 0.3.64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .page import Page, Studio, node

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "core_nodes.json").read_text())["nodes"]


def comparable(described: dict[str, Any]) -> dict[str, Any]:
    """The description without what differs between folders (files) and hosts (tips)."""
    for group in ("required", "optional"):
        for name, entry in described["input"].get(group, {}).items():
            if name == "image" and isinstance(entry[0], list):
                entry[0] = []
            for options in entry[1:]:
                options.pop("tooltip", None)
    return described


@pytest.mark.parametrize("name", RECORDED)
def test_a_core_node_is_described_as_comfyuis_own(studio: Studio, name: str) -> None:
    async def scenario(page: Page) -> None:
        described = comparable((await page.get(f"/object_info/{name}"))[1][name])
        assert {key: described[key] for key in RECORDED[name]} == RECORDED[name]

    studio(scenario)


def test_no_core_node_is_without_a_record(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        described = (await page.get("/object_info"))[1]
        assert {name for name, entry in described.items() if entry["python_module"] == "nodes"} == set(RECORDED)

    studio(scenario)


def test_a_colour_goes_through_mask_and_image_and_back(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        prompt = {
            "1": node("EmptyImage", width=2, height=2, batch_size=2, color=0xFF3300),
            "2": node("ImageToMask", image=["1", 0], channel="green"),
            "3": node("InvertMask", mask=["2", 0]),
            "4": node("MaskToImage", mask=["3", 0]),
            "5": node("PreviewAny", source=["4", 0]),
            "6": node("PreviewImage", images=["4", 0]),
        }
        events = await page.run(prompt)
        shown = {one["data"]["node"]: one["data"]["output"] for one in events if one["type"] == "executed"}
        assert shown["5"]["text"][0].count("0.8000") == 2 * 2 * 2 * 3
        assert [file["type"] for file in shown["6"]["images"]] == ["temp", "temp"]

    studio(scenario)


def test_a_picture_is_read_afresh_when_it_changed(studio: Studio, folder: Path) -> None:
    from PIL import Image

    async def scenario(page: Page) -> None:
        prompt = {"1": node("LoadImageMask", image="a.png", channel="red"), "2": node("PreviewAny", source=["1", 0])}
        for code, text in ((255, "1."), (0, "0.")):
            Image.new("RGB", (1, 1), (code, 0, 0)).save(folder / "input" / "a.png")
            assert text in await page.shown(prompt, "2")

    studio(scenario)


@pytest.mark.parametrize("prefix", ["../out", "/out", "a/../../out"])
def test_a_prefix_cannot_lead_out_of_the_output_folder(studio: Studio, folder: Path, prefix: str) -> None:
    async def scenario(page: Page) -> None:
        prompt = {
            "1": node("EmptyImage", width=2, height=2, batch_size=1, color=0),
            "2": node("SaveImage", images=["1", 0], filename_prefix=prefix),
        }
        await page.run(prompt)

    studio(scenario)
    made = [file for file in folder.parent.rglob("*.png") if file.name != "secret.png"]
    assert all(file.is_relative_to(folder / "output") for file in made)
