"""HSTSG-style video matting: alpha carried through a shot from masks on keyframes, by a memory of frames."""

from matte_core.models.hstsg.model import HSTSG_SMALL

__all__ = ["HSTSG_SMALL"]
