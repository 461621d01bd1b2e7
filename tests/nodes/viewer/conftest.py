"""A viewer as the page asks it, and shots to look at."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from matte_core.frame import FrameRange, Header, Window
from matte_core.memory import hold
from matte_core.shot import Shot

Ask = Callable[..., Any]


def here() -> bool:
    return False


@pytest.fixture
def viewer(load: Any, comfy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The viewer's module with nothing remembered."""
    module, views, caches = load("viewer"), load("views"), load("pulling")
    small = caches.FrameCache()
    monkeypatch.setattr(views, "CACHE", small)
    monkeypatch.setattr(views, "WHOLE", caches.FrameCache(views.WHOLE_BYTES))
    monkeypatch.setattr(module, "VIEWS", views.Views())
    return module


@pytest.fixture
def opened(viewer: Any) -> Callable[..., Ask]:
    """Runs a Matte Viewer as a prompt does; asks what its page asks."""

    def run(node: Any = None, **given: Any) -> Ask:
        shown = (node or viewer.MatteViewer()).run(**given)
        (token,) = shown["ui"]["matte_view"]

        def ask(what: str, gone: Callable[[], bool] = here, **asked: Any) -> Any:
            texts: Mapping[str, str] = {name: str(value) for name, value in asked.items()}
            body, kind = viewer.answer({"view": token, "what": what, **texts}, gone)
            return json.loads(body) if kind == "application/json" else np.asarray(Image.open(io.BytesIO(body)))

        return ask

    return run


def keyed(node: Any, pattern: str) -> tuple[Any, Any]:
    (plate,) = node("MatteTRead").run(path=pattern, frames="")
    (matte,) = node("MatteTKey").run(plate=plate, gain=1.0, width=3, soft=True, model="good")
    return plate, matte


def held(pixels: Any, kind: Any, channels: tuple[str, ...], data: Window | None = None) -> Shot:
    """A shot of one picture (C, H, W), its frame 1."""
    display = Window(0, 0, pixels.shape[2], pixels.shape[1])
    header = Header(data or display, display, colour_space="Linear Rec.709 (sRGB)" if kind == "plate" else "")
    return hold(lambda place: pixels, 1, FrameRange([1]), kind=kind, header=header, channels=channels)


def plate_of(*colours: tuple[float, float, float]) -> Shot:
    """A plate of one row, a pixel of each colour, linear Rec.709."""
    return held(np.array(colours, np.float32).T[:, None, :].copy(), "plate", ("R", "G", "B"))


def matte_of(*values: float) -> Shot:
    return held(np.array(values, np.float32)[None, None], "matte", ("A",))
