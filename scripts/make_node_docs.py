"""Writes web/docs/<Node>.md, the help that ComfyUI shows beside a node, from the nodes as they are now.

Usage: make_node_docs.py [FOLDER].
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def mappings() -> Any:
    """The pack's tables of nodes, without ComfyUI."""
    package = types.ModuleType("matte_pack")
    package.__path__ = [str(ROOT)]
    sys.modules["matte_pack"] = package
    return importlib.import_module("matte_pack.nodes.mappings")


def page(node: Any, title: str) -> str:
    """Markdown: what the node makes, a table of its inputs, a table of its outputs."""
    inputs = {name: entry for group in node.INPUT_TYPES().values() for name, entry in group.items()}
    lines = [f"# {title}", "", node.DESCRIPTION, "", "| Input | Takes | |", "| --- | --- | --- |"]
    lines += [
        f"| `{name}` | {_takes(kind, options)} | {_cell(options['tooltip'])} |"
        for name, (kind, options) in inputs.items()
    ]
    if node.RETURN_TYPES:
        lines += ["", "| Output | Is | |", "| --- | --- | --- |"]
        made = zip(node.RETURN_NAMES, node.RETURN_TYPES, node.OUTPUT_TOOLTIPS, strict=True)
        lines += [f"| `{name}` | {kind} | {_cell(tip)} |" for name, kind, tip in made]
    return "\n".join(lines) + "\n"


def _takes(kind: Any, options: dict[str, Any]) -> str:
    if isinstance(kind, list):
        return ", ".join(f"**{name}**" if name == options.get("default") else name for name in kind)
    if "," in kind:
        return str(kind).replace(",", " or ")
    limits = f" {options['min']:g} to {options['max']:g}" if "min" in options and "max" in options else ""
    default = f", default {options['default']}" if options.get("default") not in (None, "") else ""
    return f"{kind}{limits}{default}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "web" / "docs")
    folder, nodes = parser.parse_args().folder, mappings()
    folder.mkdir(parents=True, exist_ok=True)
    for name, node in nodes.NODE_CLASS_MAPPINGS.items():
        (folder / f"{name}.md").write_text(page(node, nodes.NODE_DISPLAY_NAME_MAPPINGS[name]), encoding="utf-8")


if __name__ == "__main__":
    sys.path.append(str(ROOT))
    main()
