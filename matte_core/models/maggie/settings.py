"""The form of a MaGGIe: its sizes, what the published weights need to be read as trained, and what it adds."""

from __future__ import annotations

from dataclasses import dataclass

from matte_core.models.layers.spectral import Layers
from matte_core.models.maggie.normed import NormedLayers

SLOTS = 10  # instances the network can tell apart


@dataclass(frozen=True)
class Settings:
    """Sizes as published unless said otherwise; the published weights need the quirks, networks trained here do not.

    temporal   whether it has the parts for video
    widths     features at 1/2, 1/4, 1/8, 1/16 and 1/32; `depths`: blocks of the four stages of the encoder, `rises`: of
               the decoder's two
    tokens     width of the tokens that stand for instances; `fine`: of the features at 1/2 and full size
    spectral   convolutions under spectral norm
    scrambled  quirk: 1 x 1 kernels of the refinement as the published library reads them (see `Kernel`)
    pulled     quirk: the alpha at 1/4 is pulled to 0 at the rim of where it was refined
    boxed      quirk: in clips what is almost 1 is made 1, and what is far from each instance's box is made 0
    evidence   what the colours inside and outside each rough mask say about each pixel goes into the coarse and the
               fine alphas, and every finer one corrects the coarser: a start that little training suffices for
    """

    temporal: bool = False
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    depths: tuple[int, ...] = (3, 4, 4, 2)
    rises: tuple[int, ...] = (2, 3)
    tokens: int = 64
    fine: int = 32
    spectral: bool = True
    scrambled: bool = True
    pulled: bool = True
    boxed: bool = True
    evidence: bool = False

    def layers(self) -> Layers:
        """What makes the network's convolutions."""
        return NormedLayers() if self.spectral else Layers(spectral=False)
