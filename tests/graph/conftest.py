"""A few operations, and workflows over them, written and run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from matte_core.frame import Frame, FrameRange, Header, Window
from matte_core.graph import run_workflow
from matte_core.op import OPS, Output, flag, integer, matte, number, op, plate, text
from matte_core.paths import Roots
from matte_core.shot import Shot, make
from matte_core.verb import VERBS, Job, Result, Verb

HEADER = Header(Window(0, 0, 1, 1), Window(0, 0, 1, 1))
PLATE = [Output("plate", "plate", "the plate")]
MATTE = [Output("matte", "matte", "the matte")]
RECEIPT = [Output("receipt", "receipt", "what was written")]


def compute(job: Job) -> Result:
    return Result([Frame(np.zeros((1, 1, 1), np.float32), number, HEADER) for number in job.numbers])


def source(kind: Any, path: str) -> Shot:
    frames = FrameRange.parse("1001-1002")
    return make("t work", (), {"path": path}, kind=kind, frames=frames, header=HEADER, channels=["A"])


@pytest.fixture(autouse=True)
def operations() -> Iterator[None]:
    before, VERBS["t work"] = dict(OPS), Verb("t work", compute)

    @op("Open Plate", "Read", PLATE, formerly=["t_load"])
    def t_open(
        path: Annotated[str, text("File.", "read")], start: Annotated[int, integer("First frame.", 0, 10)] = 1
    ) -> Shot:
        return source("plate", f"{path}@{start}")

    @op("Open Mask", "Read", MATTE)
    def t_mask(path: Annotated[str, text("File.", "read")] = "") -> Shot:
        return source("matte", path)

    @op("Key", "Matte", MATTE)
    def t_key(
        plate: Annotated[Shot, plate("Plate.")],
        guide: Annotated[Shot | None, matte("Guide.")] = None,
        gain: Annotated[float, number("Gain.", 0, 4)] = 1.0,
        soft: Annotated[bool, flag("Soft.")] = False,
    ) -> Shot:
        inputs = [plate] if guide is None else [plate, guide]
        return make("t work", inputs, {"gain": gain, "soft": soft}, kind="matte")

    @op("Save", "Write", RECEIPT)
    def t_save(matte: Annotated[Shot, matte("Matte.")], out: Annotated[str, text("File.", "write")]) -> Shot:
        return make("t work", [matte], {"out": out}, kind="receipt")

    yield
    OPS.clear()
    OPS.update(before)
    del VERBS["t work"]


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "in").mkdir()
    for name in ("plate.1001.exr", "mask.1001.png"):
        (tmp_path / "in" / name).write_text("x")
    return Roots.of([tmp_path / "in"], [tmp_path / "out"])


Slot = tuple[str, str, int | None]


def node(key: int, kind: str, inputs: Sequence[Slot] = (), values: Any = (), **more: Any) -> dict[str, Any]:
    slots = [{"name": name, "type": accepted, "link": link} for name, accepted, link in inputs]
    saved = values if isinstance(values, dict) else list(values)
    return {"id": key, "type": kind, "inputs": slots, "widgets_values": saved, "mode": 0, **more}


def editor(*nodes: dict[str, Any], links: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {"version": 0.4, "nodes": list(nodes), "links": [[*link, "MATTE_SHOT"] for link in links]}


def the_usual(**more: dict[str, Any]) -> dict[str, Any]:
    """Open -> Key (with the mask as guide) -> Save, in the editor's form."""
    return editor(
        node(1, "MatteTOpen", values=["plate.####.exr", 3], **more.get("open", {})),
        node(2, "MatteTMask", values=["mask.####.png"], **more.get("mask", {})),
        node(
            3,
            "MatteTKey",
            [("plate", "IMAGE,MATTE_SHOT", 11), ("guide", "MASK,MATTE_SHOT", 12)],
            [2.5, True],
            **more.get("key", {}),
        ),
        node(
            4, "MatteTSave", [("matte", "MASK,MATTE_SHOT", 13)], ["hero.####.exr"], title="Hero", **more.get("save", {})
        ),
        links=[[11, 1, 0, 3, 0], [12, 2, 0, 3, 1], [13, 3, 0, 4, 0]],
    )


def the_usual_api() -> dict[str, Any]:
    return {
        "1": {"class_type": "MatteTOpen", "inputs": {"path": "plate.####.exr", "start": 3}},
        "2": {"class_type": "MatteTMask", "inputs": {"path": "mask.####.png"}},
        "3": {"class_type": "MatteTKey", "inputs": {"plate": ["1", 0], "guide": ["2", 0], "gain": 2.5, "soft": True}},
        "4": {
            "class_type": "MatteTSave",
            "inputs": {"matte": ["3", 0], "out": "hero.####.exr"},
            "_meta": {"title": "Hero"},
        },
    }


class Play:
    """Writes a workflow and runs it."""

    def __init__(self, folder: Path, roots: Roots) -> None:
        self.folder, self.roots = folder, roots

    def __call__(self, content: Any, settings: dict[str, Any] | None = None) -> Shot:
        return self.all(content, settings)[0]

    def all(self, content: Any, settings: dict[str, Any] | None = None) -> tuple[Shot, ...]:
        path = self.folder / "job.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return run_workflow(path, settings, self.roots).receipts


@pytest.fixture(name="node")
def _node() -> Any:
    """Makes a node in the editor's form."""
    return node


@pytest.fixture(name="the_usual")
def _the_usual() -> Any:
    """Makes Open -> Key -> Save in the editor's form."""
    return the_usual


@pytest.fixture(name="the_usual_api")
def _the_usual_api() -> Any:
    """Makes the same in the API's form."""
    return the_usual_api


@pytest.fixture
def play(tmp_path: Path, roots: Roots) -> Play:
    return Play(tmp_path, roots)
