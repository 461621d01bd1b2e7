"""MaGGIe: soft mattes of several instances at once, told by a rough mask each."""

from matte_core.models.maggie.model import IMAGE, SMALL_IMAGE, SMALL_VIDEO, VIDEO, MaggieModel

__all__ = ["IMAGE", "SMALL_IMAGE", "SMALL_VIDEO", "VIDEO", "MaggieModel"]
