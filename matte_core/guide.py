"""What models are told, and what they answer with: both are shots."""

from __future__ import annotations

from dataclasses import dataclass

from matte_core.shot import Shot

Matte = Shot  # a shot of kind "matte": frames are alpha (K, H, W) in 0..1, 1 = opaque, K named instances


@dataclass(frozen=True)
class Guide:
    """What a model is told besides the plate; each a shot, per frame or one still held for all.

    mask        (K, H, W) in 0..1, 1 = selected: roughly where the subject is
    trimap      (K, H, W) of 0 background, 0.5 unknown, 1 foreground
    instances   (K, H, W) in 0..1, one mask per named instance
    background  (3, H, W) the clean plate
    """

    mask: Shot | None = None
    trimap: Shot | None = None
    instances: Shot | None = None
    background: Shot | None = None

    def named(self) -> dict[str, Shot]:
        """The guides that were given, by name."""
        every = {"mask": self.mask, "trimap": self.trimap, "instances": self.instances, "background": self.background}
        return {name: shot for name, shot in every.items() if shot is not None}
