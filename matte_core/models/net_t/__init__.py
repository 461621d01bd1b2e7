"""Net-T: a trimap from a picture and a rough mask, in the small size trained here."""

from matte_core.models.net_t.model import NET_T_SMALL

__all__ = ["NET_T_SMALL"]
