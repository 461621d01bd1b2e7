"""What can be known to be wrong with a prompt before anything runs, in the words that ComfyUI's page understands."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matte_core.studio.calling import call_over_lists
from matte_core.studio.prompt import MOST_NODES, Prompt, choices, constants, is_link, upstream
from matte_core.studio.table import WIDGETS_AND_SOCKETS, Node, Table, inputs_of, is_output

LONGEST_LIST = 20  # choices that are spelt out in a message
ANY = "*"
CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}

Problem = dict[str, Any]


@dataclass
class Verdict:
    """Output nodes that may run; what is wrong with the prompt as a whole, and with single nodes."""

    outputs: list[str] = field(default_factory=list)
    error: Problem | None = None
    nodes: dict[str, Problem] = field(default_factory=dict)


def problem(kind: str, message: str, details: str = "", /, **extra: Any) -> Problem:
    """One thing that is wrong; `extra` are the fields the page reads."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def validate(prompt: Any, table: Table, only: Sequence[str] | None = None) -> Verdict:
    """Whether the prompt may run; its texts and numbers are converted in place to what the nodes take.

    As in ComfyUI an output with an error above it is left out, and the prompt is refused when none is left.
    `only` names the outputs that are wanted; None: all.
    """
    broken = _shape(prompt, table)
    if broken is not None:
        return Verdict(error=broken)
    wanted = [
        node
        for node in prompt
        if is_output(table.classes[prompt[node]["class_type"]]) and (only is None or node in only)
    ]
    if not wanted:
        return Verdict(error=problem("prompt_no_outputs", "Prompt has no outputs"))
    verdict, found = Verdict(), _problems(prompt, table, wanted)
    for output in wanted:
        bad = [node for node in upstream(prompt, [output])[0] if found[node]]
        for node in bad:
            entry = verdict.nodes.setdefault(
                node, {"errors": found[node], "dependent_outputs": [], "class_type": prompt[node]["class_type"]}
            )
            entry["dependent_outputs"].append(output)
        if not bad:
            verdict.outputs.append(output)
    if not verdict.outputs:
        lines = [f"{one['message']}: {one['details']}" for entry in verdict.nodes.values() for one in entry["errors"]]
        verdict.error = problem(
            "prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(lines)
        )
    return verdict


def _shape(prompt: Any, table: Table) -> Problem | None:
    if not isinstance(prompt, dict) or not prompt or len(prompt) > MOST_NODES:
        return problem("no_prompt", "No prompt provided", f"A prompt is a table of at most {MOST_NODES} nodes.")
    for key, node in prompt.items():
        where = f"Node ID '#{key}'"
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            return problem("invalid_prompt", "Cannot execute because a node is missing the class_type property.", where)
        if not isinstance(node.setdefault("inputs", {}), dict):
            return problem("invalid_prompt", "Cannot execute because a node has no table of inputs.", where)
        if node["class_type"] not in table.classes:
            title = node.get("_meta", {}).get("title", key) if isinstance(node.get("_meta"), dict) else key
            return problem(
                "missing_node_type",
                f"Node '{node['class_type']}' not found. Studio has only Matte's nodes and a few of ComfyUI's own.",
                where,
                node_id=key,
                class_type=node["class_type"],
                node_title=title,
            )
    return None


def _problems(prompt: Prompt, table: Table, wanted: Sequence[str]) -> dict[str, list[Problem]]:
    """What is wrong with every node that the wanted outputs need."""
    order, circle = upstream(prompt, wanted)
    found: dict[str, list[Problem]] = {}
    for node in order:
        try:
            found[node] = _Checker(prompt, table, node).problems()
        except Exception as error:  # whatever a pack's own check raises
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            found[node] = [
                problem(
                    "exception_during_validation", "Exception when validating node", str(error), exception_type=kind
                )
            ]
        if node in circle:
            found[node].append(problem("dependency_cycle", "Dependency cycle detected", "Break the circle."))
    return found


class _Checker:
    """One node's inputs against what its class says of them."""

    def __init__(self, prompt: Prompt, table: Table, node: str) -> None:
        self._prompt, self._table = prompt, table
        self._class: Node = table.classes[prompt[node]["class_type"]]
        self._inputs: dict[str, Any] = prompt[node]["inputs"]
        self._received: dict[str, Any] = {}
        check = getattr(self._class, "VALIDATE_INPUTS", None)
        spec = inspect.getfullargspec(check) if check is not None else None
        self._own = spec.args[1:] if spec is not None else []  # the first is the class
        self._own_takes_all = spec is not None and spec.varkw is not None

    def problems(self) -> list[Problem]:
        described, found = inputs_of(self._class), []
        for group in WIDGETS_AND_SOCKETS:
            for name, entry in described.get(group, {}).items():
                kind, options = entry[0], entry[1] if len(entry) > 1 else {}
                if name in self._inputs:
                    found.append(self._input(name, kind, options))
                elif group == "required":
                    found.append(problem("required_input_missing", "Required input is missing", name, input_name=name))
        own = self._own_check() if self._own or self._own_takes_all else []
        return [one for one in found if one is not None] + own

    def _input(self, name: str, kind: Any, options: dict[str, Any]) -> Problem | None:
        value = self._inputs[name]
        if is_link(value):
            return self._link(name, kind, options, value)
        if isinstance(value, dict) and "__value__" in value:  # how the page sends a list that is no link
            value = self._inputs[name] = value["__value__"]
        config = [kind, options]
        try:
            if isinstance(kind, str) and kind in CONVERSIONS:
                value = self._inputs[name] = CONVERSIONS[kind](value)
        except (TypeError, ValueError, OverflowError) as error:
            return problem(
                "invalid_input_type",
                f"Failed to convert an input value to a {kind} value",
                f"{name}, {value}, {error}",
                input_name=name,
                input_config=config,
                received_value=value,
                exception_message=str(error),
            )
        if name in self._own or self._own_takes_all:
            return None  # the node's own check stands in for these
        return _rule(name, kind, options, value)

    def _link(self, name: str, kind: Any, options: dict[str, Any], link: list[Any]) -> Problem | None:
        config = [kind, options]
        source = self._prompt.get(str(link[0])) if len(link) == 2 else None
        slots = self._table.classes[source["class_type"]].RETURN_TYPES if source is not None else ()
        slot = link[1] if len(link) == 2 else None
        if not isinstance(slot, int) or isinstance(slot, bool) or not 0 <= slot < len(slots):
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return problem("bad_linked_input", message, name, input_name=name, input_config=config, received_value=link)
        received = self._received[name] = slots[slot]
        if "input_types" in self._own or fits(received, kind):
            return None
        return problem(
            "return_type_mismatch",
            "Return type mismatch between linked nodes",
            f"{name}, received_type({received}) mismatch input_type({kind})",
            input_name=name,
            input_config=config,
            received_type=received,
            linked_node=link,
        )

    def _own_check(self) -> list[Problem]:
        """What the node's VALIDATE_INPUTS says; it is given constants only."""
        values = constants(self._class, self._inputs)
        given = {name: value for name, value in values.items() if name in self._own or self._own_takes_all}
        names = list(given)
        if "input_types" in self._own:
            given["input_types"] = [self._received]
        said = call_over_lists(self._class, "VALIDATE_INPUTS", given)
        return [
            problem(
                "custom_validation_failed",
                "Custom validation failed for node",
                name if answer is False else f"{name} - {answer}",
                input_name=name,
            )
            for name in names or ["input_types"]
            for answer in said
            if answer is not True
        ]


def _rule(name: str, kind: Any, options: dict[str, Any], value: Any) -> Problem | None:
    extra = {"input_name": name, "input_config": [kind, options], "received_value": value}
    if "min" in options and value < options["min"]:
        message = f"Value {value} smaller than min of {options['min']}"
        return problem("value_smaller_than_min", message, name, **extra)
    if "max" in options and value > options["max"]:
        message = f"Value {value} bigger than max of {options['max']}"
        return problem("value_bigger_than_max", message, name, **extra)
    offered = choices(kind, options)
    if offered is not None and value not in offered:
        long = len(offered) > LONGEST_LIST
        spelt = f"(list of length {len(offered)})" if long else str(offered)
        extra["input_config"] = None if long else extra["input_config"]
        return problem("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {spelt}", **extra)
    return None


def fits(received: Any, wanted: Any) -> bool:
    """Whether an output of one type may be linked to an input of another; "A,B" is either."""
    if received == wanted:
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return False
    given, taken = ({part.strip() for part in text.split(",")} for text in (received, wanted))
    return ANY in given | taken or bool(given & taken)
