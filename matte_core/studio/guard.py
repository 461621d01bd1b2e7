"""Who may ask: pages that this server served, on this machine, and nobody else; and how errors are answered."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

from aiohttp import web

from matte_core.errors import SourceError, UsageError

LARGEST_JSON = 16 << 20
NAMES = frozenset({"127.0.0.1", "localhost", "::1"})  # any other Host is a name that was pointed here (DNS rebinding)
HEADERS = {
    # The page may talk to this server only: nothing is fetched from, or told to, any other.
    "Content-Security-Policy": (
        "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Whether the address is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refusal(request: web.Request) -> str | None:
    """Why the request is not answered; None where it may be."""
    if urlsplit(f"//{request.host}").hostname not in NAMES:
        return "Studio answers to 127.0.0.1 and localhost only. Open it under that name."
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        return "Studio answers to its own page only."
    if origin is None and request.headers.get("Sec-Fetch-Site") == "cross-site" and request.path != "/":
        return "Studio answers to its own page only."
    return None


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses strangers, and answers our own errors with their sentence."""
    try:
        reason = refusal(request)
    except ValueError:  # a Host that is no host
        reason = "Studio does not understand this Host."
    if reason is not None:
        return web.json_response({"error": reason}, status=403)
    try:
        return await handler(request)
    except UsageError as error:
        return web.json_response({"error": str(error)}, status=400)
    except SourceError as error:
        return web.json_response({"error": str(error)}, status=404)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer: what the page may do, and that scripts are asked for afresh."""
    response.headers.update(HEADERS)
    if not request.path.startswith(("/assets/", "/fonts/")):
        response.headers.setdefault("Cache-Control", "no-cache")


async def read_json(request: web.Request) -> Any:
    """The request's body. Raises UsageError for what is no JSON, or too large."""
    if (request.content_length or 0) > LARGEST_JSON:
        raise UsageError(f"more than {LARGEST_JSON >> 20} MB were sent. Send a smaller workflow.")
    try:
        return json.loads(await request.text(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"what was sent is no JSON ({error}). Reload the page.") from None


async def read_table(request: web.Request) -> dict[str, Any]:
    """The request's body, a table. Raises UsageError for anything else."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise UsageError("what was sent is no table. Reload the page.")
    return body


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
