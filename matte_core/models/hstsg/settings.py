"""Size and form of an HSTSG-style network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Size and form of the network; the defaults are those of the reconstruction from the paper.

    stem, inner, counts  of both residual encoders down to 1/16: see `layers.resnet50`
    keys, values         channels that memory is compared by and answers with, at 1/16, 1/8 and 1/4
    wide                 channels of the decoder; `tail`: at 1/2, and twice at full resolution
    refined              channels of the cross-frame refinement, which looks at `window` x `window` cells of the frame
                         and of `frames` frames before it
    candidates           coarse memory cells whose parts are compared at 1/8; a quarter as many at 1/4
    every, most          every so many frames one is remembered for good, beside the first and the previous one; at
                         most so many in all, of which the oldest but the first goes first
    start                whether it is told what the alpha of the frame before, moved along the plate, says already
    own_reference        whether the first frame is remembered with the alpha found for it, not with the mask given
    """

    stem: int = 64
    inner: tuple[int, ...] = (64, 128, 256)
    counts: tuple[int, ...] = (3, 4, 6)
    keys: tuple[int, int, int] = (128, 128, 64)
    values: tuple[int, int, int] = (512, 256, 128)
    wide: int = 256
    tail: tuple[int, int, int] = (64, 32, 16)
    refined: int = 64
    window: int = 7
    frames: int = 2
    candidates: int = 32
    every: int = 5
    most: int = 5
    start: bool = False
    own_reference: bool = False


SMALL = Settings(
    stem=16,
    inner=(8, 16, 32),
    counts=(1, 2, 3),
    keys=(32, 16, 16),
    values=(64, 32, 16),
    wide=48,
    tail=(24, 16, 12),
    refined=16,
    window=5,
    candidates=16,
    start=True,
    own_reference=True,
)
