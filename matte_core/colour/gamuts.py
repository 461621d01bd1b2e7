"""Primaries: the published ones, and how a file's chromaticities are compared with a space's matrix.

Chromaticities are eight numbers, x and y of red, green, blue and white, as EXR files carry them.
Two spaces are compared by their primaries after adaptation to D65, so that AP1 with the ACES white
and AP1 as a matrix to Rec.709 are the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matte_core.frame import Attribute

Matrix = NDArray[np.float64]

TOLERANCE = 0.006  # largest difference in x or y of one primary; the closest two gamuts in use are 0.018 apart

_D65 = (0.3127, 0.3290)
_ACES_WHITE = (0.32168, 0.33767)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Gamut:
    """Published primaries and white; `interop` names the scene-linear space that has them, where one is agreed."""

    chromaticities: tuple[float, ...]
    interop: str = ""


# ITU-R BT.709 and BT.2020, SMPTE ST 2065-1, ACES S-2014-004, SMPTE RP 431-2 with D65, Adobe RGB (1998),
# and the camera makers' white papers. Identifiers: Color Interop Forum.
PUBLISHED = (
    Gamut((0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65), "lin_rec709_scene"),
    Gamut((0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, *_ACES_WHITE), "lin_ap0_scene"),
    Gamut((0.713, 0.293, 0.165, 0.830, 0.128, 0.044, *_ACES_WHITE), "lin_ap1_scene"),
    Gamut((0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65), "lin_p3d65_scene"),
    Gamut((0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65), "lin_rec2020_scene"),
    Gamut((0.640, 0.330, 0.210, 0.710, 0.150, 0.060, *_D65), "lin_adobergb_scene"),
    Gamut((0.6840, 0.3130, 0.2210, 0.8480, 0.0861, -0.1020, *_D65)),  # ARRI Wide Gamut 3
    Gamut((0.7347, 0.2653, 0.1424, 0.8576, 0.0991, -0.0308, *_D65)),  # ARRI Wide Gamut 4
    Gamut((0.730, 0.280, 0.140, 0.855, 0.100, -0.050, *_D65)),  # Sony S-Gamut3
    Gamut((0.766, 0.275, 0.225, 0.800, 0.089, -0.087, *_D65)),  # Sony S-Gamut3.Cine
    Gamut((0.780308, 0.304253, 0.121595, 1.493994, 0.095612, -0.084589, *_D65)),  # REDWideGamutRGB
    Gamut((0.730, 0.280, 0.165, 0.840, 0.100, -0.030, *_D65)),  # Panasonic V-Gamut
    Gamut((0.8000, 0.3130, 0.1682, 0.9877, 0.0790, -0.1155, *_D65)),  # DaVinci Wide Gamut
)


def _xyz(x: float, y: float) -> Matrix:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _to_xyz(chromaticities: Sequence[float]) -> Matrix:
    """Matrix (3, 3) from linear RGB to XYZ under the gamut's own white. SMPTE RP 177, section 3.3."""
    primaries = np.array([[x, y, 1 - x - y] for x, y in np.reshape(chromaticities[:6], (3, 2))]).T
    return primaries * np.linalg.solve(primaries, _xyz(*chromaticities[6:8]))


def is_gamut(chromaticities: Sequence[float]) -> bool:
    """Whether these are eight finite numbers, a triangle and a white that has luminance."""
    if len(chromaticities) != 8 or not np.isfinite(chromaticities).all() or chromaticities[7] <= 0:
        return False
    corners = np.column_stack([np.reshape(chromaticities[:6], (3, 2)), np.ones(3)])
    return abs(float(np.linalg.det(corners))) > 1e-4


def adapted_primaries(chromaticities: Sequence[float]) -> Matrix:
    """x, y (3, 2) of red, green and blue after Bradford adaptation from the gamut's white to D65."""
    gain = (_BRADFORD @ _xyz(*_D65)) / (_BRADFORD @ _xyz(*chromaticities[6:8]))
    adaptation = np.linalg.inv(_BRADFORD) @ (gain[:, None] * _BRADFORD)
    return _primaries_of(adaptation @ _to_xyz(chromaticities))


def matrix_primaries(to_rec709: Sequence[float]) -> Matrix:
    """x, y (3, 2) of the primaries of the space whose matrix to linear Rec.709 is given (nine numbers, row by row)."""
    return _primaries_of(_to_xyz(PUBLISHED[0].chromaticities) @ np.reshape(to_rec709, (3, 3)))


def _primaries_of(to_xyz: Matrix) -> Matrix:
    return np.asarray((to_xyz[:2] / to_xyz.sum(axis=0)).T)


def closest(primaries: Matrix, others: Mapping[str, Matrix]) -> str:
    """Key of the entry of `others` with the same primaries, "" where none lies within TOLERANCE; first wins."""
    distances = {key: round(float(np.abs(primaries - other).max()), 4) for key, other in others.items()}
    best = min(distances, key=distances.__getitem__, default="")
    return best if best and distances[best] <= TOLERANCE else ""


def published(primaries: Matrix) -> Gamut:
    """The published gamut with these adapted primaries; where there is none, the primaries themselves with D65."""
    known = {str(index): adapted_primaries(gamut.chromaticities) for index, gamut in enumerate(PUBLISHED)}
    found = closest(primaries, known)
    if found:
        return PUBLISHED[int(found)]
    return Gamut((*(round(float(value), 6) for value in primaries.ravel()), *_D65))


def tags(gamut: Gamut, interop: str) -> tuple[Attribute, ...]:
    """Header entries that tell a reader the colour space: its agreed identifier and its chromaticities.

    Both, because readers know one or the other; "unknown" so that a stale identifier does not survive.
    """
    return (
        Attribute("colorInteropID", "string", interop or "unknown"),
        Attribute("chromaticities", "float[8]", list(gamut.chromaticities)),
    )


REC709_TAGS = tags(PUBLISHED[0], PUBLISHED[0].interop)  # for pictures in linear Rec.709, whatever the configuration
