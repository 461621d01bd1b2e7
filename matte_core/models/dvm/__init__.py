"""DVM: alpha from a window of frames and their trimaps, aligned and fused; and trimaps propagated from keyframes."""

from matte_core.models.dvm.model import DVM_SMALL, TRIMAP_PROPAGATION_SMALL

__all__ = ["DVM_SMALL", "TRIMAP_PROPAGATION_SMALL"]
