"""Carries out a prompt as ComfyUI does: sources first, each node once, nothing again that has not changed."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from matte_core.errors import Cancelled, MatteError
from matte_core.studio.calling import call_over_lists, merge
from matte_core.studio.control import Control, Interrupted
from matte_core.studio.jobs import Job, Outcome
from matte_core.studio.prompt import constants, is_link, kind_and_options, upstream
from matte_core.studio.table import Node, Table, inputs_of

Tell = Callable[[str, dict[str, Any], str | None], None]  # event, data, client (None: everybody)
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """What a node gave: one list for each output slot, and what the page shows."""

    outputs: list[list[Any]]
    shown: dict[str, list[Any]]


class Executor:
    """Runs prompts one after the other and keeps what the last one made."""

    def __init__(self, table: Table, control: Control, tell: Tell) -> None:
        self._table, self._control, self._tell = table, control, tell
        self._made: dict[int, Made] = {}
        self._keys: dict[tuple[Any, ...], int] = {}  # recipe of a node -> its number; recipes name sources by number
        self._next_key = 0
        self._objects: dict[tuple[str, str], Any] = {}

    def run(self, job: Job) -> Outcome:
        """What the prompt's output nodes showed, and how it ended; never raises for what a node does."""
        with torch.inference_mode():
            return _Run(self, job).outcome()

    def forget(self) -> None:
        """Lets go of everything made so far."""
        self._made.clear()
        self._keys.clear()
        self._objects.clear()

    def key(self, recipe: tuple[Any, ...]) -> int:
        """The number of a recipe; equal recipes have one number, a recipe with NaN in it never has one again."""
        if recipe not in self._keys:
            self._next_key += 1
            self._keys[recipe] = self._next_key
        return self._keys[recipe]

    def keep_only(self, keys: Mapping[str, int], job: Job) -> None:
        """Drops what the prompt has no use for, before it runs."""
        used = set(keys.values())
        self._made = {key: made for key, made in self._made.items() if key in used}
        self._keys = {recipe: key for recipe, key in self._keys.items() if key in used}
        there = {(node, entry["class_type"]) for node, entry in job.prompt.items()}
        self._objects = {name: held for name, held in self._objects.items() if name in there}

    def object_of(self, node: str, name: str) -> Any:
        """The node's instance; it lives as long as the node is in the prompts."""
        if (node, name) not in self._objects:
            self._objects[node, name] = self._table.classes[name]()
        return self._objects[node, name]


@dataclass
class _Run:
    """One prompt on its way."""

    host: Executor
    job: Job
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)

    def outcome(self) -> Outcome:
        order, _ = upstream(self.job.prompt, self.job.outputs)
        made: dict[str, Made] = {}
        self._message("execution_start", {})
        node, success = "", False
        try:
            keys = self._recipes(order)
            self.host.keep_only(keys, self.job)
            cached = [one for one in order if keys[one] in self.host._made]
            self._message("execution_cached", {"nodes": cached})
            for node in order:
                made[node] = self._node(node, keys[node], made)
            self._message("execution_success", {})
            success = True
        except (Interrupted, Cancelled):
            self._message("execution_interrupted", self._where(node), everybody=True)
        except Exception as error:  # a node's own fault: told at the node, the server lives on
            self._failed(node, error)
        finally:
            self.host._control.node = ""
            self.host._control.shown_by(None)
        shown = {one: result.shown for one, result in made.items() if result.shown}
        return Outcome(shown, success, self.messages)

    def _recipes(self, order: list[str]) -> dict[str, int]:
        """The number of every node's recipe: class, what IS_CHANGED says, constants, numbers of the sources."""
        keys: dict[str, int] = {}
        for node in order:
            name, inputs = self.job.prompt[node]["class_type"], self.job.prompt[node]["inputs"]
            cls = self.host._table.classes[name]
            alone = getattr(cls, "NOT_IDEMPOTENT", False) or "UNIQUE_ID" in inputs_of(cls).get("hidden", {}).values()
            values = tuple(
                (key, ("link", keys[str(value[0])], value[1])) if is_link(value) else (key, _hashable(value))
                for key, value in sorted(inputs.items())
            )
            keys[node] = self.host.key((name, self._changed(cls, inputs), node if alone else None, values))
        return keys

    def _changed(self, cls: Node, inputs: Mapping[str, Any]) -> Any:
        if not hasattr(cls, "IS_CHANGED"):
            return False
        try:
            return _hashable(call_over_lists(cls, "IS_CHANGED", constants(cls, inputs)))
        except Exception as error:  # as in ComfyUI: the node runs, and says itself what is wrong
            LOG.warning("IS_CHANGED of %s: %s", cls.__name__, error)
            return float("nan")

    def _node(self, node: str, key: int, made: Mapping[str, Made]) -> Made:
        known = self.host._made.get(key)
        if known is not None:
            self._state(node, 1, 1, "finished")
        else:
            self.host._control.check()
            self._state(node, 0, 1, "running")
            self._send("executing", {"node": node, "display_node": node})
            self.host._control.node = node
            self.host._control.shown_by(lambda value, total: self._progress(node, value, total))
            name = self.job.prompt[node]["class_type"]
            target = self.host.object_of(node, name)
            arguments = self._arguments(node, self.host._table.classes[name], made)
            results = call_over_lists(target, target.FUNCTION, arguments, self.host._control.check)
            known = self.host._made[key] = Made(*merge(results, target))
            self._state(node, 1, 1, "finished")
            self.executed.append(node)
        if known.shown:
            self._send("executed", {"node": node, "display_node": node, "output": known.shown})
        return known

    def _arguments(self, node: str, cls: Node, made: Mapping[str, Made]) -> dict[str, list[Any]]:
        inputs, arguments = self.job.prompt[node]["inputs"], dict[str, list[Any]]()
        for name, value in inputs.items():
            if is_link(value):
                outputs = made[str(value[0])].outputs
                if value[1] >= len(outputs):
                    source = self.job.prompt[str(value[0])]["class_type"]
                    raise RuntimeError(f"{source} gave no output {value[1]}, which '{name}' is linked to.")
                arguments[name] = outputs[value[1]]
            elif kind_and_options(cls, name) is not None:
                arguments[name] = [value]
        hidden = {
            "PROMPT": self.job.prompt,
            "EXTRA_PNGINFO": self.job.extra.get("extra_pnginfo"),
            "UNIQUE_ID": node,
        }
        for name, kind in inputs_of(cls).get("hidden", {}).items():
            what = kind[0] if isinstance(kind, tuple) else kind
            arguments[name] = [hidden.get(what)]
        return arguments

    def _progress(self, node: str, value: float, total: float) -> None:
        self._state(node, value, total, "running")
        self._send("progress", {"value": value, "max": total, "node": node})

    def _state(self, node: str, value: float, total: float, state: str) -> None:
        self.states[node] = {
            "value": value,
            "max": total,
            "state": state,
            "node_id": node,
            "prompt_id": self.job.id,
            "display_node_id": node,
            "parent_node_id": None,
            "real_node_id": node,
        }
        self._send("progress_state", {"nodes": dict(self.states)})

    def _failed(self, node: str, error: Exception) -> None:
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(error, MatteError):
            LOG.warning("node %s: %s", node, error)
        else:
            LOG.error("node %s", node, exc_info=error)
        report = {
            "exception_message": f"{error}\n",
            "exception_type": name,
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": {},
            "current_outputs": list(self.executed),
        }
        if node in self.states:
            self._state(node, 0, 1, "error")
        self._message("execution_error", {**self._where(node), **report})

    def _where(self, node: str) -> dict[str, Any]:
        name = self.job.prompt[node]["class_type"] if node else ""
        return {"node_id": node, "node_type": name, "executed": list(self.executed)}

    def _message(self, event: str, data: dict[str, Any], everybody: bool = False) -> None:
        told = {"prompt_id": self.job.id, **data, "timestamp": int(time.time() * 1000)}
        self.messages.append((event, told))
        if everybody:
            self.host._tell(event, told, None)
        elif self.job.client is not None:
            self.host._tell(event, told, self.job.client)

    def _send(self, event: str, data: dict[str, Any]) -> None:
        if self.job.client is not None:
            self.host._tell(event, {"prompt_id": self.job.id, **data}, self.job.client)


def _hashable(value: Any) -> Any:
    """`value` as something that can stand in a table's key; equal values stay equal, NaN stays unequal."""
    if isinstance(value, Mapping):
        return tuple((key, _hashable(part)) for key, part in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(_hashable(part) for part in value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return float("nan")
