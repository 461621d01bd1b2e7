"""Studio's files: pictures, uploads, saved workflows; and that no name leads out of its folders."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from PIL import Image

from .page import Page, Studio, node

OUTSIDE = [
    "../secret.png",
    "..%2Fsecret.png",
    "/etc/passwd",
    "..\\secret.png",
    "a/../../secret.png",
    "C:secret",
    "a\x00",
]


def picture(alpha: int = 255, kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    Image.new("RGBA", (6, 4), (255, 0, 0, alpha)).save(held, kind)
    return held.getvalue()


async def upload(
    page: Page, name: str, content: bytes, address: str = "/upload/image", **fields: str
) -> tuple[int, Any]:
    form = FormData(fields, quote_fields=False)
    form.add_field("image", content, filename=name, content_type="image/png")
    response = await page.client.post(address, data=form)
    return response.status, await response.json()


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_the_folders(studio: Studio, folder: Path, name: str) -> None:
    async def scenario(page: Page) -> None:
        for query in (
            {"filename": name},
            {"filename": "secret.png", "subfolder": name},
            {"filename": "x", "type": name},
        ):
            response = await page.client.get("/view", params=query)
            assert response.status in (400, 404)
        prompt = {"1": node("LoadImage", image=name), "2": node("PreviewImage", images=["1", 0])}
        assert (await page.queue(prompt))[0] == 400
        quoted = name.replace("%2F", "/").replace("/", "%2F").replace("\x00", "%00").replace("\\", "%5C")
        for address in (f"/userdata/{quoted}", f"/userdata/ok/move/{quoted}"):
            response = await page.client.post(address, data=b"{}")
            assert response.status in (400, 404)
        await upload(page, "ok.png", picture(), subfolder=name)

    studio(scenario)
    outside = {file.relative_to(folder.parent).as_posix() for file in folder.parent.rglob("*") if file.is_file()}
    assert {file for file in outside if not file.startswith(("front/", "studio/"))} == {"secret.png"}


def test_a_link_that_leads_out_is_not_followed(studio: Studio, folder: Path) -> None:
    async def scenario(page: Page) -> None:
        (folder / "input" / "leak.png").symlink_to(folder.parent / "secret.png")
        assert (await page.get("/view?filename=leak.png&type=input"))[0] == 400

    studio(scenario)


def test_a_picture_is_uploaded_viewed_and_loaded(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert await upload(page, "a.png", picture(64)) == (200, {"name": "a.png", "subfolder": "", "type": "input"})
        assert (await upload(page, "a.png", picture()))[1]["name"] == "a (2).png"
        assert (await upload(page, "a (2).png", picture(), overwrite="true"))[1]["name"] == "a (2).png"
        assert "a.png" in (await page.get("/object_info/LoadImage"))[1]["LoadImage"]["input"]["required"]["image"][0]
        response = await page.client.get("/view?filename=a.png&type=input")
        assert await response.read() == picture(64)
        for query, mode in (
            ("channel=rgb", "RGB"),
            ("channel=a", "RGBA"),
            ("preview=webp;50", "RGBA"),
            ("preview=jpeg", "RGB"),
        ):
            response = await page.client.get(f"/view?filename=a.png&type=input&{query}")
            assert Image.open(io.BytesIO(await response.read())).mode == mode
        prompt = {
            "1": node("LoadImage", image="a.png"),
            "2": node("PreviewImage", images=["1", 0]),
            "3": node("MaskPreview", mask=["1", 1]),
            "4": node("SaveImage", images=["1", 0], filename_prefix="sub/out"),
        }
        await page.run(prompt, extra_data={"extra_pnginfo": {"workflow": {"id": 1}}})
        (entry,) = (await page.get("/history"))[1].values()
        shown = {key: value["images"][0] for key, value in entry["outputs"].items()}
        assert shown["4"] == {"filename": "out_00001_.png", "subfolder": "sub", "type": "output"}
        colours = {}
        for key, file in shown.items():
            response = await page.client.get("/view", params=file)
            opened = Image.open(io.BytesIO(await response.read()))
            colours[key] = opened.getpixel((0, 0))
        assert colours == {"2": (255, 0, 0), "3": (191, 191, 191), "4": (255, 0, 0)}
        assert '"id": 1' in opened.text["workflow"] and "LoadImage" in opened.text["prompt"]

    studio(scenario)


def test_a_drawn_mask_becomes_the_pictures_alpha(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        await upload(page, "a.png", picture())
        reference = '{"filename": "a.png", "type": "input", "subfolder": ""}'
        fields = {"type": "input", "subfolder": "clipspace", "original_ref": reference}
        status, made = await upload(page, "drawn.png", picture(10), "/upload/mask", **fields)
        assert (status, made) == (200, {"name": "drawn.png", "subfolder": "clipspace", "type": "input"})
        response = await page.client.get("/view?filename=drawn.png&type=input&subfolder=clipspace")
        assert Image.open(io.BytesIO(await response.read())).getpixel((0, 0)) == (255, 0, 0, 10)
        prompt = {
            "1": node("LoadImage", image="clipspace/drawn.png [input]"),
            "2": node("PreviewImage", images=["1", 0]),
        }
        assert (await page.queue(prompt))[0] == 200
        for bad in ("nonsense", '{"filename": "../../secret.png", "type": "input"}', "[]"):
            assert (await upload(page, "b.png", picture(), "/upload/mask", original_ref=bad))[0] == 400

    studio(scenario)


@pytest.mark.parametrize("name", ["page.html", "script.svg", "run.py", ".png/", ""])
def test_only_pictures_are_taken(studio: Studio, name: str) -> None:
    async def scenario(page: Page) -> None:
        assert (await upload(page, name, b"x"))[0] == 400

    studio(scenario)


def test_too_large_an_upload_is_refused(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(sys.modules["matte_core.studio.server"])["FEATURES"], "max_upload_size", 1000)

    async def scenario(page: Page) -> None:
        form = FormData()
        form.add_field("image", b"x" * 2000, filename="a.png")
        assert (await page.client.post("/upload/image", data=form)).status == 413

    studio(scenario)


def test_a_file_that_could_carry_a_script_is_never_shown(studio: Studio, folder: Path) -> None:
    async def scenario(page: Page) -> None:
        for name in ("a.svg", "a.html", "a.unknown"):
            (folder / "output" / name).write_text("<script/>")
            response = await page.client.get(f"/view?filename={name}")
            assert response.headers["Content-Type"] == "application/octet-stream"
            assert response.headers["Content-Disposition"] == "attachment"

    studio(scenario)


def test_a_workflow_is_saved_listed_moved_loaded_and_deleted(studio: Studio, folder: Path) -> None:
    async def scenario(page: Page) -> None:
        client = page.client
        saved = await client.post("/api/userdata/workflows%2Fmy%20shot.json?full_info=true", data=b"{}")
        assert (await saved.json())["path"] == "workflows/my shot.json"
        again = await client.post("/api/userdata/workflows%2Fmy%20shot.json?overwrite=false", data=b"[]")
        assert again.status == 409
        moved = await client.post("/api/userdata/workflows%2Fmy%20shot.json/move/workflows%2Fb.json", data=b"")
        assert await moved.json() == "workflows/b.json"
        _, listed = await page.get("/api/userdata?dir=workflows&recurse=true&full_info=true")
        assert [(entry["path"], entry["size"]) for entry in listed] == [("b.json", 2)]
        assert await (await client.get("/api/userdata/workflows%2Fb.json")).read() == b"{}"
        assert (await client.delete("/api/userdata/workflows%2Fb.json")).status == 204
        assert (await page.get("/api/userdata?dir=workflows"))[1] == []

    studio(scenario)
    assert not list((folder / "user").rglob("*.part"))


def test_settings_are_kept(studio: Studio) -> None:
    async def first(page: Page) -> None:
        assert (await page.get("/settings"))[1] == {"Comfy.TutorialCompleted": True}
        await page.post("/settings/Comfy.Locale", "de")
        await page.post("/settings", {"a": 1})

    async def second(page: Page) -> None:
        assert (await page.get("/settings"))[1] == {"Comfy.TutorialCompleted": True, "Comfy.Locale": "de", "a": 1}
        assert (await page.get("/settings/Comfy.Locale"))[1] == "de"

    studio(first)
    studio(second)
