"""MaGGIe: soft mattes of several instances at once, told by a rough mask each."""

from matte_core.models.maggie.model import IMAGE, VIDEO, MaggieModel

__all__ = ["IMAGE", "VIDEO", "MaggieModel"]
