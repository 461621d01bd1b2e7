"""A ComfyUI workflow file as nodes with values and links: read, checked, nothing executed.

Both forms are understood: the editor's ("nodes", "links", "widgets_values"), which people save, and the API's
({id: {"class_type", "inputs"}}), which servers queue.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from matte_core.errors import SourceError, UsageError

MOST_BYTES = 16_000_000
MOST_NODES = 2_000
MUTED, BYPASSED = 2, 4  # the editor's "mode" of a node
REROUTE, PRIMITIVE = "Reroute", "PrimitiveNode"
NOTES = frozenset({"Note", "MarkdownNote"})


@dataclass(frozen=True)
class Link:
    """Where an input comes from: a node and the place of its output."""

    node: str
    slot: int


@dataclass(frozen=True)
class Node:
    """One node that takes part: its id, type and title, its widgets' values, its links."""

    id: str
    type: str
    title: str
    values: Mapping[str, Any]
    links: Mapping[str, Link]

    def __str__(self) -> str:
        return f"node {self.id} ({self.title})" if self.title else f"node {self.id} ({self.type})"


Widgets = Callable[[str], Sequence[str] | None]  # names of a type's widgets in order; None = type not known


def load(path: Path, widgets: Widgets) -> dict[str, Node]:
    """The nodes of a workflow file by id, reroutes, bypassed and muted nodes resolved.

    Raises SourceError where the file cannot be read, UsageError where it is no workflow.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(
                f"{path.name} is larger than {MOST_BYTES // 1_000_000} MB, too large for a workflow. Save it again."
            )
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise SourceError(f"{path.name} cannot be read ({error.strerror}). Check the path.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path.name} is no JSON file ({error}). Save the workflow again.") from None
    if not isinstance(content, dict) or not content:
        raise UsageError(f"{path.name} is no ComfyUI workflow. Save it with Workflow > Save or Export (API).")
    raw = content.get("nodes", content)
    if not isinstance(raw, (list, dict)) or len(raw) > MOST_NODES:
        raise UsageError(f"{path.name} has no list of at most {MOST_NODES} nodes. Save the workflow again.")
    if isinstance(content.get("nodes"), list):
        return _Editor(content, widgets).nodes()
    return {str(key): _api_node(str(key), entry) for key, entry in content.items()}


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def plain(value: Any, where: str, name: str) -> Any:
    """`value` if it is a text, a finite number or a flag. Raises UsageError for anything else."""
    if isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise UsageError(f"{where} has a value for '{name}' that is neither text nor number. Set it again.")


def _api_node(key: str, entry: Any) -> Node:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_type"), str):
        raise UsageError(f"node {key} has no class_type. Export the workflow again with Export (API).")
    meta, inputs = entry.get("_meta"), entry.get("inputs", {})
    title = str(meta.get("title", "")) if isinstance(meta, dict) else ""
    where = f"node {key} ({title or entry['class_type']})"
    if not isinstance(inputs, dict):
        raise UsageError(f"{where} has no list of inputs. Export the workflow again.")
    links, values = {}, {}
    for name, value in inputs.items():
        if isinstance(value, list):
            if len(value) != 2 or not isinstance(value[1], int) or isinstance(value[1], bool):
                raise UsageError(f"{where} has a broken link at '{name}'. Connect it again.")
            links[name] = Link(str(value[0]), value[1])
        else:
            values[name] = plain(value, where, name)
    return Node(key, entry["class_type"], title, values, links)


class _Editor:
    """The editor's form: nodes with numbered slots, a table of links, widget values in the order of the widgets."""

    def __init__(self, content: Mapping[str, Any], widgets: Widgets) -> None:
        self._widgets = widgets
        self._raw: dict[str, dict[str, Any]] = {}
        for entry in content["nodes"]:
            if not isinstance(entry, dict) or "id" not in entry or not isinstance(entry.get("type"), str):
                raise UsageError("a node of the workflow has no id or no type. Save the workflow again.")
            self._raw[str(entry["id"])] = entry
        self._links = dict(_link(entry) for entry in _list(content.get("links")))

    def nodes(self) -> dict[str, Node]:
        """The nodes that take part; notes, reroutes, primitives, muted and bypassed ones are gone."""
        skipped = {REROUTE, PRIMITIVE, *NOTES}
        return {
            key: self._node(key, entry)
            for key, entry in self._raw.items()
            if entry["type"] not in skipped and entry.get("mode", 0) not in (MUTED, BYPASSED)
        }

    def _node(self, key: str, entry: Mapping[str, Any]) -> Node:
        title = str(entry.get("title") or "")
        where = f"node {key} ({title or entry['type']})"
        values = dict(self._values(entry, where))
        links: dict[str, Link] = {}
        for slot in _list(entry.get("inputs")):
            if not isinstance(slot, dict) or slot.get("link") is None:
                continue
            name = str(slot.get("name"))
            origin = self._origin(str(slot["link"]), where, name)
            if isinstance(origin, Link):
                links[name] = origin
                values.pop(name, None)
            elif origin is not None:
                values[name] = plain(origin[0], where, name)
        return Node(key, entry["type"], title, values, links)

    def _values(self, entry: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Widget values by name; ComfyUI writes them as a list in the widgets' order, some packs as a table."""
        saved = entry.get("widgets_values") or []
        names = self._widgets(entry["type"])
        if names is None:
            return {}
        if isinstance(saved, dict):
            return {name: plain(saved[name], where, name) for name in names if name in saved}
        given = _list(saved)
        while len(given) > len(names) and (given[-1] is None or isinstance(given[-1], str)):
            given = given[:-1]  # what the page showed on the node, saved along with it
        if len(given) > len(names):
            raise UsageError(
                f"{where} has {len(given)} values and Matte knows {len(names)} there ({', '.join(names)}). "
                "Use the Matte version that saved it, or set up the node again."
            )
        return {name: plain(value, where, name) for name, value in zip(names, given, strict=False)}

    def _origin(self, link: str, where: str, name: str) -> Link | tuple[Any] | None:
        """What stands at the far end of a link: a node's output, a primitive's value in a tuple, or nothing."""
        passed: set[str] = set()
        while True:
            if link not in self._links:
                raise UsageError(f"{where} has a link at '{name}' that is not in the file. Connect it again.")
            if link in passed:
                raise UsageError(f"{where} is fed in a circle through reroutes at '{name}'. Break the circle.")
            passed.add(link)
            origin, type_name = self._links[link]
            source = self._raw.get(origin.node)
            if source is None:
                raise UsageError(
                    f"{where} is linked at '{name}' to node {origin.node}, which is not there. Connect it again."
                )
            if source.get("mode", 0) == MUTED:
                return None
            if source["type"] == PRIMITIVE:
                values = _list(source.get("widgets_values"))
                return (values[0],) if values else None
            if source["type"] == REROUTE:
                following = _slot_link(_list(source.get("inputs")), 0)
            elif source.get("mode", 0) == BYPASSED:
                following = _bypass(source, origin.slot, type_name)
            else:
                return origin
            if following is None:
                return None
            link = following


def _link(entry: Any) -> tuple[str, tuple[Link, str]]:
    """A link's id, its origin and its type, from a list (older files) or a table (newer files)."""
    if isinstance(entry, dict) and {"id", "origin_id", "origin_slot"} <= entry.keys():
        entry = [entry["id"], entry["origin_id"], entry["origin_slot"], None, None, entry.get("type", "*")]
    if not isinstance(entry, list) or len(entry) < 5 or not isinstance(entry[2], int):
        raise UsageError("a link of the workflow is broken. Save the workflow again.")
    return str(entry[0]), (Link(str(entry[1]), entry[2]), str(entry[5]) if len(entry) > 5 else "*")


def _bypass(source: Mapping[str, Any], slot: int, type_name: str) -> str | None:
    """The link that a bypassed node hands on: of the input in the same place, else of the first that fits."""
    inputs = _list(source.get("inputs"))
    places = [slot, *(place for place in range(len(inputs)) if place != slot)]
    for place in places:
        if (
            place < len(inputs)
            and isinstance(inputs[place], dict)
            and _fits(str(inputs[place].get("type", "*")), type_name)
        ):
            return _slot_link(inputs, place)
    return None


def _fits(accepted: str, offered: str) -> bool:
    return "*" in (accepted, offered) or bool({*accepted.split(",")} & {*offered.split(",")})


def _slot_link(inputs: Sequence[Any], place: int) -> str | None:
    found = inputs[place].get("link") if place < len(inputs) and isinstance(inputs[place], dict) else None
    return None if found is None else str(found)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
