"""Preview: a plate, its alpha and the plate over a checker, as pictures that ComfyUI's page can show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matte_core.errors import UsageError
from matte_core.frame import Pixels
from matte_core.shot import Shot
from matte_core.windows import over_window_of

from . import host
from .display import checker, codes_of_alpha, codes_of_light, coverage, light_of, over, png, shrink
from .pulling import FrameCache
from .sockets import chosen

LOOKS = ("all", "plate", "alpha", "checker")
MOST_FRAMES = 64
SUBFOLDER = "matte"

CACHE = FrameCache()  # of shrunken frames; the viewer's as well


def preview(plate: Shot | None, matte: Shot | None, frames: str, look: str) -> dict[str, Any]:
    """ComfyUI's answer for the page: PNG files in its temp folder, per frame plate, alpha and over checker.

    A frame seen before is not computed again. Raises UsageError where nothing is connected that could be shown.
    """
    first = plate if plate is not None else matte
    if first is None:
        raise UsageError("Preview has nothing to show. Connect a plate or a matte.")
    numbers = list(chosen(first, frames, "first"))
    if len(numbers) > MOST_FRAMES:
        raise UsageError(f"a preview of {len(numbers)} frames is too much for a page. Choose {MOST_FRAMES} or fewer.")
    if plate is not None and matte is not None:
        matte = over_window_of(plate, matte, "matte")
    shots = [shot for shot in (plate, matte) if shot is not None]
    small = CACHE.pulled([(shot, numbers) for shot in shots], shrink)
    images = []
    for number in numbers:
        light = light_of(plate, small[0][number]) if plate is not None else None
        alpha = coverage(small[-1][number]) if matte is not None else None
        stamps = [shot.stamp(number) for shot in shots]
        for name, picture in _pictures(look, light, alpha):
            images.append(_save(picture, "_".join([name, str(number), *stamps])))
    if not images:
        raise UsageError(f"the {look} cannot be shown without its input. Connect it, or look at all.")
    return {"ui": {"images": images}}


def _pictures(look: str, light: Pixels | None, alpha: Pixels | None) -> Iterator[tuple[str, Pixels]]:
    """Code values (3, H, W) in 0..1 of what is looked at, each with its name."""
    if light is not None and look in ("all", "plate"):
        yield "plate", codes_of_light(light)
    if alpha is not None and look in ("all", "alpha"):
        yield "alpha", codes_of_alpha(alpha)
    if light is not None and alpha is not None and look in ("all", "checker"):
        yield "checker", codes_of_light(over(light, alpha, checker(*light.shape[-2:])))


def _save(picture: Pixels, name: str) -> dict[str, str]:
    folder = host.folder("temp") / SUBFOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(png(picture))
    return {"filename": f"{name}.png", "subfolder": SUBFOLDER, "type": "temp"}
