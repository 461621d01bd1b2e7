"""A prompt: the API form of a workflow, {id: {"class_type", "inputs"}}, as the page sends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from matte_core.studio.table import WIDGETS_AND_SOCKETS, Node, inputs_of

Prompt = dict[str, dict[str, Any]]
MOST_NODES = 2_000


def is_link(value: Any) -> TypeGuard[list[Any]]:
    """Whether an input's value is a link [node, slot]; every list is meant as one."""
    return isinstance(value, list)


def sources(inputs: Mapping[str, Any]) -> list[str]:
    """Ids of the nodes that the inputs are linked to."""
    return [str(value[0]) for value in inputs.values() if is_link(value) and value]


def upstream(prompt: Prompt, targets: Sequence[str]) -> tuple[list[str], set[str]]:
    """Every node the targets need, sources first, and the nodes that stand in a circle."""
    order: list[str] = []
    done, opened, circle = set[str](), set[str](), set[str]()
    pending = list(reversed(targets))
    while pending:
        node = pending[-1]
        if node in done:
            pending.pop()
            continue
        opened.add(node)
        missing = [source for source in sources(prompt[node]["inputs"]) if source in prompt and source not in done]
        circle.update(source for source in missing if source in opened)
        waiting = [source for source in missing if source not in opened]
        if waiting:
            pending.append(waiting[0])
            continue
        pending.pop()
        done.add(node)
        order.append(node)
    return order, circle


def kind_and_options(node: Node, name: str) -> tuple[Any, dict[str, Any]] | None:
    """An input's type and options; None where the node has no such input."""
    described = inputs_of(node)
    for group in WIDGETS_AND_SOCKETS:
        if name in described.get(group, {}):
            entry = described[group][name]
            return entry[0], entry[1] if len(entry) > 1 else {}
    return None


def constants(node: Node, inputs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Values of the inputs as lists of one; None for links, whose values are not known yet."""
    described = inputs_of(node)
    known = {name for group in WIDGETS_AND_SOCKETS for name in described.get(group, {})}
    return {
        name: [None if is_link(value) else value] for name, value in inputs.items() if is_link(value) or name in known
    }


def choices(kind: Any, options: Mapping[str, Any]) -> list[Any] | None:
    """What a choice may be: a list as the type, or "COMBO" with options; None for other inputs."""
    if isinstance(kind, (list, tuple)):
        return list(kind)
    return list(options.get("options", ())) if kind == "COMBO" else None
