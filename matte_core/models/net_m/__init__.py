"""Net-M: alpha from a picture and a trimap, with or without colour models and classic solves."""

from matte_core.models.net_m.model import FAST, SAFE, SHARP

__all__ = ["FAST", "SAFE", "SHARP"]
