"""Runs a ComfyUI workflow file over the operations, without ComfyUI.

`run_workflow` builds shots, which takes milliseconds; the receipts it returns are pulled together by the caller,
so that everything the writes share is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_core import workflow
from matte_core.colour import stays_inside
from matte_core.errors import FrameError, MatteError, UsageError
from matte_core.models.base import ModelChoice
from matte_core.op import OPS, Op, Port
from matte_core.paths import Roots
from matte_core.shot import Shot, made_by
from matte_core.workflow import Node

KINDS: Mapping[str, tuple[str, ...]] = {
    "plate": ("plate",),
    "matte": ("matte", "guide"),
    "shot": ("plate", "matte", "guide"),
    "picture": ("plate", "matte", "guide"),
    "model": ("model",),
}
SHOWN = frozenset(
    {"MattePreview", "MatteViewer", "MatteShotInfo", "PreviewImage", "MaskPreview", "PreviewAny", "PreviewMask"}
)
PICTURES = frozenset({"MatteImageFromShot", "MatteMaskFromShot", "MatteShotFromImage", "MatteShotFromMask"})


# Every write's node has this widget. A file never decides to replace files: here it is read and left aside.
OVERWRITE = Port(
    "Replace files that are there and were made with other settings.", "flag", name="overwrite", default=False
)


@dataclass(frozen=True)
class Built:
    """What a workflow will write: one receipt shot per write, the node it comes from, and notes for the person."""

    receipts: tuple[Shot, ...]
    titles: tuple[str, ...]
    notes: tuple[str, ...]


def node_type(name: str) -> str:
    """ComfyUI's name of an operation's node: "read_plate" is "MatteReadPlate"."""
    return "Matte" + "".join(word.capitalize() for word in name.split("_"))


def node_types() -> dict[str, Op]:
    """Every operation by its node's name, former names included."""
    named = {node_type(op.name): op for op in OPS.values()}
    return {node_type(old): op for op in OPS.values() for old in op.formerly} | named


def node_ports(op: Op) -> list[Port]:
    """The operation's ports as its node has them: what must be given first, then what has a default.

    New ports with a default are added at the end, so that the values of older files stay in their places.
    """
    needed = [port for port in op.ports if not port.optional]
    return needed + [OVERWRITE] * op.writes + [port for port in op.ports if port.optional]


def widget_names(op: Op) -> list[str]:
    """Names of the operation's widgets in the order in which ComfyUI saves their values."""
    return [port.name for port in node_ports(op) if not port.is_socket]


def check_kind(title: str, port: Port, shot: Shot | ModelChoice | None) -> None:
    """Raises UsageError where a socket is given another kind of thing than it takes."""
    if shot is not None and shot.kind not in KINDS[port.type]:
        raise UsageError(
            f"{title} needs a {port.type} at '{port.name}' and was given a {shot.kind}. Connect a {port.type}."
        )


def confined(port: Port, value: Any, roots: Roots) -> Any:
    """A widget's value; a path made absolute inside the folders that a workflow may touch.

    Raises UsageError for a path elsewhere, and for a colour configuration that reads elsewhere; SourceError for a
    missing file.
    """
    text = str(value or "").strip() if port.path else ""
    if not text:
        return value
    if port.path == "write":
        return roots.writing(text)
    place = roots.reading(text)
    if port.path == "config" and not place.startswith("ocio://") and not stays_inside(place):
        raise UsageError(
            f"{text} reads tables outside its own folder, or names variables. Copy the tables beside it, or set $OCIO."
        )
    return place


def run_workflow(path: Path | str, settings: Mapping[str, Any] | None = None, roots: Roots | None = None) -> Built:
    """Receipts of every write in the workflow file, to be pulled in one run; nothing is computed yet.

    `settings` are {"NODE.INPUT": value}, NODE an id or a title: what the person set, trusted. Paths that stand in
    the file are confined to `roots`; without roots none are open. What no write needs (previews, pictures for other
    nodes) is left out, and said in the notes where only ComfyUI could run it. Raises UsageError naming the node for
    what cannot run: an unknown type, a missing or wrong input, a circle, a path outside; SourceError for missing files.
    """
    types = node_types()

    def widgets(name: str) -> list[str] | None:
        return widget_names(types[name]) if name in types else None

    nodes = workflow.load(Path(path), widgets)
    graph = _Graph(nodes, types, roots or Roots((), ()), _settings(nodes, types, settings or {}))
    receipts = [
        (receipt, str(node)) for node in graph.sinks() for receipt in graph.build(node) if receipt.kind == "receipt"
    ]
    if not receipts:
        raise UsageError(f"{Path(path).name} writes nothing. Add a Write node, or unmute it.")
    notes = [*graph.left_out(), *(note for receipt, _ in receipts for shot in receipt.lineage() for note in shot.notes)]
    return Built(tuple(r for r, _ in receipts), tuple(title for _, title in receipts), tuple(dict.fromkeys(notes)))


class _Graph:
    """The nodes of one workflow and the shots made from them so far."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        types: Mapping[str, Op],
        roots: Roots,
        settings: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._nodes, self._types, self._roots, self._settings = nodes, types, roots, settings
        self._made: dict[str, tuple[Any, ...]] = {}

    def sinks(self) -> list[Node]:
        return [node for node in self._nodes.values() if node.type in self._types and self._types[node.type].writes]

    def left_out(self) -> list[str]:
        """A sentence for every node that no write needs and that only ComfyUI could run."""
        return [
            f"Node {node.id} ({node.type}{_titled(node)}) is left out: it needs ComfyUI, and no write needs it."
            for node in self._nodes.values()
            if node.id not in self._made and node.type not in self._types and node.type not in SHOWN | PICTURES
        ]

    def build(self, sink: Node) -> tuple[Any, ...]:
        """Outputs of a node, everything it reads made before it. Raises UsageError for a circle."""
        pending, open_nodes = [sink], set[str]()
        while pending:
            node = pending[-1]
            missing = [source for source in self._sources(node) if source.id not in self._made]
            circle = next((source for source in missing if source.id in open_nodes), None)
            if circle is not None:
                raise UsageError(f"{circle} is fed by its own output. Break the circle.")
            if missing:
                open_nodes.add(node.id)
                pending.append(missing[0])
                continue
            open_nodes.discard(node.id)
            pending.pop()
            self._made[node.id] = self._call(node)
        return self._made[sink.id]

    def _sources(self, node: Node) -> Iterator[Node]:
        set_here = self._settings.get(node.id, {})
        for name, link in node.links.items():
            if link.node not in self._nodes:
                raise UsageError(
                    f"{node} is linked at '{name}' to node {link.node}, which is not there. Connect it again."
                )
            if name not in set_here:
                yield self._nodes[link.node]

    def _call(self, node: Node) -> tuple[Any, ...]:
        if node.type in PICTURES:
            raise UsageError(f"{node} makes pictures that exist only inside ComfyUI. Connect the shot itself.")
        if node.type not in self._types:
            raise UsageError(f"node {node.id} is a {node.type}{_titled(node)}, which Matte cannot run. {_cure(node)}")
        op, set_here = self._types[node.type], self._settings.get(node.id, {})
        try:
            given = {n: value for n, value in node.values.items() if not (op.writes and n == OVERWRITE.name)}
            values = {name: confined(op.port(name), value, self._roots) for name, value in given.items()}
            values.update(set_here)
            for name, link in node.links.items():
                if name not in set_here:
                    values[name] = self._linked(op, op.port(name), self._nodes[link.node], link.slot)
            with made_by(str(node)):
                return op.call(values)
        except FrameError:
            raise
        except MatteError as error:
            raise type(error)(f"{node}: {error}") from None

    def _linked(self, op: Op, port: Port, source: Node, slot: int) -> Any:
        made = self._made[source.id]
        if not port.is_socket:
            raise UsageError(f"'{port.name}' is linked to {source}, which gives no {port.type}. Type the value in.")
        if not 0 <= slot < len(made) or made[slot].kind == "receipt":
            raise UsageError(
                f"'{port.name}' is linked to output {slot} of {source}, which has none there. Connect it again."
            )
        check_kind(op.title, port, made[slot])
        return made[slot]


def _settings(
    nodes: Mapping[str, Node], types: Mapping[str, Op], settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What the person set, per node id. Raises UsageError for a node or an input that is not there."""
    chosen: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        wanted, dot, name = key.rpartition(".")
        if not dot:
            raise UsageError(f"setting '{key}' names no input. Write NODE.INPUT=VALUE, such as 4.path=plate.####.exr.")
        node = _find(nodes, types, wanted)
        if node.type not in types:
            raise UsageError(f"{node} has no settings here. Set one of an operation's node.")
        port = types[node.type].port(name)
        if port.is_socket:
            raise UsageError(f"'{name}' of {node} is a connection, not a value. Set a value.")
        chosen.setdefault(node.id, {})[name] = value
    return chosen


def _find(nodes: Mapping[str, Node], types: Mapping[str, Op], wanted: str) -> Node:
    if wanted in nodes:
        return nodes[wanted]
    found = [
        node for node in nodes.values() if wanted in (node.title, types[node.type].title if node.type in types else "")
    ]
    if len(found) != 1:
        problem = f"{len(found)} nodes are called" if found else "there is no node"
        known = ", ".join(f"{node.id} ({node.title or node.type})" for node in nodes.values() if node.type in types)
        raise UsageError(f"{problem} '{wanted}'. Name one of: {known}.")
    return found[0]


def _titled(node: Node) -> str:
    return f" titled '{node.title}'" if node.title else ""


def _cure(node: Node) -> str:
    if len(node.type) == 36 and node.type.count("-") == 4:
        return "It is a subgraph: unpack it and save the workflow again."
    return "Mute or remove it, or run the workflow in ComfyUI."
