"""Puts Studio together: folders, pack, worker and addresses; and serves it on this machine only."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from matte_core.errors import UsageError
from matte_core.studio.control import Control
from matte_core.studio.core_nodes import core_nodes
from matte_core.studio.events import FEATURES, Events
from matte_core.studio.execution import Executor
from matte_core.studio.file_routes import FileRoutes
from matte_core.studio.folders import Folders
from matte_core.studio.guard import add_headers, guard, is_loopback
from matte_core.studio.jobs import Job, Queue, work
from matte_core.studio.page_routes import WHAT_IT_IS, PageRoutes, installed_front
from matte_core.studio.prompt_routes import PromptRoutes
from matte_core.studio.standins import stand_ins
from matte_core.studio.table import Table, loaded

ALLOWED_ROOTS = "MATTE_ALLOWED_ROOTS"  # where the nodes look for further folders
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Where Studio listens, where its files lie, what it serves."""

    host: str
    port: int
    folder: Path
    roots: tuple[Path, ...]
    pack: Path


@contextmanager
def application(settings: Settings, front: Path) -> Iterator[web.Application]:
    """Studio's addresses, ready to be served; the pack and the stand-ins for ComfyUI are gone at the end.

    Raises UsageError where the pack or the front end is not there.
    """
    if not (front / "index.html").is_file():
        raise UsageError(f"{front} holds no page (no index.html). Install comfyui-frontend-package.")
    with tempfile.TemporaryDirectory(prefix="matte-studio-") as temp:
        folders, control, table = Folders(settings.folder.absolute(), Path(temp).resolve()), Control(), Table()
        folders.make()
        table.add(*core_nodes(folders), "nodes")
        events = Events()
        queue = Queue(control, lambda: events.send("status", _status(queue)))
        with (
            _open_roots(settings.roots),
            stand_ins(folders, control, queue.left) as added,
            loaded(settings.pack, table) as pack,
        ):
            executor = Executor(table, control, events.send)
            page = PageRoutes(front, pack, table, queue, events)
            app = web.Application(middlewares=[guard], client_max_size=FEATURES["max_upload_size"])
            app.on_response_prepare.append(add_headers)
            parts = (page, PromptRoutes(table, queue, executor.forget), FileRoutes(folders))
            own = [route for part in parts for route in part.routes()]
            for route in [*own, *(route for route in added if isinstance(route, web.RouteDef))]:
                for prefix in ("", "/api"):  # every address is known under both
                    app.router.add_route(route.method, prefix + route.path, route.handler)
            app.router.add_get("/", page.index)
            app.router.add_static("/", front)
            app.cleanup_ctx.append(lambda app: _worker(queue, executor, events))
            app.on_shutdown.append(lambda app: _stop(queue, events))
            try:
                yield app
            finally:
                executor.forget()  # the library remembers every application; what the nodes made goes


def _status(queue: Queue) -> dict[str, object]:
    return {"status": {"exec_info": {"queue_remaining": queue.left()}}}


async def _worker(queue: Queue, executor: Executor, events: Events) -> AsyncIterator[None]:
    """The thread that carries out prompts, for as long as the server lives."""

    def done(job: Job) -> None:
        if job.client is not None:
            events.send("executing", {"node": None, "prompt_id": job.id}, job.client)

    events.start()
    thread = threading.Thread(target=work, args=(queue, executor.run, done), name="matte-studio", daemon=True)
    thread.start()
    yield
    await asyncio.to_thread(thread.join)


async def _stop(queue: Queue, events: Events) -> None:
    """Open pages and the running prompt do not hold the end up."""
    queue.close()
    events.close()


@contextmanager
def _open_roots(roots: tuple[Path, ...]) -> Iterator[None]:
    """The nodes may read and write below `roots` as well."""
    before = os.environ.get(ALLOWED_ROOTS)
    both = [*([before] if before else []), *(str(root.absolute()) for root in roots)]
    os.environ[ALLOWED_ROOTS] = os.pathsep.join(both)
    try:
        yield
    finally:
        if before is None:
            del os.environ[ALLOWED_ROOTS]
        else:
            os.environ[ALLOWED_ROOTS] = before


def run(settings: Settings, *, front: Path | None, open_browser: bool, say: Callable[[str], None] | None) -> None:
    """Serves until Ctrl-C. Raises UsageError where that cannot begin."""
    if not is_loopback(settings.host):
        raise UsageError(f"{settings.host} can be reached from other machines. Studio serves 127.0.0.1 only.")
    tell = say or LOG.info
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{name}:{settings.port}"

    def announce(line: str) -> None:  # called once it listens, with a line of the library's own
        tell(f"{WHAT_IT_IS}. Open {address} in a browser; Ctrl-C ends it.")
        if open_browser:
            webbrowser.open(address)

    with application(settings, front or installed_front()) as app:
        try:
            web.run_app(app, host=settings.host, port=settings.port, print=announce, access_log=None)
        except OSError as error:
            raise UsageError(f"{address} cannot be opened ({error.strerror}). Choose another port.") from None
