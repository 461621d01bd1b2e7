"""Alpha of one frame, filtered with what its neighbours say, brought over along the motion of the plate.

A neighbour's alpha is corrected, to first order, for what the plate says is different: alpha there, plus the slope of
alpha over colour there, times the difference in colour. The current plate thus keeps its strands of hair, however
roughly the flow follows them, and what flickers is averaged away. (Lines of alpha over colour: He et al. 2013, Guided
Image Filtering; here their slopes travel along the motion.)

Arrays have their channels last: alpha (H, W, K) in 0..1, colour (H, W, 3) encoded, in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matte_core.flow import ends, enlarged, sampled
from matte_core.frame import Pixels
from matte_core.late import late

cv2 = late("cv2")

Numbers = NDArray[np.float64]

RADIUS = 2  # pixels: alpha is a straight line over colour within so many
EVEN = 1e-4  # variance of colour below which a slope is not trusted: an even area has none
OWN = 0.5  # weight of the frame's own alpha beside those of its neighbours, each at most 1
STEEP = 2.0  # alpha per step of colour that a line may miss beyond the colours it was measured on
GRAIN = 0.01  # difference of colour that is nothing
DARK = 0.05  # encoded colour below which brightness is not compared
BRIGHTER = 1.25  # times as bright, encoded, as another frame of the window may be at most
APART = 3.0  # how much a change counts by which neighbours are apart, squared, beside the change itself
DOUBT = 0.03  # alpha by which a neighbour may be wrong before it counts for half
TINY = 1e-8
STRIP = 128  # rows that are measured together, so that little memory is needed
FIELDS = 4  # of `slopes` for each layer: three slopes, and what they leave unexplained


@dataclass(frozen=True)
class Neighbour:
    """One frame of the window: its alpha, colour and slopes, and the current frame's motion to it.

    `slopes`, `moved` (h, w, 2) and `trust` (h, w) may be smaller than the pictures; `moved` is in its own pixels.
    """

    alpha: Pixels
    colour: Pixels
    slopes: Pixels
    moved: Pixels
    trust: Pixels


def slopes(colour: Pixels, alpha: Pixels) -> Pixels:
    """Alpha as a straight line over colour around every pixel: (H, W, 4 K + 1).

    For each layer of alpha three slopes and what the line leaves unexplained (standard deviation of alpha); at the
    end how uneven the colour is (standard deviation, all channels together). Measured within 2 pixels and averaged
    over as many again; 0 in strips where alpha is the same everywhere.
    """
    height, width, layers = alpha.shape
    made = np.zeros((height, width, FIELDS * layers + 1), np.float32)
    for top in range(0, height, STRIP):
        first, last = max(top - 2 * RADIUS, 0), min(top + STRIP + 2 * RADIUS, height)
        if np.ptp(alpha[first:last], axis=(0, 1)).any():
            found = _lines(colour[first:last], alpha[first:last])
            made[top : top + STRIP] = found[top - first : top - first + STRIP]
    return made


def _lines(colour: Pixels, alpha: Pixels) -> Numbers:
    means = _mean(np.asarray(colour, np.float64))
    both = np.empty((*colour.shape[:2], 3, 3))
    for i in range(3):
        for j in range(i, 3):
            product = np.multiply(colour[..., i], colour[..., j], dtype=np.float64)
            both[..., i, j] = both[..., j, i] = _mean(product) - means[..., i] * means[..., j]
    spread = np.trace(both, axis1=2, axis2=3)
    both += EVEN * np.eye(3)
    found: list[Numbers] = []
    for layer in np.moveaxis(np.asarray(alpha, np.float64), -1, 0):
        middle = _mean(layer)
        joint = _mean(colour * layer[..., None]) - means * middle[..., None]
        line = _solved(both, joint)
        rest = _mean(layer * layer) - middle * middle - (line * joint).sum(axis=-1)
        found += [*np.moveaxis(_mean(line), -1, 0), np.sqrt(_mean(rest).clip(0))]
    return np.stack([*found, np.sqrt(_mean(spread).clip(0))], axis=-1)


def _mean(values: NDArray[Any]) -> Numbers:
    """Mean within RADIUS pixels of values (H, W) or (H, W, C)."""
    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(np.ascontiguousarray(values, np.float64), (side, side)))


def _solved(matrix: Numbers, right: Numbers) -> Numbers:
    """Solutions (H, W, 3) of symmetric systems (H, W, 3, 3), by Cramer's rule: faster than solving one by one."""
    a, b, c = (matrix[..., i, :] for i in range(3))
    columns = np.cross(b, c), np.cross(c, a), np.cross(a, b)
    determinant = (a * columns[0]).sum(axis=-1, keepdims=True)
    return np.asarray(sum(column * right[..., i : i + 1] for i, column in enumerate(columns)) / determinant)


def filtered(alpha: Pixels, colour: Pixels, neighbours: Sequence[Neighbour]) -> Pixels:
    """The alpha (H, W, K) of the current frame, averaged with what each neighbour says of it.

    Where all frames are 0, or all 1, it is left alone.
    """
    work = _flickering([alpha, *(each.alpha for each in neighbours)])
    if not work.any():
        return alpha
    rows, columns = (_reach_of(np.logical_or.reduce(work, axis=axis)) for axis in (1, 0))
    here, own = alpha[rows, columns], colour[rows, columns]
    votes = Votes(here.shape)
    for each in neighbours:
        estimate, weight = _estimate(each, own, rows, columns, alpha.shape[:2])
        votes.add(estimate - here, weight[..., None])
    mixed = here + votes.change()
    total, most = mixed.sum(axis=-1, keepdims=True), np.maximum(here.sum(axis=-1, keepdims=True), 1)
    mixed *= np.where(total > most, most / np.maximum(total, 1e-6), 1)  # instances that shared a pixel still do
    made = alpha.copy()
    made[rows, columns] = np.where(work[rows, columns, None], mixed, here)
    return made


class Votes:
    """By how much neighbours would change an alpha (H, W, K), each with a weight (H, W, 1), at most 1."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sum, self._squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._weight, self._weights_squared = (np.zeros((*shape[:2], 1), np.float32) for _ in range(2))

    def add(self, change: Pixels, weight: Pixels) -> None:
        """Count one more."""
        self._sum += weight * change
        self._squares += weight * change * change
        self._weight += weight
        self._weights_squared += weight * weight

    def change(self) -> Pixels:
        """The mean with the frame's own alpha, less where they are at odds: thin hair over a body that moves otherwise
        is brought from wrong places, each time from another. Shrunk as James and Stein shrink a mean of few."""
        total = np.maximum(self._weight, TINY)
        mean = self._sum / total
        apart = np.maximum(self._squares / total - mean * mean, 0) * self._weights_squared / (total * total)
        signal, noise = (_mean(values).clip(0).reshape(values.shape) for values in (mean * mean, apart))
        return np.asarray(self._sum / (self._weight + OWN) * signal / (signal + APART * noise + TINY), np.float32)


def _estimate(
    each: Neighbour, own: Pixels, rows: slice, columns: slice, size: tuple[int, int]
) -> tuple[Pixels, Pixels]:
    """Alpha (h, w, K) of the current frame as one neighbour has it, and how far it is to be trusted (h, w).

    What may be wrong is the part of alpha that colour does not explain there, so far as colour differs from what it
    was, against how uneven it is around; and all that lies beyond the colours there are around.
    """
    height, width = size
    scale = np.array([width / each.moved.shape[1], height / each.moved.shape[0]], np.float32)
    moved = (enlarged(each.moved, width, height) * scale)[rows, columns]
    places = ends(moved, columns.start, rows.start)
    slope, trust = (
        enlarged(part, width, height)[rows, columns] for part in (sampled(each.slopes, ends(each.moved)), each.trust)
    )
    change = own - as_bright(sampled(each.colour, places, cubic=True), own)
    layers = slope[..., :-1].reshape(*slope.shape[:2], -1, FIELDS)
    estimate = sampled(each.alpha, places, cubic=True) + (layers[..., :3] * change[..., None, :]).sum(axis=-1)
    differs = np.sqrt(cv2.blur((change * change).sum(axis=-1), (3, 3)).clip(0))  # its sums may end just below 0
    share = np.minimum(differs / (slope[..., -1] + 1e-3), 1)
    beyond = np.maximum(differs - slope[..., -1] - GRAIN, 0)
    doubt = (layers[..., 3].max(axis=-1) * share + STEEP * beyond) / DOUBT
    return estimate.clip(0, 1), trust / (1 + doubt * doubt)


def as_bright(fetched: Pixels, own: Pixels) -> Pixels:
    """The colours (h, w, C) fetched from another frame, each channel as bright as the frame's own: exposure may change.

    The gain is the median over every fourth pixel, by which what moved otherwise does not matter.
    """
    few = [picture[::4, ::4].reshape(-1, picture.shape[-1]) for picture in (fetched, own)]
    seen = (few[0] > DARK).all(axis=-1) & (few[1] > DARK).all(axis=-1)
    if not seen.any():
        return fetched
    gain = np.median(few[1][seen] / few[0][seen], axis=0).clip(1 / BRIGHTER, BRIGHTER)
    return np.asarray(fetched * gain, np.float32)


def _flickering(alphas: Sequence[Pixels]) -> NDArray[np.bool_]:
    """Where (H, W) bool not all alphas (H, W, K) are 0 and not all are 1."""
    low, high = np.minimum.reduce(alphas), np.maximum.reduce(alphas)
    return np.asarray(~((high <= 0) | (low >= 1)).all(axis=-1))


def _reach_of(line: NDArray[np.bool_]) -> slice:
    """From the first to the last place that is set."""
    found = np.flatnonzero(line)
    return slice(int(found[0]), int(found[-1]) + 1)
