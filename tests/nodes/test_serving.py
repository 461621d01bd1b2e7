"""Addresses of the pack on ComfyUI's server: answered beside its loop, errors in one sentence, leavers noticed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from matte_core.errors import Cancelled, FrameError, SourceError, UsageError

web = pytest.importorskip("aiohttp.web")
test_utils = pytest.importorskip("aiohttp.test_utils")
Scenario = Callable[[Any], Awaitable[None]]


@pytest.fixture
def play(load: Any, comfy: Any) -> Callable[[Any, Scenario], None]:
    """Plays a scenario with a client of a server that answers /what/{name} with a function."""
    host = load("host")

    def run(answer: Any, scenario: Scenario) -> None:
        routes = web.RouteTableDef()
        host._server().routes = routes
        host.serve("/what/{name}", answer)

        async def scene() -> None:
            app = web.Application()
            app.add_routes([*routes, web.get("/ping", pong)])
            async with test_utils.TestClient(test_utils.TestServer(app)) as client:
                await scenario(client)

        asyncio.run(scene())

    return run


async def pong(request: Any) -> Any:
    return web.Response(text="pong")


def test_what_was_asked_is_handed_on_and_the_answer_given_back(play: Any) -> None:
    asked: dict[str, str] = {}

    def answer(given: Any, gone: Any) -> tuple[bytes, str]:
        asked.update(given)
        return b"\x01\x02", "image/png"

    async def scenario(client: Any) -> None:
        response = await client.get("/what/picture?frame=7&name=forged")
        assert (response.status, response.content_type, await response.read()) == (200, "image/png", b"\x01\x02")
        assert response.headers["Cache-Control"] == "no-store"

    play(answer, scenario)
    assert asked == {"name": "picture", "frame": "7"}


def test_errors_are_one_sentence_with_a_status_of_the_askers(play: Any, load: Any) -> None:
    busy = load("host").Busy("A prompt is running.")
    errors = {
        "usage": (UsageError("Write a number."), 400),
        "source": (SourceError("It is gone."), 404),
        "busy": (busy, 409),
        "busy in a frame": (FrameError("matte", 7, busy), 409),
        "frame": (FrameError("matte", 7, SourceError("It is damaged.")), 400),
        "left": (Cancelled(), 409),
    }

    def answer(given: Any, gone: Any) -> tuple[bytes, str]:
        raise errors[given["name"]][0]

    async def scenario(client: Any) -> None:
        for name, (error, status) in errors.items():
            response = await client.get(f"/what/{name}")
            assert response.status == status
            expected = {"left": "The page has asked for something else.", "busy in a frame": str(busy)}
            assert (await response.json())["error"] == expected.get(name, str(error))

    play(answer, scenario)


def test_a_long_answer_does_not_hold_up_the_server(play: Any) -> None:
    go_on = threading.Event()

    def answer(given: Any, gone: Any) -> tuple[bytes, str]:
        assert go_on.wait(10)
        return b"done", "text/plain"

    async def scenario(client: Any) -> None:
        slow = asyncio.create_task(client.get("/what/slow"))
        await asyncio.sleep(0.05)
        assert await (await client.get("/ping")).text() == "pong"
        assert not slow.done()
        go_on.set()
        assert await (await slow).text() == "done"

    play(answer, scenario)


def test_the_answer_is_told_when_its_asker_has_left(play: Any) -> None:
    seen, begun, left = list[bool](), threading.Event(), threading.Event()

    def answer(given: Any, gone: Callable[[], bool]) -> tuple[bytes, str]:
        seen.append(gone())
        begun.set()
        for _ in range(500):
            if gone():
                left.set()
                raise Cancelled
            threading.Event().wait(0.01)
        return b"", "text/plain"

    async def scenario(client: Any) -> None:
        asking = asyncio.create_task(client.get("/what/slow"))
        await asyncio.to_thread(begun.wait, 5)
        asking.cancel()
        assert await asyncio.to_thread(left.wait, 5)

    play(answer, scenario)
    assert seen == [False]
