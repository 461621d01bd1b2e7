"""Everything Matte asks of ComfyUI: folders, device memory, progress, a stop. The only file that calls it.

ComfyUI has loaded its modules before it loads a pack, so they are looked up, never imported; without them
(tests, other hosts) the answers are plain ones.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from matte_core.engine.engine import pick_device
from matte_core.errors import Cancelled, SourceError, UsageError
from matte_core.models import weights
from matte_core.models.base import Card
from matte_core.paths import Roots, files

PACK = Path(__file__).resolve().parent.parent
EXAMPLES = PACK / "samples"  # not "examples": ComfyUI would serve its templates from there
MODELS = "matte"  # the folder below ComfyUI's models, and its key in extra_model_paths.yaml


def _comfy(name: str) -> Any | None:
    return sys.modules.get(name)


def folder(kind: str) -> Path:
    """ComfyUI's "input", "output" or "temp" folder; without ComfyUI the one of that name in the current folder."""
    folder_paths = _comfy("folder_paths")
    found = folder_paths.get_directory_by_type(kind) if folder_paths is not None else None
    return Path(found) if found else Path.cwd() / kind


def roots() -> Roots:
    """Folders a workflow may read (input, output, temp, examples) and write (output, temp), and the allowed roots."""
    allowed = [entry for entry in os.environ.get("MATTE_ALLOWED_ROOTS", "").split(os.pathsep) if entry.strip()]
    return Roots.of([folder("input"), EXAMPLES, *allowed], [folder("output"), folder("temp"), *allowed])


def fingerprint(text: str) -> str:
    """A hash of name, size and time of the files that `text` names; another one whenever a file changes."""
    try:
        found = sorted(files(Path(roots().reading(text))))
    except (UsageError, SourceError, OSError) as error:
        return str(error)  # the node says it when it runs
    states = [(file.name, (state := file.stat()).st_size, state.st_mtime_ns) for file in found]
    return hashlib.sha256(repr(states).encode()).hexdigest()


def device() -> torch.device:
    """The device ComfyUI computes on."""
    management = _comfy("comfy.model_management")
    return torch.device(management.get_torch_device()) if management is not None else pick_device()


def register_models() -> None:
    """Tells ComfyUI of the models folder, so that extra_model_paths.yaml may name others."""
    folder_paths = _comfy("folder_paths")
    if folder_paths is not None:
        folder_paths.add_model_folder_path(MODELS, str(Path(folder_paths.models_dir) / MODELS))


def model_folders() -> list[Path]:
    """Folders in which ComfyUI keeps Matte's weights."""
    folder_paths = _comfy("folder_paths")
    known = folder_paths is not None and MODELS in folder_paths.folder_names_and_paths
    return [Path(entry) for entry in folder_paths.get_folder_paths(MODELS)] if known and folder_paths else []


def find_weights(card: Card) -> Path | None:
    """File of the card's weights in the package, ComfyUI's models folders or Matte's own, its sha256 checked."""
    return weights.find(card, model_folders())


def progress(total: int) -> Callable[[int], None]:
    """A function that shows on the running node how many of `total` frames are done."""
    utilities = _comfy("comfy.utils")
    bar = utilities.ProgressBar(total) if utilities is not None else None
    return bar.update_absolute if bar is not None else lambda done: None


def tell(text: str) -> None:
    """Shows `text` on the running node; versions of ComfyUI that cannot do that show nothing."""
    server, execution = _comfy("server"), _comfy("comfy_execution.utils")
    show = getattr(getattr(getattr(server, "PromptServer", None), "instance", None), "send_progress_text", None)
    running = execution.get_executing_context() if execution is not None else None
    if show is not None and running is not None:
        show(text, running.node_id)


class ComfyHost:
    """ComfyUI as the engine's host: its stop button, and its memory, shared with other models."""

    def check(self) -> None:
        """Raises Cancelled when the person pressed stop; ComfyUI's own exception is swallowed by `except Exception`."""
        management = _comfy("comfy.model_management")
        if management is not None and management.processing_interrupted():
            raise Cancelled

    def reserve(self, count: int, device: torch.device) -> None:
        """Has ComfyUI unload other models until `count` bytes are free on `device`; it shares no CPU's memory."""
        management = _comfy("comfy.model_management")
        if management is not None and device.type != "cpu":
            management.free_memory(count, device)


def stop() -> None:
    """Raises what ComfyUI knows as an interrupted prompt; without ComfyUI, Cancelled."""
    management = _comfy("comfy.model_management")
    if management is not None:
        management.throw_exception_if_processing_interrupted()
    raise Cancelled


def release() -> None:
    """Gives the device's cached memory back to ComfyUI's models."""
    management = _comfy("comfy.model_management")
    if management is not None:
        management.soft_empty_cache()


def to_comfy(picture: torch.Tensor) -> torch.Tensor:
    """`picture` on the device on which ComfyUI passes pictures from node to node."""
    management = _comfy("comfy.model_management")
    return picture.to(management.intermediate_device()) if management is not None else picture
