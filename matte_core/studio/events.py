"""The page's open connections, and the events that any thread may send to them, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from aiohttp import WSMsgType, web

MOST_WAITING = 10_000  # events a page may lag behind before its connection is closed
LARGEST_MESSAGE = 1 << 20
FEATURES = {"supports_preview_metadata": False, "max_upload_size": 128 << 20}


class Events:
    """Connections by client; a client that connects again takes the place of its old connection."""

    def __init__(self) -> None:
        self._pages: dict[str, asyncio.Queue[str | None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Events are sent in the loop that runs now."""
        self._loop = asyncio.get_running_loop()

    def send(self, event: str, data: dict[str, Any], client: str | None = None) -> None:
        """Sends an event to a client, or to everybody; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._post, json.dumps({"type": event, "data": data}), client)

    def _post(self, text: str, client: str | None) -> None:
        for name, waiting in list(self._pages.items()):
            if client in (None, name):
                if waiting.qsize() >= MOST_WAITING:
                    self._pages.pop(name)
                    waiting.put_nowait(None)
                else:
                    waiting.put_nowait(text)

    async def serve(self, request: web.Request, left: Callable[[], int]) -> web.WebSocketResponse:
        """One page's connection, from its status to its end; `left` counts the jobs in the queue."""
        socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=30)
        await socket.prepare(request)
        client = request.query.get("clientId") or uuid4().hex
        waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._pages[client] = waiting
        status = {"status": {"exec_info": {"queue_remaining": left()}}, "sid": client}
        waiting.put_nowait(json.dumps({"type": "status", "data": status}))
        writer = asyncio.create_task(_write(socket, waiting))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and _asks_for_features(message.data):
                    waiting.put_nowait(json.dumps({"type": "feature_flags", "data": FEATURES}))
        finally:
            writer.cancel()
            if self._pages.get(client) is waiting:
                del self._pages[client]
        return socket

    def close(self) -> None:
        """Ends every connection."""
        for waiting in self._pages.values():
            waiting.put_nowait(None)


async def _write(socket: web.WebSocketResponse, waiting: asyncio.Queue[str | None]) -> None:
    while (text := await waiting.get()) is not None:
        await socket.send_str(text)
    await socket.close()


def _asks_for_features(text: str) -> bool:
    try:
        message = json.loads(text)
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "feature_flags"
