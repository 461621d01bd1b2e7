"""The nodes without ComfyUI: the pack as ComfyUI would load it, a stand-in for ComfyUI, a few operations and files."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch

from matte_core.errors import SourceError
from matte_core.frame import Frame, FrameRange, Header, Window
from matte_core.io.writer import write_frames
from matte_core.memory import hold
from matte_core.op import OPS, Op, Output, choice, flag, integer, matte, number, op, plate, text
from matte_core.pull import frames
from matte_core.shot import Shot, make
from matte_core.sources import plate_source
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

ROOT = Path(__file__).resolve().parents[2]
PACK = "matte_pack"
HEIGHT, WIDTH = 6, 8


def load_module(name: str) -> Any:
    """A module of the pack, under the name of a package as ComfyUI gives it one."""
    if PACK not in sys.modules:
        package = types.ModuleType(PACK)
        package.__path__ = [str(ROOT)]
        sys.modules[PACK] = package
    return importlib.import_module(f"{PACK}.nodes.{name}")


@pytest.fixture
def load() -> Callable[[str], Any]:
    """Gives a module of the pack by name."""
    return load_module


@pytest.fixture(scope="session")
def load_once() -> Callable[[str], Any]:
    """As `load`, for fixtures that are made once."""
    return load_module


class Interrupted(Exception):
    """As in ComfyUI up to 0.3: an Exception, which careless code swallows."""


@dataclass
class FakeComfy:
    """What the pack asks of ComfyUI, and what it was told."""

    folder: Path
    Interrupted: type[Exception] = Interrupted
    interrupted: bool = False
    bars: list[list[int]] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    freed: list[int] = field(default_factory=list)
    loaded: list[tuple[Any, int]] = field(default_factory=list)
    models: list[tuple[str, str]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def path(self, kind: str, name: str) -> Path:
        return self.folder / kind / name

    def folder_paths(self) -> types.ModuleType:
        module = types.ModuleType("folder_paths")
        module.models_dir = str(self.folder / "models")  # type: ignore[attr-defined]
        module.folder_names_and_paths = {}  # type: ignore[attr-defined]
        module.get_directory_by_type = lambda kind: str(self.folder / kind)  # type: ignore[attr-defined]
        module.add_model_folder_path = lambda name, path: self.models.append((name, path))  # type: ignore[attr-defined]
        return module

    def model_management(self) -> types.ModuleType:
        module = types.ModuleType("comfy.model_management")

        def throw() -> None:
            if self.interrupted:
                raise Interrupted

        def load(models: Sequence[Any], memory_required: int, force_full_load: bool) -> None:
            assert force_full_load
            self.loaded.extend((model, memory_required) for model in models)

        module.get_torch_device = lambda: self.device  # type: ignore[attr-defined]
        module.unet_offload_device = lambda: torch.device("cpu")  # type: ignore[attr-defined]
        module.load_models_gpu = load  # type: ignore[attr-defined]
        module.intermediate_device = lambda: torch.device("cpu")  # type: ignore[attr-defined]
        module.processing_interrupted = lambda: self.interrupted  # type: ignore[attr-defined]
        module.throw_exception_if_processing_interrupted = throw  # type: ignore[attr-defined]
        module.free_memory = lambda count, device: self.freed.append(count)  # type: ignore[attr-defined]
        module.soft_empty_cache = lambda: None  # type: ignore[attr-defined]
        return module

    def model_patcher(self) -> types.ModuleType:
        module = types.ModuleType("comfy.model_patcher")

        @dataclass
        class ModelPatcher:
            model: Any
            load_device: torch.device
            offload_device: torch.device

        module.ModelPatcher = ModelPatcher  # type: ignore[attr-defined]
        return module

    def server(self) -> types.ModuleType:
        module, told = types.ModuleType("server"), self.told
        instance = types.SimpleNamespace(send_progress_text=lambda text, node: told.append((node, text)))
        module.PromptServer = types.SimpleNamespace(instance=instance)  # type: ignore[attr-defined]
        return module

    def execution(self) -> types.ModuleType:
        module = types.ModuleType("comfy_execution.utils")
        module.get_executing_context = lambda: types.SimpleNamespace(node_id="7")  # type: ignore[attr-defined]
        return module

    def utils(self) -> types.ModuleType:
        module, bars = types.ModuleType("comfy.utils"), self.bars

        class ProgressBar:
            def __init__(self, total: int) -> None:
                self.seen = [total]
                bars.append(self.seen)

            def update_absolute(self, value: int) -> None:
                self.seen.append(value)

        module.ProgressBar = ProgressBar  # type: ignore[attr-defined]
        return module


@pytest.fixture
def comfy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeComfy:
    fake = FakeComfy(tmp_path)
    for kind in ("input", "output", "temp", "models"):
        (tmp_path / kind).mkdir()
    monkeypatch.setitem(sys.modules, "folder_paths", fake.folder_paths())
    monkeypatch.setitem(sys.modules, "comfy.model_management", fake.model_management())
    monkeypatch.setitem(sys.modules, "comfy.model_patcher", fake.model_patcher())
    monkeypatch.setitem(sys.modules, "comfy.utils", fake.utils())
    monkeypatch.setitem(sys.modules, "server", fake.server())
    monkeypatch.setitem(sys.modules, "comfy_execution.utils", fake.execution())
    monkeypatch.delenv("MATTE_ALLOWED_ROOTS", raising=False)
    return fake


@dataclass
class Worked:
    """Frames that the test's own verb computed; `stop_at` presses ComfyUI's stop there, `fail_at` fails there."""

    numbers: list[int] = field(default_factory=list)
    stop_at: int = 0
    fail_at: int = 0


@pytest.fixture
def worked() -> Worked:
    return Worked()


@pytest.fixture
def ops(comfy: FakeComfy, worked: Worked) -> Iterator[dict[str, Op]]:
    """Read, key and write, as plain as they can be; the key takes the green channel."""
    before = dict(OPS)
    OPS.clear()

    def key(job: Job) -> Result:
        worked.numbers.extend(job.numbers)
        comfy.interrupted |= worked.stop_at in job.numbers
        if worked.fail_at in job.numbers:
            raise SourceError("it cannot be keyed. Key it by hand.")
        return Result([Frame(np.array(job.one(0, n).pixels[1:2]), n, job.one(0, n).header) for n in job.numbers])

    VERBS["t key"] = Verb("t key", key, declare=lambda parameters: Declaration(lane="device"))

    @op("Read", "Matte/Files", [Output("plate", "plate", "The plate.")], aliases=["open"], formerly=["t_load"])
    def t_read(path: Annotated[str, text("The files.", "read")], frames: Annotated[str, text("Frames.")] = "") -> Shot:
        """Reads a plate."""
        return plate_source(path, frames)

    @op("Key", "Matte/Alpha", [Output("matte", "matte", "The matte.")])
    def t_key(
        plate: Annotated[Shot, plate("The plate.")],
        guide: Annotated[Shot | None, matte("A guide.")] = None,
        gain: Annotated[float, number("Gain.", 0, 4)] = 1.0,
        width: Annotated[int, integer("Width.", 0, 9)] = 3,
        soft: Annotated[bool, flag("Soft.")] = True,
        model: Annotated[str, choice("Model.", lambda: ("fast", "good"))] = "good",
    ) -> Shot:
        """Keys a plate."""
        inputs = [plate] if guide is None else [plate, guide]
        return make("t key", inputs, {"gain": gain}, kind="matte", channels=["A"])

    @op("Write", "Matte/Files", [Output("receipt", "written", "What was written.")])
    def t_write(
        matte: Annotated[Shot, matte("The matte.")],
        out: Annotated[str, text("Files.", "write")],
        compression: Annotated[str, choice("Codec.", lambda: ("zip", "piz"))] = "zip",
    ) -> Shot:
        """Writes a matte."""
        return write_frames([matte], [("A",)], out, compression=compression)

    yield dict(OPS)
    OPS.clear()
    OPS.update(before)
    del VERBS["t key"]


@pytest.fixture
def node(ops: dict[str, Op]) -> Any:
    """Makes a node object of one of the operations."""
    classes, _ = load_module("comfy").node_classes(ops)
    return lambda name: classes[name]()


def write_plate(folder: Path, values: Sequence[float], first: int = 1001, name: str = "plate") -> str:
    """EXR files of one value each, numbered from `first`; returns the pattern without its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    window = Window(0, 0, WIDTH, HEIGHT)

    def picture(place: int) -> Any:
        return np.full((3, HEIGHT, WIDTH), values[place], np.float32)

    numbers = FrameRange(range(first, first + len(values)))
    header = Header(window, window)
    shot = hold(picture, len(values), numbers, kind="plate", header=header, channels=("R", "G", "B"))
    list(frames(write_frames([shot], [("R", "G", "B")], str(folder / f"{name}.####.exr"))))
    return f"{name}.####.exr"


@pytest.fixture
def plates() -> Callable[..., str]:
    """Writes plates: (folder, values, first number, name) -> pattern."""
    return write_plate


@pytest.fixture
def plate_files(comfy: FakeComfy) -> str:
    """Four plates in ComfyUI's input folder, of the values 0.1, 0.2, 0.3, 0.4."""
    return write_plate(comfy.folder / "input", [0.1, 0.2, 0.3, 0.4])
