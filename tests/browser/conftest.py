"""ComfyUI's page in Chromium over Studio, or over a real ComfyUI.

    python -m pytest -m browser tests/browser

MATTE_FRONT_ENDS     static folders of comfyui-frontend-package, separated as in PATH; without it the installed one
COMFYUI_DIR          a checkout of ComfyUI; the same tests run against it too (see tests/real_comfyui.py)
MATTE_CHROMIUM       the browser; without it /usr/bin/chromium
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..real_comfyui import COMFYUI, serving

if TYPE_CHECKING:
    from .editor import Editor

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHROMIUM = os.environ.get("MATTE_CHROMIUM", "/usr/bin/chromium")
START = """
import sys, torch
torch.set_num_threads(1)
from matte_core.studio import serve
serve(port=int(sys.argv[1]), folder=sys.argv[2], front=sys.argv[3], say=lambda line: print(line, flush=True))
"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium, playwright and comfyui-frontend-package")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """These tests run when they are asked for, never by the way."""
    if "browser" not in config.option.markexpr:
        skipped = pytest.mark.skip(reason="runs with -m browser")
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(skipped)


def front_ends() -> list[str]:
    given = [folder for folder in os.environ.get("MATTE_FRONT_ENDS", "").split(os.pathsep) if folder]
    found = importlib.util.find_spec("comfyui_frontend_package")
    installed = [str(Path(found.origin).parent / "static")] if found is not None and found.origin else []
    return given or installed or ["none"]


def version_of(front: str) -> str:
    """The front end's version, from the folder beside the package."""
    package = Path(front).parent
    beside = [folder.name for folder in package.parent.glob("comfyui_frontend_package-*.dist-info")]
    return beside[0].split("-")[1].removesuffix(".dist") if beside else package.name


@dataclass(frozen=True)
class Place:
    """A running host of the page: its address, and the folder that Write writes in."""

    address: str
    output: Path


HOSTS = [*front_ends(), *(["comfyui"] if COMFYUI else [])]


@pytest.fixture(scope="session", params=HOSTS, ids=lambda host: host if host == "comfyui" else version_of(host))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where the page is served."""
    if shutil.which(CHROMIUM) is None or importlib.util.find_spec("playwright") is None:
        pytest.fail(f"the browser tests need playwright and {CHROMIUM}: scripts/browser_test sets them up")
    with started(str(request.param), tmp_path_factory.mktemp("host")) as running:
        yield running


def started(host: str, folder: Path) -> AbstractContextManager[Place]:
    if host == "comfyui":
        return comfyui(folder)
    if not Path(host, "index.html").is_file():
        pytest.fail("the browser tests need comfyui-frontend-package: scripts/browser_test sets it up")
    return studio(host, folder)


@contextmanager
def comfyui(folder: Path) -> Iterator[Place]:
    with serving(folder) as server:
        yield Place(server.address, folder / "output")


@contextmanager
def studio(front: str, folder: Path) -> Iterator[Place]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", START, str(port), str(folder), front]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    try:
        ends = time.monotonic() + 90
        while "Open http" not in (folder / "log.txt").read_text():
            assert process.poll() is None and time.monotonic() < ends, (folder / "log.txt").read_text()
            time.sleep(0.2)
        yield Place(f"http://127.0.0.1:{port}", folder / "output")
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def page(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """The editor in one browser window for all tests of a host: starting a browser takes longer than they do."""
    from .editor import opened

    with opened(place.address, CHROMIUM, tmp_path_factory.mktemp("browser")) as editor:
        yield editor


@pytest.fixture
def editor(page: Editor) -> Editor:
    """The editor with an empty canvas."""
    page.clear()
    return page
