"""Groups: several subjects in one picture, each with the alpha that is seen of it, as hidden as a level asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np

from matte_core.train.procedural.camera import Light, expose
from matte_core.train.procedural.crops import Scene, make_subject
from matte_core.train.procedural.fields import Map, Random, as_map
from matte_core.train.procedural.photographs import Photographs

Occlusion = Literal["easy", "medium", "hard"]
OCCLUSIONS: tuple[Occlusion, ...] = get_args(Occlusion)
HIDDEN = {"easy": (0.0, 0.05), "medium": (0.05, 0.5), "hard": (0.5, 0.85)}  # share of the one that is hidden most
BODIES = ("solid", "fur", "hair", "fine_hair", "plush", "threads", "leaves", "twigs", "motion", "defocus")
SMALLEST = 0.001  # share of the picture that a subject must cover to be one
_TALL = (0.5, 0.9)  # height of a subject as a share of the picture's
_CUT = 0.03  # share of its canvas's edge that a subject must reach to count as cut there: a few hairs do not
_PLACINGS, _SUBJECTS = 24, 6
_SMALL = 64  # pixels a side of the picture in which places are tried
_LIGHTS: tuple[tuple[Light, float], ...] = (("scene", 0.4), ("encoded", 0.6))


@dataclass(frozen=True)
class Subject:
    """A foreground to place: `colour` (L, L, 3) scene-linear and straight, `alpha` (L, L) 0..1; `cut`: it goes on
    below its canvas, as a person does whom the picture's edge cuts. `behind` (L, L, 3) was behind it."""

    colour: Map
    alpha: Map
    behind: Map
    cut: bool


@dataclass(frozen=True)
class Group:
    """`pixels` (S, S, 3) in its `light`; `alpha` (K, S, S), what is seen of each subject, sum at most 1; `hidden`
    (K,), the share of each that others hide. A later subject stands in front of the earlier ones."""

    pixels: Map
    alpha: Map
    hidden: Map
    light: Light


def make_member(seed: tuple[int, ...], size: int, photographs: Photographs) -> Subject:
    """The subject on a canvas of `size` pixels that `seed` stands for: whole, or cut at its lower edge alone."""
    for attempt in range(_SUBJECTS):
        random = np.random.default_rng((*seed, attempt))
        crop = make_subject((*seed, attempt), size, photographs, Scene(str(random.choice(BODIES)), "scene"))
        borders = [float((np.rot90(crop.alpha, -turns)[-1] > 0.3).mean()) > _CUT for turns in range(4)]
        if sum(borders) <= 1:
            break
    turns = -borders.index(True) if any(borders) else 0  # the cut edge comes to lie below
    colour, alpha, behind = (
        np.ascontiguousarray(np.rot90(each, turns)) for each in (crop.foreground, crop.alpha, crop.background)
    )
    return Subject(colour, alpha, behind, any(borders))


def make_group(
    random: Random,
    size: int,
    subjects: Sequence[Subject],
    background: Map,
    occlusion: Occlusion,
    zoom: float = 1.0,
    light: Light | None = None,
) -> Group:
    """A group of `subjects` before `background` (L, L, 3), scene-linear, hidden as `occlusion` says where it can be.

    Subjects are 0.5 to 0.9 of the picture high, smaller where there is no room for so many; the later one hides the
    earlier: its visible alpha is a (1 - a'). The picture is a part of `size` pixels of one `zoom` times as large, and
    subjects of which it shows nearly nothing are left out. Composited in linear light.
    Source: MaGGIe, CVPR 2024, supplement; its levels of occlusion.
    """
    places = _arranged(random, subjects, occlusion)
    left, top = random.uniform(0, 1 - 1 / zoom, 2)
    colour, alphas = np.zeros((size, size, 3), np.float32), list[Map]()
    total = np.zeros((size, size), np.float32)
    full = []
    for subject, place in zip(subjects, places, strict=True):
        premultiplied = np.concatenate([subject.colour * subject.alpha[..., None], subject.alpha[..., None]], 2)
        seen = place.moved(left, top).seen(premultiplied, size, size * zoom)
        cover = seen[..., 3]
        alphas = [alpha * (1 - cover) for alpha in alphas]
        colour = colour * (1 - cover[..., None]) + seen[..., :3]
        total = total * (1 - cover) + cover
        alphas.append(cover)
        full.append(max(float(cover.sum()), 1e-6))
    straight = colour / np.maximum(total, 1e-3)[..., None]
    back = _backdrop(random, background, size)
    lights, chances = zip(*_LIGHTS, strict=True)
    chosen: Light = light or lights[int(random.choice(len(lights), p=chances))]
    pixels, _, _ = expose(random, chosen, as_map(straight), back, total)
    alpha = as_map(np.stack(alphas))
    hidden = as_map([1 - float(part.sum()) / area for part, area in zip(alpha, full, strict=True)])
    there = alpha.mean((1, 2)) >= SMALLEST
    return Group(pixels, alpha[there], hidden[there], chosen)


@dataclass(frozen=True)
class _Place:
    """Where a subject's canvas stands: its `side`, `left` and `top` as shares of the picture's side; and mirrored."""

    side: float
    left: float
    top: float
    mirrored: bool

    def moved(self, left: float, top: float) -> _Place:
        """The place in the part of the picture that begins at `left`, `top`."""
        return replace(self, left=self.left - left, top=self.top - top)

    def seen(self, canvas: Map, size: int, whole: float) -> Map:
        """The canvas (L, L[, C]) in a part of `size` pixels of a picture of `whole` pixels, 0 around it."""
        side = self.side * whole
        canvas = np.ascontiguousarray(canvas[:, ::-1] if self.mirrored else canvas)
        if side < len(canvas) / 2:  # averaged first, so that thin strands do not alias
            canvas = as_map(cv2.resize(canvas, (max(1, round(side)),) * 2, interpolation=cv2.INTER_AREA))
        scale = side / len(canvas)
        shift = (scale - 1) / 2
        matrix = np.array([[scale, 0, self.left * whole + shift], [0, scale, self.top * whole + shift]])
        return as_map(cv2.warpAffine(canvas, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=0))


def _arranged(random: Random, subjects: Sequence[Subject], occlusion: Occlusion) -> list[_Place]:
    """Places at which the subject that is hidden most is so within the level's bounds, or as near as was found."""
    low, high = HIDDEN[occlusion]
    small = [as_map(cv2.resize(s.alpha, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA)) for s in subjects]
    best, found = np.inf, []
    for attempt in range(_PLACINGS):
        room = 0.94**attempt if occlusion == "easy" else 1.0
        spread = 1.0 if occlusion == "easy" else float(random.uniform(0.1, 0.9))
        places = [
            _drawn(random, subject, room * min(1.0, (3.2 / len(subjects)) ** 0.5), spread) for subject in subjects
        ]
        worst = _most_hidden(places, small)
        miss = max(low - worst, worst - high, 0.0)
        if miss < best:
            best, found = miss, places
        if miss == 0:
            break
    return found


def _drawn(random: Random, subject: Subject, share: float, spread: float) -> _Place:
    """A place `share` as large as usual whose middle lies within `spread` of the picture's width."""
    length = len(subject.alpha)
    rows, columns = (np.flatnonzero((subject.alpha > 0.5).any(axis)) for axis in (1, 0))
    first, last, top, bottom = columns.min() / length, columns.max() / length, rows.min() / length, rows.max() / length
    side = min(random.uniform(*_TALL) * share / max(bottom - top, 0.05), 1 / max(last - first, 0.05))
    mirrored = bool(random.random() < 0.5)
    middle = (first + last) / 2 * side
    reach = max(spread - (last - first) * side, 0) if spread == 1 else spread
    left = 0.5 + random.uniform(-0.5, 0.5) * reach - (side - middle if mirrored else middle)
    if subject.cut:
        return _Place(side, left, 1 - side, mirrored)
    return _Place(side, left, random.uniform(0, max(1 - (bottom - top) * side, 0)) - top * side, mirrored)


def _most_hidden(places: Sequence[_Place], small: Sequence[Map]) -> float:
    """The largest share of a subject that those in front of it hide."""
    left, worst = np.ones((_SMALL, _SMALL), np.float32), 0.0
    for place, alpha in reversed(list(zip(places, small, strict=True))):
        cover = place.seen(alpha, _SMALL, _SMALL)
        area = float(cover.sum())
        worst = max(worst, 1 - float((cover * left).sum()) / area if area else 0.0)
        left = left * (1 - cover)
    return worst


def _backdrop(random: Random, background: Map, size: int) -> Map:
    """A random square of the background (size, size, 3), mirrored half of the time."""
    length = len(background)
    side = int(length * random.uniform(0.6, 1))
    top, left = random.integers(0, length - side + 1, 2)
    part = background[top : top + side, left : left + side]
    part = np.ascontiguousarray(part[:, ::-1] if random.random() < 0.5 else part)
    return as_map(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_LINEAR))
