"""Everything Matte asks of ComfyUI: folders, device memory, progress, a stop. The only file that calls it.

ComfyUI has loaded its modules before it loads a pack, so they are looked up, never imported; without them
(tests, other hosts) the answers are plain ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from matte_core.engine.engine import pick_device
from matte_core.errors import Cancelled, MatteError, SourceError, UsageError
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


def tell(text: str) -> None:
    """Shows `text` on the running node; versions of ComfyUI that cannot do that show nothing."""
    node, show = running_node(), getattr(_server(), "send_progress_text", None)
    if show is not None and node:
        show(text, node)


def running_node() -> str:
    """Id of the node that ComfyUI runs now; "" in versions that do not say."""
    execution = _comfy("comfy_execution.utils")
    running = execution.get_executing_context() if execution is not None else None
    return str(running.node_id) if running is not None else ""


class Busy(MatteError):
    """Something else must end first."""


_BESIDE = threading.Lock()  # held by what computes beside the prompts


class ComfyHost:
    """ComfyUI while it runs a prompt: its stop button, its progress bar, and its memory, shared with other models."""

    def check(self) -> None:
        """Raises Cancelled when the person pressed stop; ComfyUI's own exception is swallowed by `except Exception`."""
        management = _comfy("comfy.model_management")
        if management is not None and management.processing_interrupted():
            raise Cancelled

    def hold(self, load: Callable[[torch.device], Any], device: torch.device) -> Any:
        """The network as one of ComfyUI's models, kept where ComfyUI keeps those that wait."""
        management, patcher = _comfy("comfy.model_management"), _comfy("comfy.model_patcher")
        if management is None or patcher is None:
            return load(device)
        waiting = management.unet_offload_device()
        return patcher.ModelPatcher(load(waiting), load_device=device, offload_device=waiting)

    def ready(self, held: Any, device: torch.device, count: int) -> Any:
        """The network on `device`: ComfyUI unloads other models until it and `count` bytes fit. It shares no CPU's
        memory, but knows of a network there too.
        """
        management, patcher = _comfy("comfy.model_management"), _comfy("comfy.model_patcher")
        if management is not None and patcher is not None and isinstance(held, patcher.ModelPatcher):
            # Whole: a part can only be left behind where the layers are ComfyUI's own.
            management.load_models_gpu([held], memory_required=count, force_full_load=True)
            return held.model
        if management is not None and device.type != "cpu":
            management.free_memory(count, device)
        return held

    @contextmanager
    def turn(self, on_device: bool) -> Iterator[None]:
        """While it is open, nothing that runs beside the prompts is on the device."""
        if on_device:
            with _BESIDE:  # what held it sees the running prompt and lets go; nothing new is let in
                pass
        yield

    def progress(self, total: int) -> Callable[[int], None]:
        """A function that shows on the running node how many of `total` frames are done."""
        utilities = _comfy("comfy.utils")
        bar = utilities.ProgressBar(total) if utilities is not None else None
        return bar.update_absolute if bar is not None else lambda done: None

    def stop(self) -> None:
        """Raises what ComfyUI knows as an interrupted prompt; without ComfyUI, Cancelled."""
        management = _comfy("comfy.model_management")
        if management is not None:
            management.throw_exception_if_processing_interrupted()
        raise Cancelled

    def release(self) -> None:
        """Gives the device's cached memory back to ComfyUI's models."""
        management = _comfy("comfy.model_management")
        if management is not None:
            management.soft_empty_cache()


class BesidePrompts(ComfyHost):
    """ComfyUI while a page asks for something beside the prompts: one asker at a time, never on a prompt's device.

    It shows no progress, hears no stop button, and gives the device up as soon as a prompt runs. `gone` tells
    whether the asker has left.
    """

    def __init__(self, gone: Callable[[], bool]) -> None:
        self._gone, self._on_device = gone, False

    def check(self) -> None:
        """Raises Cancelled when the asker has left, Busy when a prompt needs the device."""
        if self._gone():
            raise Cancelled
        if self._on_device and busy():
            raise Busy("A prompt is running. This frame needs the device and is computed when the prompt has ended.")

    @contextmanager
    def turn(self, on_device: bool) -> Iterator[None]:
        """Waits for the askers before; while it is open, no other one computes."""
        with _BESIDE:
            self._on_device = on_device
            self.check()
            yield

    def ready(self, held: Any, device: torch.device, count: int) -> Any:
        if self._on_device:
            self.check()  # a prompt that began in the meantime moves models itself
        return super().ready(held, device, count)

    def progress(self, total: int) -> Callable[[int], None]:
        return lambda done: None

    def stop(self) -> None:
        raise Cancelled

    def release(self) -> None:
        if self._on_device and not busy():
            super().release()


def busy() -> bool:
    """Whether ComfyUI runs a prompt, or has one waiting."""
    queue = getattr(_server(), "prompt_queue", None)
    return queue is not None and queue.get_tasks_remaining() > 0


def _server() -> Any | None:
    return getattr(getattr(_comfy("server"), "PromptServer", None), "instance", None)


def serve(path: str, answer: Callable[[Mapping[str, str], Callable[[], bool]], tuple[bytes, str]]) -> None:
    """Answers GET requests for `path` (with {names} in it) in threads beside the server's own; no server, no answer.

    `answer` is given what was asked, by name, and a function that tells whether the asker has left; it returns a
    body and its type. Its errors become one sentence: 404 for what is not there, 409 for what must wait, else 400.
    """
    routes = getattr(_server(), "routes", None)
    if routes is None:
        return
    from aiohttp import web  # the library ComfyUI's server is made of

    threads = ThreadPoolExecutor(4, "page")

    async def handle(request: web.Request) -> web.Response:
        def gone() -> bool:
            return request.transport is None or request.transport.is_closing()

        asked = {**request.query, **request.match_info}
        try:
            body, kind = await asyncio.get_running_loop().run_in_executor(threads, answer, asked, gone)
        except Cancelled:
            return web.json_response({"error": "The page has asked for something else."}, status=409)
        except MatteError as error:
            cause = getattr(error, "cause", error)  # of a frame's error
            told = cause if isinstance(cause, Busy) else error
            status = 409 if isinstance(told, Busy) else 404 if isinstance(told, SourceError) else 400
            return web.json_response({"error": str(told)}, status=status)
        return web.Response(body=body, content_type=kind, headers={"Cache-Control": "no-store"})

    routes.get(path)(handle)


def to_comfy(picture: torch.Tensor) -> torch.Tensor:
    """`picture` on the device on which ComfyUI passes pictures from node to node."""
    management = _comfy("comfy.model_management")
    return picture.to(management.intermediate_device()) if management is not None else picture
