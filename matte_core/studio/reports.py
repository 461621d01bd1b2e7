"""Jobs as the page asks for them: /history (older pages) and /jobs (newer ones)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matte_core.studio.jobs import Job, Outcome, Queue


def history(queue: Queue, identifier: str | None = None, most: int | None = None) -> dict[str, Any]:
    """Finished jobs by id, the oldest first; the last `most` of them."""
    over = [(job, outcome) for job, outcome in queue.over() if identifier in (None, job.id)]
    return {job.id: _entry(job, outcome) for job, outcome in over[-most if most else None :]}


def _entry(job: Job, outcome: Outcome) -> dict[str, Any]:
    meta = {
        node: {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}
        for node in outcome.shown
    }
    return {"prompt": job.item(), "outputs": outcome.shown, "status": _status(outcome), "meta": meta}


def _status(outcome: Outcome) -> dict[str, Any]:
    return {
        "status_str": "success" if outcome.success else "error",
        "completed": outcome.success,
        "messages": [[event, data] for event, data in outcome.messages],
    }


def all_jobs(queue: Queue) -> list[dict[str, Any]]:
    """Every job in short, in no particular order."""
    return [
        *(_short(job, "in_progress") for job in queue.running()),
        *(_short(job, "pending") for job in queue.waiting()),
        *(_finished(job, outcome) for job, outcome in queue.over()),
    ]


def one_job(queue: Queue, identifier: str) -> dict[str, Any] | None:
    """One job with its outputs and its workflow; None where there is none."""
    for job, outcome in queue.over():
        if job.id == identifier:
            more = {"outputs": outcome.shown, "execution_status": _status(outcome)}
            return {**_finished(job, outcome), **more, "workflow": _workflow(job)}
    return next(
        (
            {**_short(job, state), "outputs": {}, "workflow": _workflow(job)}
            for state, jobs in (("in_progress", queue.running()), ("pending", queue.waiting()))
            for job in jobs
            if job.id == identifier
        ),
        None,
    )


def _workflow(job: Job) -> dict[str, Any]:
    return {"prompt": job.prompt, "extra_data": job.extra}


def _short(job: Job, state: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": state,
        "priority": job.number,
        "create_time": job.created,
        "outputs_count": 0,
        "previewable_outputs_count": 0,
    }


def _finished(job: Job, outcome: Outcome) -> dict[str, Any]:
    times, files = outcome.times(), list(_files(outcome))
    state = "completed" if outcome.success else "cancelled" if "execution_interrupted" in times else "failed"
    report = {
        **_short(job, state),
        "execution_start_time": times.get("execution_start"),
        "execution_end_time": max(times.values(), default=None),
        "outputs_count": len(files),
        "previewable_outputs_count": len(files),
    }
    if files:
        report["preview_output"] = next((file for file in files if file.get("type") == "output"), files[0])
    errors = [data for event, data in outcome.messages if event == "execution_error"]
    return {**report, "execution_error": errors[0]} if errors else report


def _files(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for node, shown in outcome.shown.items():
        for kind, entries in shown.items():
            yield from ({**entry, "nodeId": node, "mediaType": kind} for entry in entries if isinstance(entry, dict))
