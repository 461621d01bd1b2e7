"""Writes what ComfyUI shows of the nodes, from the nodes as they are now: web/docs and locales/en.

Usage: make_node_docs.py [FOLDER] [--pictures [NODE ...]]. web/docs/<Node>.md is the help beside a node, <Node>.jpg the
picture in it: look at the pictures. locales/en holds every title, tip and name for translators to start from.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import lab

TYPES = {"MATTE_SHOT": "Shot", "MATTE_MODEL": "Matting model"}


def page(name: str, node: Any, title: str) -> str:
    """Markdown: what the node makes, a picture, its inputs, its outputs; lists, since the page's panel is narrow."""
    lines = [f"# {title}", "", node.DESCRIPTION, "", f"![{title}]({name}.jpg)", "", "## Inputs", ""]
    for key, (kind, options) in inputs_of(node).items():
        lines.append(f"- **`{key}`** {options['tooltip']} *{_takes(kind, options)}*")
    if node.RETURN_TYPES:
        made = zip(node.RETURN_NAMES, node.RETURN_TYPES, node.OUTPUT_TOOLTIPS, strict=True)
        lines += ["", "## Outputs", "", *(f"- **`{key}`** {tip} *{_spelt(kind)}*" for key, kind, tip in made)]
    return "\n".join(lines) + "\n"


def inputs_of(node: Any) -> dict[str, Any]:
    """Every input of a node by name."""
    return {name: entry for group in node.INPUT_TYPES().values() for name, entry in group.items()}


def words(node: Any, title: str) -> dict[str, Any]:
    """The node's texts, as ComfyUI's locale files have them."""
    made = enumerate(zip(node.RETURN_NAMES, node.OUTPUT_TOOLTIPS, strict=True)) if node.RETURN_TYPES else ()
    return {
        "display_name": _message(title),
        "description": _message(node.DESCRIPTION),
        "inputs": {
            name: {"name": name.replace("_", " "), "tooltip": _message(options["tooltip"])}
            for name, (_, options) in inputs_of(node).items()
        },
        "outputs": {
            str(place): {"name": name.replace("_", " "), "tooltip": _message(tip)} for place, (name, tip) in made
        },
    }


def _message(text: str) -> str:
    """`text` with the characters quoted that mean something in the page's messages."""
    return re.sub(r"[{}@|$]", lambda found: "{'" + found.group() + "'}", text)


def _takes(kind: Any, options: dict[str, Any]) -> str:
    if isinstance(kind, list):
        return ", ".join(f"{name} (default)" if name == options.get("default") else name for name in kind)
    limits = f", {options['min']:g} to {options['max']:g}" if "min" in options and "max" in options else ""
    default = f", default {options['default']}" if options.get("default") not in (None, "") else ""
    return f"{_spelt(kind)}{limits}{default}"


def _spelt(kind: str) -> str:
    """The type in words: "IMAGE or Shot"."""
    words = {"INT": "whole number", "FLOAT": "number", "STRING": "text", "BOOLEAN": "on or off", **TYPES}
    return " or ".join(words.get(each, each) for each in kind.split(","))


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=lab.ROOT)
    parser.add_argument("--pictures", nargs="*", metavar="NODE", help="draw these nodes; without names, all of them")
    arguments = parser.parse_args()
    mappings = lab.module("mappings")
    nodes, titles = mappings.NODE_CLASS_MAPPINGS, mappings.NODE_DISPLAY_NAME_MAPPINGS
    folder = arguments.folder.resolve()
    docs, locale = folder / "web" / "docs", folder / "locales" / "en"
    docs.mkdir(parents=True, exist_ok=True)
    for name, node in nodes.items():
        (docs / f"{name}.md").write_text(page(name, node, titles[name]), encoding="utf-8")
    write_json(locale / "nodeDefs.json", {name: words(node, titles[name]) for name, node in nodes.items()})
    categories = {part for node in nodes.values() for part in node.CATEGORY.split("/")}
    write_json(
        locale / "main.json", {"nodeCategories": {part: part for part in sorted(categories)}, "dataTypes": TYPES}
    )
    if arguments.pictures is not None:
        import node_pictures

        for name, image in node_pictures.draw(arguments.pictures or list(nodes)):
            lab.save(image, docs / f"{name}.jpg")


if __name__ == "__main__":
    main()
