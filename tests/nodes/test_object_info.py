"""The nodes and Studio describe themselves as a real ComfyUI describes them (scripts/record_object_info.py)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from matte_core.studio.table import Table

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "object_info.json").read_text())


def without_place(described: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key != "python_module"}


@pytest.fixture(scope="module")
def described(load_once: Any) -> dict[str, Any]:
    mappings, table = load_once("mappings"), Table()
    table.add(mappings.NODE_CLASS_MAPPINGS, mappings.NODE_DISPLAY_NAME_MAPPINGS, "custom_nodes.matte")
    return table.describe_all()


def test_no_node_is_without_a_record_and_no_record_without_a_node(described: dict[str, Any]) -> None:
    assert sorted(described) == sorted(RECORDED["nodes"])


@pytest.mark.parametrize("name", RECORDED["nodes"])
def test_a_node_is_described_as_by_comfyui(described: dict[str, Any], name: str) -> None:
    assert without_place(described[name]) == RECORDED["nodes"][name]


def test_studio_answers_the_page_as_comfyui_does(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    from aiohttp.test_utils import TestClient, TestServer

    from matte_core.studio.server import Settings, application

    (tmp_path / "front").mkdir()
    (tmp_path / "front" / "index.html").write_text("")

    async def asked() -> dict[str, Any]:
        settings = Settings("127.0.0.1", 0, tmp_path / "studio", (), Path(__file__).resolve().parents[2])
        with application(settings, tmp_path / "front") as app:
            async with TestClient(TestServer(app)) as client:
                return dict(await (await client.get("/object_info")).json())

    answered = asyncio.run(asked())
    assert {name: without_place(answered[name]) for name in RECORDED["nodes"]} == RECORDED["nodes"]
