"""A workflow in the editor's form while it is put together, from the operations as they are now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.graph import node_ports, node_types
from matte_core.op import REQUIRED

SHOT, MODEL = "MATTE_SHOT", "MATTE_MODEL"
PLATE, MATTE = f"IMAGE,{SHOT}", f"MASK,{SHOT}"
Source = int | tuple[int, int]  # a node, or a node and the place of its output
# Nodes that are no operations: sockets, outputs, widget values.
OTHERS: dict[str, tuple[dict[str, str], dict[str, str], list[Any]]] = {
    "MattePreview": ({"plate": PLATE, "matte": MATTE}, {}, ["", "all"]),
    "MatteViewer": (
        {"plate": PLATE, "matte": MATTE, "foreground": PLATE, "compare_plate": PLATE, "compare_matte": MATTE},
        {},
        [],
    ),
    "MatteShotInfo": ({"shot": SHOT}, {"text": "STRING"}, []),
    "PreviewAny": ({"source": "*"}, {}, []),
}
LOOKED_AT = ("MattePreview", "MatteViewer")
COLUMN, ROW = 340, 40


@dataclass
class Graph:
    """A workflow in the editor's form while it is put together."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    links: list[list[Any]] = field(default_factory=list)

    def add(
        self,
        kind: str,
        column: int,
        top: int,
        sources: Mapping[str, Source] | None = None,
        title: str = "",
        **widgets: Any,
    ) -> int:
        """The id of a new node; `sources` names the node at each socket, `widgets` what differs from the defaults."""
        sockets, outputs, values = _sockets(kind, widgets)
        number, sources = len(self.nodes) + 1, sources or {}
        inputs = [{"name": name, "type": accepted, "link": None} for name, accepted in sockets.items()]
        node: dict[str, Any] = {
            "id": number,
            "type": kind,
            "pos": [40 + column * COLUMN, 40 + top * ROW],
            "size": [300, 60 + 20 * len(inputs) + 26 * len(values) + (280 if kind in LOOKED_AT else 0)],
            "flags": {},
            "order": number - 1,
            "mode": 0,
            "inputs": inputs,
            "outputs": [{"name": name, "type": made, "links": []} for name, made in outputs.items()],
            "properties": {"Node name for S&R": kind},
            "widgets_values": values,
        }
        if title:
            node["title"] = title
        self.nodes.append(node)
        for place, name in enumerate(sockets):
            if name in sources:
                self._connect(sources[name], number, place)
        return number

    def note(self, text: str) -> None:
        """A sticky note above the graph."""
        self.nodes.append(
            {
                "id": len(self.nodes) + 1,
                "type": "MarkdownNote",
                "pos": [40, -140],
                "size": [640, 130],
                "flags": {},
                "order": len(self.nodes),
                "mode": 0,
                "inputs": [],
                "outputs": [],
                "properties": {},
                "widgets_values": [text],
            }
        )

    def _connect(self, source: Source, target: int, place: int) -> None:
        node, slot = source if isinstance(source, tuple) else (source, 0)
        made = self.nodes[node - 1]["outputs"][slot]
        number = len(self.links) + 1
        made["links"].append(number)
        self.nodes[target - 1]["inputs"][place]["link"] = number
        self.links.append([number, node, slot, target, place, made["type"]])

    def save(self, path: Path) -> None:
        content = {
            "last_node_id": len(self.nodes),
            "last_link_id": len(self.links),
            "nodes": self.nodes,
            "links": self.links,
            "groups": [],
            "config": {},
            "extra": {},
            "version": 0.4,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _sockets(kind: str, widgets: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str], list[Any]]:
    """Sockets, outputs and widget values of a node, in ComfyUI's order: needed sockets before optional ones."""
    if kind in OTHERS:
        return OTHERS[kind]
    op = node_types()[kind]
    types = {"plate": PLATE, "matte": MATTE, "shot": SHOT, "picture": f"IMAGE,MASK,{SHOT}", "model": MODEL}
    ordered = sorted((port for port in op.ports if port.is_socket), key=lambda port: port.optional)
    ports = [port for port in node_ports(op) if not port.is_socket]
    unknown = set(widgets) - {port.name for port in ports}
    if unknown:
        raise SystemExit(f"{kind} has no {', '.join(unknown)}")
    values = [widgets.get(port.name, "" if port.default is REQUIRED else port.default) for port in ports]
    outputs = {
        output.name: MODEL if output.type == "model" else SHOT for output in op.outputs if output.type != "receipt"
    }
    return {port.name: types[port.type] for port in ordered}, outputs, values
