"""Stand-ins for the few modules of ComfyUI that a pack looks up.

They are folder_paths, comfy.utils, comfy.model_management, and server, where a pack adds addresses of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from aiohttp import web

from matte_core.engine.engine import pick_device
from matte_core.errors import UsageError
from matte_core.studio.control import Control, Interrupted
from matte_core.studio.folders import Folders


@contextmanager
def stand_ins(folders: Folders, control: Control, left: Callable[[], int]) -> Iterator[web.RouteTableDef]:
    """While it is open, a pack finds the modules it knows from ComfyUI; the addresses that it adds.

    `left` counts the prompts that run or wait. Raises UsageError inside ComfyUI itself.
    """
    routes = web.RouteTableDef()
    modules = {
        "comfy": ModuleType("comfy"),
        "comfy.utils": _utils(control),
        "comfy.model_management": _model_management(control),
        "comfy_execution.utils": _execution(control),
        "folder_paths": _folder_paths(folders),
        "server": _server(routes, left),
    }
    if modules.keys() & sys.modules.keys():
        raise UsageError("Studio cannot run inside ComfyUI. Start it by itself: matte studio")
    for name in ("utils", "model_management"):
        setattr(modules["comfy"], name, modules[f"comfy.{name}"])
    sys.modules.update(modules)
    try:
        yield routes
    finally:
        for name in modules:
            sys.modules.pop(name, None)


def _module(name: str, members: dict[str, Any]) -> ModuleType:
    module = ModuleType(name, "A stand-in by Matte Studio; this is not ComfyUI.")
    vars(module).update(members)
    return module


def _server(routes: web.RouteTableDef, left: Callable[[], int]) -> ModuleType:
    instance = SimpleNamespace(routes=routes, prompt_queue=SimpleNamespace(get_tasks_remaining=left))
    return _module("server", {"PromptServer": SimpleNamespace(instance=instance)})


def _utils(control: Control) -> ModuleType:
    class ProgressBar:
        def __init__(self, total: float, node_id: str | None = None) -> None:
            self.total, self.current = total, 0.0

        def update_absolute(self, value: float, total: float | None = None, preview: Any = None) -> None:
            self.total = self.total if total is None else total
            self.current = min(value, self.total)
            control.progress(self.current, self.total)

        def update(self, value: float) -> None:
            self.update_absolute(self.current + value)

    return _module("comfy.utils", {"ProgressBar": ProgressBar})


def _model_management(control: Control) -> ModuleType:
    return _module(
        "comfy.model_management",
        {
            "InterruptProcessingException": Interrupted,
            "processing_interrupted": lambda: control.interrupted,
            "throw_exception_if_processing_interrupted": control.check,
            "get_torch_device": pick_device,
            "intermediate_device": lambda: torch.device("cpu"),
            "unet_offload_device": lambda: torch.device("cpu"),
            "free_memory": lambda memory_required, device: None,
            "soft_empty_cache": _empty_cache,
        },
    )


def _execution(control: Control) -> ModuleType:
    def running() -> SimpleNamespace | None:
        return SimpleNamespace(node_id=control.node) if control.node else None

    return _module("comfy_execution.utils", {"get_executing_context": running})


def _empty_cache(force: bool = False) -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _folder_paths(folders: Folders) -> ModuleType:
    known: dict[str, tuple[list[str], set[str]]] = {}

    def by_type(kind: str) -> str | None:
        return str(folders.of(kind)) if kind in ("input", "output", "temp") else None

    def add(name: str, path: str, is_default: bool = False) -> None:
        paths = known.setdefault(name, ([], set()))[0]
        if path not in paths:
            paths.insert(0 if is_default else len(paths), path)

    return _module(
        "folder_paths",
        {
            "models_dir": str(folders.base / "models"),
            "folder_names_and_paths": known,
            "get_directory_by_type": by_type,
            "get_input_directory": lambda: by_type("input"),
            "get_output_directory": lambda: by_type("output"),
            "get_temp_directory": lambda: by_type("temp"),
            "add_model_folder_path": add,
            "get_folder_paths": lambda name: list(known[name][0]),
            "get_annotated_filepath": lambda name: str(folders.find(name)),
            "exists_annotated_filepath": lambda name: folders.find(name).is_file(),
        },
    )
