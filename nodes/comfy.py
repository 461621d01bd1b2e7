"""Node classes from operations, in ComfyUI's first form, which every version since 2023 loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from matte_core.engine.engine import auto_means
from matte_core.errors import MatteError
from matte_core.graph import OVERWRITE, confined, node_ports, node_type
from matte_core.io.claims import claimed
from matte_core.io.writer import check_output, outputs, pending, sweep
from matte_core.op import REQUIRED, Op, Port
from matte_core.shot import Shot, made_by

from . import host
from .pulling import pull
from .sockets import fit

SHOT = "MATTE_SHOT"
MODEL = "MATTE_MODEL"
SOCKETS = {
    "plate": f"IMAGE,{SHOT}",
    "matte": f"MASK,{SHOT}",
    "shot": SHOT,
    "picture": f"IMAGE,MASK,{SHOT}",
    "model": MODEL,
}
READ = ("read", "config")
WIDGETS = {"integer": "INT", "number": "FLOAT", "text": "STRING", "flag": "BOOLEAN"}


class OpNode:
    """One operation as a node; the classes below it differ in OP and in what ComfyUI reads from the class."""

    OP: ClassVar[Op]
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """Sockets and widgets, in the operation's order; sockets that may stay empty are optional."""
        return inputs_of(node_ports(cls.OP))

    def run(self, **values: Any) -> Any:
        """Outputs of the operation; a description takes milliseconds, a write pulls everything."""
        overwrite = bool(values.pop(OVERWRITE.name, False)) if self.OP.writes else False
        roots = host.roots()
        safe = {name: confined(self.OP.port(name), value, roots) for name, value in values.items()}
        node = host.running_node()
        place = f"node {node} ({self.OP.title})" if node else f"the node {self.OP.title}"
        with made_by(place), auto_means(host.device()):
            made = self.OP.call(fit(self.OP.title, self.OP.ports, safe))
        return write(made, overwrite) if self.OP.writes else made


def inputs_of(ports: Sequence[Port]) -> dict[str, dict[str, Any]]:
    """ComfyUI's description of the inputs. What has a default is optional, so that prompts older than it still run."""
    groups: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for port in ports:
        groups["optional" if port.optional else "required"][port.name] = input_of(port)
    return groups


def input_of(port: Port) -> tuple[Any, dict[str, Any]]:
    """ComfyUI's description of an input: its type (or its choices), its default and range, its tooltip."""
    if port.is_socket:
        return SOCKETS[port.type], {"tooltip": port.tip}
    options: dict[str, Any] = {"tooltip": port.tip}
    if port.default is not REQUIRED:
        options["default"] = port.default
    if port.type == "choice" and port.choices is not None:
        return choices_of(port), options
    if port.type in ("integer", "number"):
        options |= {
            key: value
            for key, value in (("min", port.low), ("max", port.high), ("step", port.step))
            if value is not None
        }
    if port.type == "text":
        options |= {"default": options.get("default", ""), "multiline": False}
    return WIDGETS[port.type], options


def choices_of(port: Port) -> list[str]:
    """The port's choices; where they cannot be had, its default alone, because one error blanks the whole page."""
    try:
        return list(port.choices() if port.choices is not None else ())
    except (MatteError, ImportError):
        return [str(port.default)]


def write(receipts: Sequence[Shot], overwrite: bool) -> dict[str, Any]:
    """Pulls the unfinished frames of all receipts in one run and says on the node what was written.

    Raises OutputError where files would be replaced that other settings made, or another process is at them;
    FrameError for the first frame that failed, after all others were written.
    """
    for receipt in receipts:
        check_output(receipt, overwrite)
        sweep(receipt)
    with claimed(outputs([(receipt, receipt.frames) for receipt in receipts])):
        left = [(receipt, numbers) for receipt in receipts if (numbers := pending(receipt))]
        written = sum(1 for _ in pull(left, keep_going=True)) if left else 0
    before = sum(len(receipt.frames) for receipt in receipts) - sum(len(numbers) for _, numbers in left)
    notes = dict.fromkeys(note for receipt in receipts for shot in receipt.lineage() for note in shot.notes)
    lines = [f"{written} frames written, {before} were finished before.", *notes]
    host.tell("\n".join(lines))
    return {"ui": {"text": lines}, "result": ()}


def changed(cls: type[Any], /, **values: Any) -> Any:
    """What ComfyUI compares to know whether a node must run again: the state of the files it reads."""
    if cls.OP.writes:
        # Finished frames are skipped, and deleted ones must come back: never the same as the last time. A new object
        # every time, because a container finds one and the same NaN equal to itself.
        return float("nan")
    read = [values.get(port.name) for port in cls.OP.ports if port.path in READ]
    return "|".join(host.fingerprint(str(text)) for text in read if text)


def node_class(op: Op, name: str, deprecated: bool = False) -> type[OpNode]:
    """The node class of an operation under the name `name`."""
    outputs = [output for output in op.outputs if output.type != "receipt"]
    members: dict[str, Any] = {
        "OP": op,
        "CATEGORY": op.category,
        "DESCRIPTION": op.help,
        "SEARCH_ALIASES": list(op.aliases),
        "RETURN_TYPES": tuple(MODEL if output.type == "model" else SHOT for output in outputs),
        "RETURN_NAMES": tuple(output.name for output in outputs),
        "OUTPUT_TOOLTIPS": tuple(output.tip for output in outputs),
        "OUTPUT_NODE": op.writes,
        "DEPRECATED": deprecated,
    }
    if op.writes or any(port.path in READ for port in op.ports):
        members["IS_CHANGED"] = classmethod(changed)
    return type(name, (OpNode,), members)


def node_classes(ops: dict[str, Op]) -> tuple[dict[str, type[OpNode]], dict[str, str]]:
    """Node classes and display names of the operations, by node name; former names lead to deprecated classes."""
    classes, titles = {}, {}
    for op in ops.values():
        for name in (op.name, *op.formerly):
            key = node_type(name)
            classes[key] = node_class(op, key, deprecated=name != op.name)
            titles[key] = op.title if name == op.name else f"{op.title} (old name)"
    return classes, titles
