"""Calls a node over lists of inputs: once for each element, or once with the lists themselves."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any


def call_over_lists(
    target: Any, function: str, inputs: Mapping[str, list[Any]], before: Callable[[], None] = lambda: None
) -> list[Any]:
    """What the function returns for every element of the inputs; shorter lists repeat their last element.

    A node with INPUT_IS_LIST is called once and gets the lists. `before` runs before each call and may raise.
    """
    if getattr(target, "INPUT_IS_LIST", False):
        calls: list[dict[str, Any]] = [dict(inputs)]
    else:
        count = max((len(values) for values in inputs.values()), default=0)
        calls = [
            {name: values[min(index, len(values) - 1)] for name, values in inputs.items()} for index in range(count)
        ]
    results = []
    for arguments in calls or [{}]:
        before()
        made = getattr(target, function)(**arguments)
        results.append(asyncio.run(_finish(made)) if inspect.isawaitable(made) else made)
    return results


async def _finish(made: Any) -> Any:
    return await made


def merge(results: list[Any], target: Any) -> tuple[list[list[Any]], dict[str, list[Any]]]:
    """The outputs of all calls, one list for each slot, and what the page shall show."""
    shown: dict[str, list[Any]] = {}
    rows: list[tuple[Any, ...]] = []
    for result in results:
        row = result
        if isinstance(result, dict):
            for name, values in result.get("ui", {}).items():
                shown.setdefault(name, []).extend(values)
            row = result.get("result", ())
        rows.append(tuple(row) if row is not None else ())
    slots = min((len(row) for row in rows), default=0)
    is_list = list(getattr(target, "OUTPUT_IS_LIST", ())) + [False] * slots
    outputs: list[list[Any]] = []
    for slot in range(slots):
        values = [row[slot] for row in rows]
        outputs.append([part for value in values for part in value] if is_list[slot] else values)
    return outputs, shown
