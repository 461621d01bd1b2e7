"""Addresses of the page itself and of what it asks before it shows: nodes, scripts, help, templates, the machine."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from aiohttp import web

from matte_core import __version__
from matte_core.errors import UsageError
from matte_core.studio.events import FEATURES, Events
from matte_core.studio.folders import inside
from matte_core.studio.jobs import Queue
from matte_core.studio.table import Pack, Table

Reply = web.StreamResponse
WHAT_IT_IS = f"Matte Studio {__version__}: a host for Matte's nodes, not ComfyUI"
OWN_SCRIPTS = Path(__file__).parent / "web"
OWN_NAME = "matte-studio"
EMPTY_TABLES = (
    "/global_subgraphs",
    "/node_replacements",
    "/templates/index_logo.json",
    "/internal/folder_paths",
)
EMPTY_LISTS = ("/embeddings", "/models", "/experiment/models", "/templates/index.json")


def installed_front() -> Path:
    """Static folder of the installed page. Raises UsageError where it is not installed."""
    found = find_spec("comfyui_frontend_package")
    if found is None or found.origin is None:
        raise UsageError("Studio needs comfyui-frontend-package. Install it: pip install 'matte-core[studio]'")
    return Path(found.origin).parent / "static"


class PageRoutes:
    """Answers from the front end's files, the pack's files and the table of nodes."""

    def __init__(self, front: Path, pack: Pack, table: Table, queue: Queue, events: Events) -> None:
        self._front, self._pack, self._table, self._queue, self._events = front, pack, table, queue, events
        self._scripts = {OWN_NAME: OWN_SCRIPTS}
        if pack.web is not None:
            self._scripts[pack.name] = pack.web

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ws", self.socket),
            web.get("/users", _always({"storage": "server", "migrated": True})),
            web.get("/features", _always(FEATURES)),
            web.get("/internal/logs", _always("")),
            web.get("/object_info", self.nodes),
            web.get("/object_info/{name}", self.node),
            web.get("/system_stats", self.system),
            web.get("/i18n", self.translations),
            web.get("/extensions", self.scripts),
            web.get("/extensions/{pack}/{path:.+}", self.script),
            web.get("/workflow_templates", self.templates),
            web.get("/workflow_templates/{pack}/{file}", self.template),
            *(web.get(address, _always({})) for address in EMPTY_TABLES),
            *(web.get(address, _always([])) for address in EMPTY_LISTS),
        ]

    async def index(self, request: web.Request) -> Reply:
        return web.FileResponse(self._front / "index.html")

    async def socket(self, request: web.Request) -> Reply:
        return await self._events.serve(request, self._queue.left)

    async def nodes(self, request: web.Request) -> Reply:
        return web.json_response(self._table.describe_all())

    async def node(self, request: web.Request) -> Reply:
        name = request.match_info["name"]
        return web.json_response({name: self._table.describe(name)} if name in self._table.classes else {})

    async def system(self, request: web.Request) -> Reply:
        system = {
            "os": sys.platform,
            "host": WHAT_IT_IS,
            "comfyui_version": f"none ({WHAT_IT_IS})",
            "python_version": sys.version,
            "pytorch_version": torch.__version__,
            "embedded_python": False,
            "argv": ["matte", "studio"],
            "ram_total": 0,
            "ram_free": 0,
        }
        return web.json_response({"system": system, "devices": [_device()]})

    async def scripts(self, request: web.Request) -> Reply:
        return web.json_response(
            [
                f"/extensions/{name}/{file.relative_to(folder).as_posix()}"
                for name, folder in self._scripts.items()
                for file in sorted(folder.rglob("*.js"))
            ]
        )

    async def script(self, request: web.Request) -> Reply:
        name, path = request.match_info["pack"], request.match_info["path"]
        place = inside(self._scripts.get(name, self._front / "extensions" / "core"), path)
        known = name in self._scripts or name == "core"
        return web.FileResponse(place) if known and place.is_file() else web.Response(status=404)

    async def translations(self, request: web.Request) -> Reply:
        return web.json_response(self._pack.translations())

    async def templates(self, request: web.Request) -> Reply:
        return web.json_response({self._pack.name: self._pack.templates()})

    async def template(self, request: web.Request) -> Reply:
        if self._pack.workflows is None or request.match_info["pack"] != self._pack.name:
            return web.Response(status=404)
        place = inside(self._pack.workflows, request.match_info["file"])
        shown = place.is_file() and place.suffix in (".json", ".jpg")
        return web.FileResponse(place) if shown else web.Response(status=404)


def _always(answer: Any) -> Callable[[web.Request], Awaitable[Reply]]:
    async def reply(request: web.Request) -> Reply:
        return web.json_response(answer)

    return reply


def _device() -> dict[str, Any]:
    there = torch.cuda.is_available()
    free, total = torch.cuda.mem_get_info() if there else (0, 0)
    return {
        "name": torch.cuda.get_device_name() if there else "cpu",
        "type": "cuda" if there else "cpu",
        "index": 0 if there else None,
        "vram_total": total,
        "vram_free": free,
        "torch_vram_total": total,
        "torch_vram_free": free,
    }
