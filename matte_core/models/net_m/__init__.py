"""Net-M: alpha from a picture, a trimap and two classic solves, in the small size trained here."""

from matte_core.models.net_m.model import SAFE, SHARP

__all__ = ["SAFE", "SHARP"]
