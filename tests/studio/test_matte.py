"""Matte's own nodes in Studio."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.graph import node_types

from .page import Page, Studio, node

READ = {"frames": "", "layer": "", "part": "", "space": "", "ocio": "", "missing": "error", "nan": "error"}
OUTSIDE = "frame 7 is not in the plate (1001-1002). Choose a frame that it has."


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


def test_the_page_gets_the_help_its_picture_and_the_texts(matte_studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        (name,) = (await page.get("/workflow_templates"))[1]
        assert (await page.get(f"/extensions/{name}/docs/MatteOver.md"))[1].startswith("# Over\n")
        picture = await page.client.get(f"/extensions/{name}/docs/MatteOver.jpg")
        assert (picture.status, picture.content_type) == (200, "image/jpeg")
        texts = (await page.get("/i18n"))[1]["en"]
        assert texts["nodeDefs"]["MatteOver"]["display_name"] == "Over"
        assert texts["dataTypes"]["MATTE_SHOT"] == "Shot"

    matte_studio(scenario)


def test_a_path_outside_is_refused_at_the_node_in_one_sentence(matte_studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        prompt = {"1": node("MatteReadPlate", path="/etc/passwd", **READ), "2": node("MatteShotInfo", shot=["1", 0])}
        error = next(one for one in await page.run(prompt) if one["type"] == "execution_error")["data"]
        assert error["node_id"] == "1"
        assert error["exception_message"].startswith("/etc/passwd lies outside the folders that a workflow may read")

    matte_studio(scenario)


def test_a_viewer_is_shown_frames_and_values_of_what_a_prompt_gave_it_and_nothing_else(
    matte_studio: Studio, folder: Path
) -> None:
    async def scenario(page: Page) -> None:
        for number in (1001, 1002):
            Image.fromarray(np.full((4, 6, 3), number - 950, np.uint8)).save(folder / "input" / f"plate.{number}.png")
        prompt = {"1": node("MatteReadPlate", path="plate.####.png", **READ), "2": node("MatteViewer", plate=["1", 0])}
        events = await page.run(prompt)
        (view,) = next(one for one in events if one["type"] == "executed")["data"]["output"]["matte_view"]
        about = (await page.get(f"/matte/viewer/{view}/about"))[1]
        assert (about["frames"], about["size"], about["looks"]) == ("1001-1002", [6, 4], ["rgb"])

        response = await page.client.get(f"/api/matte/viewer/{view}/picture?look=rgb&frame=1002")
        assert (response.status, response.content_type) == (200, "image/png")
        picture = np.asarray(Image.open(io.BytesIO(await response.read())))
        np.testing.assert_array_equal(picture, np.full((4, 6, 3), 52, np.uint8))

        told = (await page.get(f"/matte/viewer/{view}/values?look=rgb&frame=1002&x=5&y=3"))[1]
        assert told["values"]["plate"] == pytest.approx(dict.fromkeys("RGB", 52 / 255), abs=1e-7)

        status, answer = await page.get(f"/matte/viewer/{view}/picture?look=rgb&frame=7")
        assert (status, answer["error"]) == (
            400,
            "frame 7 is not in the plate (1001-1002). Choose a frame that it has.",
        )
        status, answer = await page.get("/matte/viewer/..%2f..%2fsecret.png/picture?look=rgb&frame=1")
        assert (status, answer["error"][:34]) == (404, "This viewer's shots are not here a")
        assert (await page.get(f"/matte/viewer/{view}/about", Host="evil.example"))[0] == 403
        assert (await page.get(f"/matte/viewer/{view}/about", Origin="https://evil.example"))[0] == 403

    matte_studio(scenario)


def test_a_viewer_whose_files_are_gone_says_so(matte_studio: Studio, folder: Path) -> None:
    async def scenario(page: Page) -> None:
        for number in (1001, 1002):
            Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(folder / "input" / f"plate.{number}.png")
        prompt = {"1": node("MatteReadPlate", path="plate.####.png", **READ), "2": node("MatteViewer", plate=["1", 0])}
        events = await page.run(prompt)
        (view,) = next(one for one in events if one["type"] == "executed")["data"]["output"]["matte_view"]
        (folder / "input" / "plate.1002.png").unlink()
        status, answer = await page.get(f"/matte/viewer/{view}/picture?look=rgb&frame=1002")
        assert 400 <= status < 500 and "plate.1002.png" in answer["error"]

    matte_studio(scenario)


def test_the_error_of_a_frame_stands_on_write_and_names_verb_node_and_frame(matte_studio: Studio, folder: Path) -> None:
    async def scenario(page: Page) -> None:
        for number in (1001, 1002):
            Image.fromarray(np.full((4, 6, 3), 128, np.uint8)).save(folder / "input" / f"plate.{number}.png")
        Image.fromarray(np.full((4, 6), 255, np.uint8)).save(folder / "input" / "everything.1001.png")
        prompt = {
            "1": node("MatteReadPlate", path="plate.####.png", **READ),
            "2": node("MatteReadMatte", path="everything.1001.png", channel="", frames="", missing="error"),
            "3": node("MatteCleanPlate", plate=["1", 0], matte=["2", 0]),
            "4": node("MatteWritePlate", plate=["3", 0], out="clean.####.exr"),
        }
        error = next(one for one in await page.run(prompt) if one["type"] == "execution_error")["data"]
        assert error["node_id"] == "4"
        sentence = (
            "clean plate in node 3 (Clean Plate), frame 1001: none of the 2 frames looked at shows any background"
        )
        assert sentence in error["exception_message"]

    matte_studio(scenario)
