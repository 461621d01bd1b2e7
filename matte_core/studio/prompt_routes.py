"""Addresses about prompts: queue one, watch it, stop it, see what became of it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from matte_core.studio.guard import read_table
from matte_core.studio.jobs import Queue
from matte_core.studio.reports import all_jobs, history, one_job
from matte_core.studio.table import Table
from matte_core.studio.validation import validate

Reply = web.StreamResponse
STATES = frozenset({"pending", "in_progress", "completed", "failed", "cancelled"})


class PromptRoutes:
    """Answers from the table of nodes and the queue."""

    def __init__(self, table: Table, queue: Queue, forget: Any) -> None:
        self._table, self._queue, self._forget = table, queue, forget

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/prompt", self.put),
            web.get("/prompt", self.left),
            web.get("/queue", self.waiting),
            web.post("/queue", self.change_waiting),
            web.post("/interrupt", self.interrupt),
            web.post("/free", self.free),
            web.get("/history", self.history),
            web.get("/history/{id}", self.history),
            web.post("/history", self.change_history),
            web.get("/jobs", self.jobs),
            web.get("/jobs/{id}", self.job),
            web.post("/jobs/{id}/cancel", self.cancel),
        ]

    async def put(self, request: web.Request) -> Reply:
        body = await read_table(request)
        only = body.get("partial_execution_targets")
        prompt = body.get("prompt")
        verdict = validate(prompt, self._table, [str(node) for node in only] if isinstance(only, list) else None)
        if verdict.error is not None or not isinstance(prompt, dict):
            return web.json_response({"error": verdict.error, "node_errors": verdict.nodes}, status=400)
        extra, client = body.get("extra_data"), body.get("client_id")
        job = self._queue.put(
            prompt,
            verdict.outputs,
            extra if isinstance(extra, dict) else {},
            client if isinstance(client, str) else None,
            front=body.get("front") is True,
        )
        return web.json_response({"prompt_id": job.id, "number": job.number, "node_errors": verdict.nodes})

    async def left(self, request: web.Request) -> Reply:
        return web.json_response({"exec_info": {"queue_remaining": self._queue.left()}})

    async def waiting(self, request: web.Request) -> Reply:
        running = [job.item() for job in self._queue.running()]
        return web.json_response(
            {"queue_running": running, "queue_pending": [job.item() for job in self._queue.waiting()]}
        )

    async def change_waiting(self, request: web.Request) -> Reply:
        body = await read_table(request)
        self._queue.remove(None if body.get("clear") else _names(body.get("delete")))
        return web.Response()

    async def interrupt(self, request: web.Request) -> Reply:
        wanted = (await read_table(request)).get("prompt_id") if request.can_read_body else None
        self._queue.interrupt(None if wanted is None else str(wanted))
        return web.Response()

    async def free(self, request: web.Request) -> Reply:
        if not self._queue.running():
            self._forget()
        return web.Response()

    async def history(self, request: web.Request) -> Reply:
        most = request.query.get("max_items", "")
        return web.json_response(
            history(self._queue, request.match_info.get("id"), int(most) if most.isdecimal() else None)
        )

    async def change_history(self, request: web.Request) -> Reply:
        body = await read_table(request)
        self._queue.forget(None if body.get("clear") else _names(body.get("delete")))
        return web.Response()

    async def jobs(self, request: web.Request) -> Reply:
        wanted = STATES & set(request.query.get("status", "").split(",")) or STATES
        backwards = request.query.get("sort_order", "desc") != "asc"
        found = [job for job in all_jobs(self._queue) if job["status"] in wanted]
        found.sort(key=lambda job: job["create_time"], reverse=backwards)
        offset, limit = (_count(request.query.get(name)) for name in ("offset", "limit"))
        part = found[offset : offset + limit if limit else None]
        pages = {
            "offset": offset,
            "limit": limit or len(part),
            "total": len(found),
            "has_more": offset + len(part) < len(found),
        }
        return web.json_response({"jobs": part, "pagination": pages})

    async def job(self, request: web.Request) -> Reply:
        found = one_job(self._queue, request.match_info["id"])
        return web.json_response(found or {"error": "Job not found"}, status=200 if found else 404)

    async def cancel(self, request: web.Request) -> Reply:
        return web.json_response({"cancelled": self._queue.cancel(request.match_info["id"])})


def _names(value: Any) -> set[str]:
    return {str(entry) for entry in value} if isinstance(value, list) else set()


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
