"""Matte's own nodes in Studio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.graph import node_types

from .page import Page, Studio, node

READ = {"frames": "", "layer": "", "part": "", "space": "", "ocio": "", "missing": "error", "nan": "error"}


def test_every_operation_is_a_node(matte_studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        described = (await page.get("/object_info"))[1]
        assert set(node_types()) <= set(described)

    matte_studio(scenario)


def test_a_plate_of_the_input_folder_is_read_and_shown(matte_studio: Studio, folder: Path) -> None:
    async def scenario(page: Page) -> None:
        for number in (1001, 1002):
            Image.fromarray(np.full((4, 6, 3), 128, np.uint8)).save(folder / "input" / f"plate.{number}.png")
        prompt = {
            "1": node("MatteReadPlate", path="plate.####.png", **READ),
            "2": node("MatteShotInfo", shot=["1", 0]),
            "3": node("MattePreview", plate=["1", 0], frames="1002", look="plate"),
        }
        events = await page.run(prompt)
        shown = {one["data"]["node"]: one["data"]["output"] for one in events if one["type"] == "executed"}
        assert "2 frames, 1001-1002" in shown["2"]["text"][0]
        response = await page.client.get("/view", params=shown["3"]["images"][0])
        assert (response.status, response.content_type) == (200, "image/png")

    matte_studio(scenario)


def test_a_path_outside_is_refused_at_the_node_in_one_sentence(matte_studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        prompt = {"1": node("MatteReadPlate", path="/etc/passwd", **READ), "2": node("MatteShotInfo", shot=["1", 0])}
        error = next(one for one in await page.run(prompt) if one["type"] == "execution_error")["data"]
        assert error["node_id"] == "1"
        assert error["exception_message"].startswith("/etc/passwd lies outside the folders that a workflow may read")

    matte_studio(scenario)
