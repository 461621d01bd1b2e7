"""Studio's addresses: what the page asks for, and what nobody may ask for."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from matte_core.errors import UsageError
from matte_core.studio import serve
from matte_core.studio.server import Settings, application

from .page import PACK, Page, Studio, node


def test_the_page_gets_everything_it_asks_for_under_both_prefixes(studio: Studio) -> None:
    asked = [
        *("/users", "/settings", "/features", "/extensions", "/object_info", "/system_stats", "/i18n"),
        *("/workflow_templates", "/global_subgraphs", "/node_replacements", "/templates/index.json"),
        *("/embeddings", "/models", "/experiment/models", "/userdata?dir=workflows"),
        *("/jobs", "/queue", "/history", "/prompt", "/internal/folder_paths", "/internal/logs"),
    ]

    async def scenario(page: Page) -> None:
        for prefix in ("", "/api"):
            answers = {address: (await page.get(prefix + address))[0] for address in asked}
            assert set(answers.values()) == {200}, answers
        assert "<title>page</title>" in (await page.get("/"))[1]
        assert (await page.get("/scripts/app.js"))[0] == 200
        assert (await page.get("/api/userdata/user.css"))[0] == 404

    studio(scenario)


def test_nodes_are_described_and_one_that_cannot_be_does_not_blank_the_page(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        _, described = await page.get("/object_info")
        assert "Broken" not in described and "LoadImage" in described
        assert described["Source"] == {
            "input": {
                "required": {"number": ["INT", {"default": 1, "min": 0, "max": 10}], "kind": [["a", "b"], {}]},
                "optional": {"name": ["STRING", {"default": ""}]},
            },
            "input_order": {"required": ["number", "kind"], "optional": ["name"]},
            "is_input_list": False,
            "output": ["INT"],
            "output_is_list": [False],
            "output_name": ["INT"],
            "name": "Source",
            "display_name": "A Source",
            "description": "A source.",
            "python_module": "custom_nodes.pack",
            "category": "test",
            "output_node": False,
            "has_intermediate_output": False,
            "output_tooltips": ["The count."],
            "search_aliases": ["origin"],
            "deprecated": True,
        }
        assert (await page.get("/object_info/Source"))[1] == {"Source": described["Source"]}

    studio(scenario)


def test_the_packs_scripts_help_and_templates_are_served(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert (await page.get("/extensions"))[1] == ["/extensions/matte-studio/studio.js", "/extensions/pack/pack.js"]
        assert (await page.get("/extensions/pack/docs/Source.md"))[1] == "# A Source\n"
        assert (await page.get("/workflow_templates"))[1] == {"pack": ["empty"]}
        assert (await page.get("/api/workflow_templates/pack/empty.json"))[0] == 200
        assert (await page.get("/extensions/pack/..%2F__init__.py"))[0] == 400
        assert (await page.get("/api/workflow_templates/pack/..%2F__init__.py"))[0] == 400

    studio(scenario)


def test_it_says_that_it_is_not_comfyui(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert "not ComfyUI" in (await page.get("/system_stats"))[1]["system"]["comfyui_version"]

    studio(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8189"},
        {"Host": "["},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_strangers_are_refused_everywhere(studio: Studio, headers: dict[str, str]) -> None:
    async def scenario(page: Page) -> None:
        for address in ("/object_info", "/ws", "/view?filename=a.png", "/scripts/app.js"):
            assert (await page.get(address, **headers))[0] == 403
        assert (await page.post("/prompt", {"prompt": {}}, **headers))[0] == 403

    studio(scenario)


def test_its_own_page_is_let_in(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        own = f"http://127.0.0.1:{page.client.port}"
        assert (await page.post("/settings", {}, Origin=own))[0] == 200
        assert "frame-ancestors 'none'" in (await page.client.get("/")).headers["Content-Security-Policy"]

    studio(scenario)


def test_the_connection_answers_about_features_and_survives_nonsense(studio: Studio) -> None:
    async def scenario(page: Page) -> None:
        assert await page.connect() == {
            "type": "status",
            "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"},
        }
        await page.say({"type": "nonsense"})
        await page.say({"type": "feature_flags", "data": {}})
        assert (await page.event())["type"] == "feature_flags"

    studio(scenario)


def test_an_open_page_and_a_running_prompt_do_not_hold_its_end_up(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("")

    async def scene() -> None:
        with application(Settings("127.0.0.1", 0, tmp_path / "studio", (), PACK), tmp_path) as app:
            server = TestServer(app)
            await server.start_server()
            async with ClientSession(server.make_url("/")) as session, session.ws_connect("/ws?clientId=me") as socket:
                await session.post("/prompt", json={"prompt": {"1": node("Slow", steps=3000)}, "client_id": "me"})
                while (await socket.receive_json(timeout=5))["type"] != "progress":
                    pass
                await asyncio.wait_for(server.close(), 5)
                async for _ in socket:
                    pass
                assert socket.closed

    asyncio.run(scene())


def test_nothing_of_it_is_left_behind(studio: Studio) -> None:
    before = set(sys.modules), os.environ.get("MATTE_ALLOWED_ROOTS")

    async def scenario(page: Page) -> None:
        assert "folder_paths" in sys.modules

    studio(scenario)
    left = {
        name for name in set(sys.modules) - before[0] if name.startswith(("comfy", "folder_paths", "matte_studio_pack"))
    }
    assert (left, os.environ.get("MATTE_ALLOWED_ROOTS")) == (set(), before[1])


def test_it_serves_this_machine_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can be reached from other machines"):
        serve(host="0.0.0.0", folder=tmp_path, pack=PACK, front=tmp_path)


def test_what_is_missing_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no page"):
        serve(folder=tmp_path, pack=PACK, front=tmp_path)
    (tmp_path / "index.html").write_text("")
    with pytest.raises(UsageError, match="holds no nodes"):
        serve(folder=tmp_path, pack=tmp_path, front=tmp_path)


def test_further_folders_are_opened_to_the_nodes_while_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_ALLOWED_ROOTS", "/before")
    (tmp_path / "index.html").write_text("")
    with application(Settings("127.0.0.1", 0, tmp_path / "studio", (tmp_path / "shots",), PACK), tmp_path):
        assert os.environ["MATTE_ALLOWED_ROOTS"].split(os.pathsep) == ["/before", str(tmp_path / "shots")]
    assert os.environ["MATTE_ALLOWED_ROOTS"] == "/before"


def test_it_does_not_start_inside_comfyui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "folder_paths", sys)
    (tmp_path / "index.html").write_text("")
    with pytest.raises(UsageError, match="inside ComfyUI"):
        serve(folder=tmp_path / "studio", pack=PACK, front=tmp_path)
