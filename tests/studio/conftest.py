"""A studio over the test pack, and one over Matte's own nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

try:
    import aiohttp  # noqa: F401
    import PIL  # noqa: F401
except ImportError:  # Studio is an extra: without it there is nothing to test but the sentence that says so
    collect_ignore_glob = ["test_[!w]*.py"]

if TYPE_CHECKING:
    from .page import Studio

PACK = Path(__file__).parent / "pack"
PAGE = "<!doctype html><title>page</title>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Studio's folder, with something outside it that nobody may see."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    return tmp_path / "studio"


@pytest.fixture
def front(tmp_path: Path) -> Path:
    """Static files in the place of ComfyUI's page."""
    folder = tmp_path / "front"
    (folder / "scripts").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "scripts" / "app.js").write_text("export const app = null;")
    return folder


@pytest.fixture
def studio(folder: Path, front: Path) -> Studio:
    """Runs a scenario against a studio of the test pack."""
    from .page import studio_of

    return studio_of(PACK, folder, front)


@pytest.fixture
def matte_studio(folder: Path, front: Path) -> Studio:
    """Runs a scenario against a studio of Matte's own nodes."""
    from .page import studio_of

    return studio_of(PACK.parents[2], folder, front)
