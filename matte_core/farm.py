"""Frames of one job made by many: where a shot may be cut, so that pieces give what the whole gives."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from matte_core.frame import FrameRange
from matte_core.shot import Shot

LONGEST_CHUNK = 64  # frames: a lost machine costs no more than that
CHUNKS_EACH = 4  # pieces per worker, so that a slow one does not keep all others waiting at the end
WARM_SHARE = 4  # a piece is at least so many times as long as what it must run before its first frame


@dataclass(frozen=True)
class Seams:
    """Where a shot may be cut: between `clip`s of so many frames, each piece running `warm_up` frames that it does not
    deliver; with `whole`, since a state is carried from where it begins, only before the frames `begins`."""

    whole: bool = False
    clip: int = 1
    warm_up: int = 0
    begins: tuple[int, ...] = ()


def seams(receipts: Sequence[Shot]) -> Seams:
    """Where the frames of `receipts` may be cut, as everything that makes them declares it."""
    declared = [shot.declaration for receipt in receipts for shot in receipt.lineage()]
    carrying = [each for each in declared if each.carries]
    from_begins = [each for each in carrying if each.warm_up is None]
    return Seams(
        bool(from_begins),
        math.lcm(*(each.clip or 1 for each in declared)),
        max((each.warm_up or 0 for each in carrying), default=0),
        tuple(sorted(set.intersection(*(set(each.begins) for each in from_begins)))) if from_begins else (),
    )


def cut(receipts: Sequence[Shot], numbers: FrameRange, size: int = 0, workers: int = 1) -> list[FrameRange]:
    """`numbers` in pieces of about `size` frames (0: as suits `workers`), one where the shot may not be cut.

    Pieces lie on a grid that begins at the first frame of the shot, not of `numbers`: all who are handed any part of
    a job cut it alike.
    """
    found = seams(receipts)
    if (found.whole and not found.begins) or not numbers:
        return [numbers] if numbers else []
    if not size:
        size = min(max(math.ceil(len(numbers) / (CHUNKS_EACH * workers)), WARM_SHARE * found.warm_up), LONGEST_CHUNK)
    size = math.ceil(size / found.clip) * found.clip
    every = FrameRange(number for receipt in receipts for number in receipt.frames)
    if not found.whole:
        return [FrameRange(piece) for _, piece in groupby(numbers, lambda number: every.position(number) // size)]
    starts = _starts(found, every, size)
    return [FrameRange(piece) for _, piece in groupby(numbers, lambda number: bisect(starts, number))]


def _starts(found: Seams, every: FrameRange, size: int) -> list[int]:
    """First frames of the pieces of a shot whose states begin anew: no piece but the last has fewer than `size`."""
    starts = [every[0]]
    for number in found.begins:
        long_enough = number in every and every.position(number) - every.position(starts[-1]) >= size
        if long_enough and every.position(number) % found.clip == 0:
            starts.append(number)
    return starts
