"""Addresses of files: pictures that nodes made, uploads, saved workflows and settings. Every name is confined."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from matte_core.errors import UsageError
from matte_core.studio import pictures
from matte_core.studio.folders import Folders, free, inside
from matte_core.studio.guard import read_json, read_table

Reply = web.StreamResponse
SHOWN = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "video/", "audio/", "text/plain")
UPLOADS = pictures.SUFFIXES | {".exr", ".dpx"}
SETTINGS = "comfy.settings.json"
FIRST_SETTINGS = {"Comfy.TutorialCompleted": True}  # no dialog over the empty canvas at the first start


class FileRoutes:
    """Answers from Studio's folders."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/view", self.view),
            web.post("/upload/image", self.upload),
            web.post("/upload/mask", self.upload_mask),
            web.get("/settings", self.settings),
            web.post("/settings", self.change_settings),
            web.get("/settings/{id}", self.setting),
            web.post("/settings/{id}", self.change_setting),
            web.get("/userdata", self.list_saved),
            web.get("/userdata/{file:[^/]+}", self.load),
            web.post("/userdata/{file:[^/]+}", self.save),
            web.delete("/userdata/{file:[^/]+}", self.delete),
            web.post("/userdata/{file:[^/]+}/move/{to:[^/]+}", self.move),
        ]

    async def view(self, request: web.Request) -> Reply:
        query = request.query
        name = query.get("filename", "")
        place = self._folders.find(name, query.get("type", "output"), query.get("subfolder", ""))
        if not place.is_file():
            return web.Response(status=404)
        if "preview" in query:
            body, kind = await asyncio.to_thread(pictures.preview, place, query["preview"])
            return web.Response(body=body, content_type=kind)
        if query.get("channel") in ("rgb", "a"):
            body, kind = await asyncio.to_thread(pictures.channel, place, query["channel"])
            return web.Response(body=body, content_type=kind)
        kind = mimetypes.guess_type(place.name)[0] or ""
        if kind.startswith(SHOWN):
            return web.FileResponse(place, headers={"Content-Type": kind})
        headers = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
        return web.FileResponse(place, headers=headers)  # SVG and HTML could carry scripts: never shown

    async def upload(self, request: web.Request) -> Reply:
        fields = await request.post()
        sent, place, kind = self._target(fields)
        if fields.get("overwrite") not in ("true", "1"):
            place = free(place)
        content = await asyncio.to_thread(sent.file.read)
        return await self._keep(place, kind, content)

    async def upload_mask(self, request: web.Request) -> Reply:
        fields = await request.post()
        sent, place, kind = self._target(fields)
        original = self._original(fields.get("original_ref"))
        content = await asyncio.to_thread(pictures.with_alpha_of, original, sent.file)
        return await self._keep(place, kind, content)

    def _target(self, fields: Any) -> tuple[FileField, Path, str]:
        sent, kind = fields.get("image"), str(fields.get("type") or "input")
        if not isinstance(sent, FileField) or Path(sent.filename).suffix.lower() not in UPLOADS:
            raise UsageError("only pictures can be uploaded. Send a PNG, JPEG, WebP, TIFF or EXR file.")
        name = sent.filename.replace("\\", "/").rsplit("/", 1)[-1]
        return sent, inside(self._folders.of(kind), str(fields.get("subfolder") or ""), name), kind

    def _original(self, text: Any) -> Path:
        try:
            wanted = json.loads(str(text))
            names = [str(wanted.get(key) or "") for key in ("filename", "type", "subfolder")]
        except (ValueError, AttributeError):
            raise UsageError("the drawn mask names no picture. Open the mask editor again.") from None
        return self._folders.find(names[0], names[1] or "output", names[2])

    async def _keep(self, place: Path, kind: str, content: bytes) -> Reply:
        def write() -> None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

        await asyncio.to_thread(write)
        subfolder = place.parent.resolve().relative_to(self._folders.of(kind).resolve()).as_posix()
        return web.json_response({"name": place.name, "subfolder": subfolder.removeprefix("."), "type": kind})

    def _settings(self) -> dict[str, Any]:
        file = self._folders.user / SETTINGS
        try:
            kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else FIRST_SETTINGS
        except ValueError:
            kept = FIRST_SETTINGS
        return dict(kept)

    def _set(self, changed: dict[str, Any]) -> Reply:
        text = json.dumps({**self._settings(), **changed}, indent=2)
        _replace(self._folders.user / SETTINGS, text.encode())
        return web.Response()

    async def settings(self, request: web.Request) -> Reply:
        return web.json_response(self._settings())

    async def change_settings(self, request: web.Request) -> Reply:
        return self._set(await read_table(request))

    async def setting(self, request: web.Request) -> Reply:
        return web.json_response(self._settings().get(request.match_info["id"]))

    async def change_setting(self, request: web.Request) -> Reply:
        return self._set({request.match_info["id"]: await read_json(request)})

    async def list_saved(self, request: web.Request) -> Reply:
        wanted, query = request.query.get("dir", ""), request.query
        folder = inside(self._folders.user, wanted) if wanted else self._folders.user
        if not folder.is_dir():
            return web.json_response([])
        found = folder.rglob("*") if query.get("recurse") == "true" else folder.iterdir()
        files = sorted(file for file in found if file.is_file())
        if query.get("full_info") == "true":
            return web.json_response([_info(file, folder) for file in files])
        names = [file.relative_to(folder).as_posix() for file in files]
        return web.json_response(
            [[name, *name.split("/")] for name in names] if query.get("split") == "true" else names
        )

    async def load(self, request: web.Request) -> Reply:
        place = self._saved(request, "file")
        if not place.is_file():
            return web.Response(status=404)
        return web.FileResponse(place, headers={"Content-Type": "application/octet-stream"})

    async def save(self, request: web.Request) -> Reply:
        place = self._saved(request, "file")
        if place.exists() and request.query.get("overwrite") == "false":
            return web.json_response({"error": f"{place.name} is there already. Choose another name."}, status=409)
        _replace(place, await request.read())
        return self._answer(request, place)

    async def delete(self, request: web.Request) -> Reply:
        place = self._saved(request, "file")
        if not place.is_file():
            return web.Response(status=404)
        place.unlink()
        return web.Response(status=204)

    async def move(self, request: web.Request) -> Reply:
        place, to = self._saved(request, "file"), self._saved(request, "to")
        if not place.is_file():
            return web.Response(status=404)
        if to.exists() and request.query.get("overwrite") == "false":
            return web.json_response({"error": f"{to.name} is there already. Choose another name."}, status=409)
        to.parent.mkdir(parents=True, exist_ok=True)
        place.replace(to)
        return self._answer(request, to)

    def _saved(self, request: web.Request, part: str) -> Path:
        return inside(self._folders.user, request.match_info[part])

    def _answer(self, request: web.Request, place: Path) -> Reply:
        root = self._folders.user.resolve()
        full = request.query.get("full_info") == "true"
        return web.json_response(_info(place, root) if full else place.relative_to(root).as_posix())


def _info(file: Path, folder: Path) -> dict[str, Any]:
    state = file.stat()
    times = {"modified": int(state.st_mtime * 1000), "created": int(state.st_ctime * 1000)}
    return {"path": file.resolve().relative_to(folder.resolve()).as_posix(), "size": state.st_size, **times}


def _replace(place: Path, content: bytes) -> None:
    """Writes the file whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.part")
    beside.write_bytes(content)
    beside.replace(place)
