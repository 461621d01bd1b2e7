"""The nodes there are, and how they are described to the page."""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from matte_core.errors import UsageError

PACKAGE = "matte_studio_pack"  # not "nodes": in ComfyUI that is another module
WIDGETS_AND_SOCKETS = ("required", "optional")
TEMPLATES = "workflows"

Node = type[Any]


@dataclass
class Table:
    """Node classes by name, their titles, and the module each comes from."""

    classes: dict[str, Node] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)

    def add(self, classes: Mapping[str, Node], titles: Mapping[str, str], module: str) -> None:
        """Adds nodes; a name that is taken keeps its first class, as in ComfyUI for core nodes."""
        for name, node in classes.items():
            if name not in self.classes:
                self.classes[name], self.modules[name] = node, module
                self.titles[name] = titles.get(name, name)

    def clear(self) -> None:
        """Lets go of every node."""
        for entries in (self.classes, self.titles, self.modules):
            entries.clear()

    def describe(self, name: str) -> dict[str, Any]:
        """ComfyUI's description of a node (object_info), as of 0.33."""
        node, inputs = self.classes[name], inputs_of(self.classes[name])
        outputs = list(node.RETURN_TYPES)
        described = {
            "input": inputs,
            "input_order": {group: list(entries) for group, entries in inputs.items()},
            "is_input_list": getattr(node, "INPUT_IS_LIST", False),
            "output": outputs,
            "output_is_list": list(getattr(node, "OUTPUT_IS_LIST", [False] * len(outputs))),
            "output_name": list(getattr(node, "RETURN_NAMES", outputs)),
            "name": name,
            "display_name": self.titles[name],
            "description": getattr(node, "DESCRIPTION", ""),
            "python_module": self.modules[name],
            "category": getattr(node, "CATEGORY", "sd"),
            "output_node": is_output(node),
            "has_intermediate_output": getattr(node, "HAS_INTERMEDIATE_OUTPUT", False) is True,
            "search_aliases": list(getattr(node, "SEARCH_ALIASES", ())),
        }
        if hasattr(node, "OUTPUT_TOOLTIPS"):
            described["output_tooltips"] = list(node.OUTPUT_TOOLTIPS)
        for mark in ("DEPRECATED", "EXPERIMENTAL"):
            if getattr(node, mark, False):
                described[mark.lower()] = True
        return described

    def describe_all(self) -> dict[str, Any]:
        """Descriptions of every node; one that cannot be described is left out, because it would blank the page."""
        described = {}
        for name in self.classes:
            try:
                described[name] = json.loads(json.dumps(self.describe(name), allow_nan=False))
            except Exception:  # whatever a pack's own code raises
                logging.getLogger(__name__).exception("node %s cannot be described and is left out", name)
        return described


@dataclass(frozen=True)
class Pack:
    """A loaded pack: its name in addresses, its folder, in it the scripts and help pages, and its workflows."""

    name: str
    folder: Path
    web: Path | None
    workflows: Path | None

    def templates(self) -> list[str]:
        """Names of the workflows that the page offers as templates."""
        return sorted(file.stem for file in self.workflows.glob("*.json")) if self.workflows else []

    def translations(self) -> dict[str, dict[str, Any]]:
        """The pack's texts by language, as ComfyUI reads them from locales/<language>/."""
        texts: dict[str, dict[str, Any]] = {}
        for file in sorted((self.folder / "locales").glob("*/*.json")):
            content = json.loads(file.read_text(encoding="utf-8"))
            texts.setdefault(file.parent.name, {}).update(content if file.stem == "main" else {file.stem: content})
        return texts


@contextmanager
def loaded(folder: Path, table: Table) -> Iterator[Pack]:
    """The pack in `folder`, its nodes added to `table`; loaded the way ComfyUI does, and forgotten at the end.

    Raises UsageError where the folder holds no pack.
    """
    entry = folder.resolve() / "__init__.py"
    if not entry.is_file():
        raise UsageError(f"{folder} holds no nodes (no __init__.py). Name the folder of the pack.")
    try:
        module = _import(entry)
        classes = getattr(module, "NODE_CLASS_MAPPINGS", None)
        if not classes:
            raise UsageError(f"{folder} has no NODE_CLASS_MAPPINGS. Name the folder of the pack.")
        name = re.sub(r"[^\w-]", "-", entry.parent.name)
        table.add(classes, getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", {}), f"custom_nodes.{name}")
        web = getattr(module, "WEB_DIRECTORY", None)
        workflows = entry.parent / TEMPLATES
        yield Pack(
            name,
            entry.parent,
            (entry.parent / web).resolve() if web else None,
            workflows if workflows.is_dir() else None,
        )
    finally:
        table.clear()
        for known in [known for known in sys.modules if known.split(".")[0] == PACKAGE]:
            del sys.modules[known]


def _import(entry: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(PACKAGE, entry, submodule_search_locations=[str(entry.parent)])
    if spec is None or spec.loader is None:
        raise UsageError(f"{entry} cannot be loaded. Name the folder of the pack.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    return module


def inputs_of(node: Node) -> dict[str, dict[str, Any]]:
    """The node's inputs by group: required, optional, hidden."""
    inputs: dict[str, dict[str, Any]] = node.INPUT_TYPES()
    return inputs


def is_output(node: Node) -> bool:
    """Whether a prompt may end in the node."""
    return getattr(node, "OUTPUT_NODE", False) is True
