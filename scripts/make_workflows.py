"""Writes workflows/*.json, the graphs that ComfyUI offers as templates, from the operations as they are now.

Usage: make_workflows.py [FOLDER]. Run it after an operation got a new widget, and look at the graphs in ComfyUI.
"""

from __future__ import annotations

import argparse
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
PLATE_FILES, MASK_FILES = "plate/plate.####.exr", "plate/mask.####.png"
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
    "EmptyImage": ({}, {"IMAGE": "IMAGE"}, [480, 270, 1, 8421504]),
}
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
        sources: Mapping[str, int] | None = None,
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
            "size": [300, 60 + 20 * len(inputs) + 26 * len(values) + (280 if kind == "MattePreview" else 0)],
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
        for place, (name, accepted) in enumerate(sockets.items()):
            if name in sources:
                self._connect(sources[name], number, place, accepted)
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

    def _connect(self, source: int, target: int, place: int, accepted: str) -> None:
        made = self.nodes[source - 1]["outputs"][0]
        number = len(self.links) + 1
        made["links"].append(number)
        self.nodes[target - 1]["inputs"][place]["link"] = number
        self.links.append([number, source, 0, target, place, made["type"]])

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


def _key(graph: Graph) -> tuple[int, int]:
    """The plate and its alpha, from the bundled plate and a rough mask of it."""
    plate = graph.add("MatteReadPlate", 0, 0, title="Plate", path=PLATE_FILES)
    mask = graph.add("MatteReadMatte", 0, 10, title="Mask", path=MASK_FILES)
    trimap = graph.add("MatteTrimapFromMask", 1, 10, {"mask": mask})
    return plate, graph.add("MatteEstimateAlpha", 2, 0, {"plate": plate, "guide": trimap}, title="Alpha")


def mask_to_matte() -> Graph:
    graph = Graph()
    plate, alpha = _key(graph)
    graph.add("MattePreview", 3, 0, {"plate": plate, "matte": alpha})
    graph.add("MatteWriteSequence", 3, 12, {"matte": alpha, "plate": plate}, title="Write", out="matte/matte.####.exr")
    graph.note(
        "## Mask to matte\n\nA rough mask becomes a trimap, the trimap an alpha that holds hair and motion blur. "
        "The path is looked up in ComfyUI's input folder, then in the bundled examples. "
        "Write makes one EXR per frame, channel A, and goes on where it was stopped."
    )
    return graph


def foreground_and_composite() -> Graph:
    graph = Graph()
    plate, alpha = _key(graph)
    foreground = graph.add("MatteEstimateForeground", 3, 0, {"plate": plate, "matte": alpha}, title="Foreground")
    grey = graph.add("EmptyImage", 3, 5, title="Background")
    comp = graph.add("MatteOver", 4, 0, {"foreground": foreground, "matte": alpha, "background": grey})
    graph.add("MattePreview", 5, 0, {"plate": comp})
    graph.add(
        "MatteWriteSequence",
        4,
        6,
        {"matte": alpha, "plate": plate, "foreground": foreground},
        title="Write",
        out="foreground/foreground.####.exr",
        deliver="premultiplied",
    )
    graph.note(
        "## Foreground and composite\n\nThe subject's own colour, without what shone through its edge, over another "
        "background in linear light. Connect any IMAGE or plate as the background. Write delivers what Merge (over) "
        "expects: premultiplied RGB and A."
    )
    return graph


def refine_and_compare() -> Graph:
    graph = Graph()
    plate, alpha = _key(graph)
    refined = graph.add("MatteRefineMatte", 3, 0, {"matte": alpha}, title="Refine", black=0.02, white=0.98, blur=0.5)
    graph.add("MattePreview", 4, 0, {"plate": plate, "matte": alpha}, title="Before")
    graph.add("MattePreview", 5, 0, {"plate": plate, "matte": refined}, title="After")
    graph.add(
        "MatteWriteSequence", 4, 12, {"matte": refined, "plate": plate}, title="Write", out="refined/matte.####.exr"
    )
    graph.note(
        "## Refine and compare\n\nBlack clip, white clip, grow, blur and gamma, the controls of every keyer, and both "
        "mattes side by side. Type frames into the previews (1001-1008x2): what was seen before costs nothing."
    )
    return graph


def exr_layers() -> Graph:
    graph = Graph()
    plate, alpha = _key(graph)
    info = graph.add("MatteShotInfo", 3, 10, {"shot": plate})
    graph.add("PreviewAny", 4, 10, {"source": info})
    graph.add(
        "MatteWriteSequence",
        3,
        0,
        {"matte": alpha, "plate": plate},
        title="Write",
        out="layers/layers.####.exr",
        deliver="layers",
        compression="zips",
    )
    graph.note(
        "## EXR layers\n\nOne file per frame for the compositor: premultiplied RGBA, straight foreground and a layer "
        "per matte, under the plate's own header: windows, timecode, frame numbers. Shot Info says what the plate is."
    )
    return graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent.parent / "workflows")
    folder = parser.parse_args().folder
    for make in (mask_to_matte, foreground_and_composite, refine_and_compare, exr_layers):
        make().save(folder / f"{make.__name__}.json")


if __name__ == "__main__":
    main()
