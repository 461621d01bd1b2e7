"""What the page does with a studio: asks, queues, listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import ClientWebSocketResponse
from aiohttp.test_utils import TestClient, TestServer

from matte_core.studio.server import Settings, application

PACK = Path(__file__).parent / "pack"
Node = dict[str, Any]
Answer = tuple[int, Any]


def node(name: str, /, **inputs: Any) -> Node:
    return {"class_type": name, "inputs": inputs}


class Page:
    """What the page does: asks, queues, listens."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client
        self._socket: ClientWebSocketResponse | None = None

    async def connect(self) -> dict[str, Any]:
        """Opens the page's connection; its first message."""
        self._socket = await self.client.ws_connect("/ws?clientId=me")
        return dict(await self._socket.receive_json(timeout=60))

    async def say(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        await self._socket.send_json(message)

    async def event(self) -> dict[str, Any]:
        assert self._socket is not None
        return dict(await self._socket.receive_json(timeout=60))

    async def get(self, address: str, **headers: str) -> Answer:
        return await _answer(await self.client.get(address, headers=headers))

    async def post(self, address: str, body: Any, **headers: str) -> Answer:
        return await _answer(await self.client.post(address, json=body, headers=headers))

    async def queue(self, prompt: dict[str, Node], **more: Any) -> Answer:
        return await self.post("/prompt", {"prompt": prompt, "client_id": "me", **more})

    async def run(self, prompt: dict[str, Node], **more: Any) -> list[dict[str, Any]]:
        """Queues the prompt; every event until it is over, without the counts of the queue."""
        if self._socket is None:
            await self.connect()
        status, answer = await self.queue(prompt, **more)
        assert status == 200, answer
        return await self.until_idle()

    async def until_idle(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        while not (events and events[-1]["type"] == "executing" and events[-1]["data"]["node"] is None):
            events.append(await self.event())
        return [event for event in events if event["type"] not in ("status", "progress_state")]

    async def shown(self, prompt: dict[str, Node], at: str, **more: Any) -> str:
        """The text that a node of the prompt shows."""
        events = await self.run(prompt, **more)
        told = [
            event["data"]["output"]["text"]
            for event in events
            if event["type"] == "executed" and event["data"]["node"] == at
        ]
        return ",".join(told[0])


async def _answer(response: Any) -> Answer:
    text = await response.text()
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, text


Scenario = Callable[[Page], Awaitable[None]]
Studio = Callable[[Scenario], None]


def studio_of(pack: Path, folder: Path, front: Path) -> Studio:
    def play(scenario: Scenario) -> None:
        async def scene() -> None:
            async with AsyncExitStack() as stack:
                app = stack.enter_context(application(Settings("127.0.0.1", 0, folder, (), pack), front))
                await scenario(Page(await stack.enter_async_context(TestClient(TestServer(app)))))

        asyncio.run(scene())

    return play
