"""A plan: what has to be computed for the frames that will be pulled, in which order, and for whom.

`Plan(pulls)` walks back from the pulled frames, groups the frames of every shot into units and counts the
consumers of every frame. It reads nothing and computes nothing; `matte_core.pull` carries it out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from matte_core.errors import UsageError
from matte_core.frame import Frame
from matte_core.shot import Shot
from matte_core.verb import VERBS

Key = tuple[int, int]  # (identity of a shot, frame number)


class Kept(Protocol):
    """Frames that were computed before, in another run, by their stamps: what is kept is fetched, not computed."""

    def holds(self, shot: Shot, number: int) -> bool:
        """Whether the frame is kept; if so, it stays so until the run is over."""
        ...

    def fetch(self, shot: Shot, number: int) -> Frame:
        """The frame. Raises SourceError where it is gone all the same."""
        ...

    def put(self, shot: Shot, frame: Frame) -> None:
        """Keeps a frame that was computed, if it is worth it and there is room."""
        ...


class Unit:
    """Frames of one shot that are computed together, and what they need; or one that is `kept` and needs nothing."""

    __slots__ = ("dependants", "index", "kept", "needs", "numbers", "previous", "shot", "sink", "waits_for")

    def __init__(self, shot: Shot, numbers: Sequence[int], kept: bool = False) -> None:
        self.shot = shot
        self.numbers = tuple(numbers)
        self.kept = kept
        self.needs: tuple[tuple[int, ...], ...] = ((),) * len(shot.inputs) if kept else needs_of(shot, numbers)
        self.previous: Unit | None = None
        self.dependants: list[Unit] = []
        self.waits_for = 0  # how many units must be finished first
        self.index = -1  # place in the order of work
        self.sink = -1  # the first pull that needs it

    def __lt__(self, other: Unit) -> bool:
        return self.index < other.index

    def lost(self, failed: Container[Key]) -> set[int]:
        """Numbers of this unit that cannot be made when the frames in `failed` cannot."""
        shot = self.shot
        if not any(key in failed for key in self.depends_on()):
            return set()
        if shot.declaration.clip or shot.declaration.carries:
            return set(self.numbers)
        return {
            number
            for number in self.numbers
            if any(
                (id(source), n) in failed
                for source, numbers in zip(shot.inputs, needs_of(shot, [number]), strict=True)
                for n in numbers
            )
        }

    def depends_on(self) -> Iterator[Key]:
        """Frames that this unit depends on: its inputs', and its own of the unit whose state it takes."""
        if self.previous is not None:
            yield from ((id(self.shot), number) for number in self.previous.numbers)
        for source, numbers in zip(self.shot.inputs, self.needs, strict=True):
            yield from ((id(source), number) for number in numbers)


def needs_of(shot: Shot, numbers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Per input of `shot`, the frames needed for all of `numbers`, ascending, each once."""
    declared = shot.declaration
    return tuple(
        tuple(sorted({n for number in numbers for n in declared.needed(shot, which, number)}))
        for which in range(len(shot.inputs))
    )


class Plan:
    """Units in order of work, and how many consumers each frame has.

    `pulls` are (shot, frame numbers); they are answered frame by frame over all of them, so that several
    shots that share work share its frames too. Shots that say the same thing are made one. A shot's needed
    frames are grouped by its declaration: by `batch` over the frames that are needed, by `clip` aligned to
    the shot's first frame, and, where a state is carried, in runs that start `warm_up` frames early or where a state
    begins. What `kept`
    holds is not computed, and what only it would need is not either.
    """

    def __init__(self, pulls: Sequence[tuple[Shot, Sequence[int]]], kept: Kept | None = None) -> None:
        self.kept = kept
        same = _Same()
        wanted = [(same.one(shot), frozenset(numbers)) for shot, numbers in pulls]
        for shot, numbers in wanted:
            outside = sorted(n for n in numbers if n not in shot.frames)
            if outside:
                raise UsageError(f"frame {outside[0]} is outside the shot ({shot.frames}). Pull frames that it has.")
        order = sorted(set().union(*(numbers for _, numbers in wanted)))
        self.pulls: list[tuple[Shot, int]] = [(s, n) for n in order for s, numbers in wanted if n in numbers]
        self.sinks = len(wanted)
        self.units: list[Unit] = []
        self.unit_of: dict[Key, Unit] = {}
        self.uses: Counter[Key] = Counter()
        self._group(wanted)
        self._order()

    def _group(self, wanted: Sequence[tuple[Shot, frozenset[int]]]) -> None:
        """Walk from the sinks to the sources and cut what each shot must make into units."""
        needed: dict[int, set[int]] = {}
        shots: dict[int, Shot] = {}
        for shot, numbers in wanted:
            needed.setdefault(id(shot), set()).update(numbers)
            shots.update({id(ancestor): ancestor for ancestor in shot.lineage()})
        for shot in reversed(_inputs_first(shots)):
            if shot.verb not in VERBS:
                raise UsageError(f"verb '{shot.verb}' is not known here. Use the Matte version that wrote it.")
            before: Unit | None = None
            wanted_here = needed.get(id(shot), set())
            there = {n for n in wanted_here if self.kept is not None and self.kept.holds(shot, n)}
            for number in there:
                self.unit_of[id(shot), number] = Unit(shot, [number], kept=True)
            for group, carries_on in _groups(shot, wanted_here - there):
                unit = Unit(shot, group)
                unit.previous = before if carries_on else None
                before = unit
                for number in group:
                    self.unit_of[id(shot), number] = unit
                for source, frames in zip(shot.inputs, unit.needs, strict=True):
                    needed.setdefault(id(source), set()).update(frames)

    def _order(self) -> None:
        """Number the units depth first from each pull in turn, and count consumers."""
        for sink, (shot, number) in enumerate(self.pulls):
            self.uses[id(shot), number] += 1
            pending = [self.unit_of[id(shot), number]]
            while pending:
                unit = pending[-1]
                if unit.index >= 0:
                    pending.pop()
                    continue
                missing = [other for other in self._before(unit) if other.index < 0]
                if missing:
                    pending.extend(reversed(missing))
                    continue
                pending.pop()
                self._append(unit, sink)

    def _append(self, unit: Unit, sink: int) -> None:
        unit.index, unit.sink = len(self.units), sink
        self.units.append(unit)
        for other in {id(other): other for other in self._before(unit)}.values():
            other.dependants.append(unit)
            unit.waits_for += 1
        for source, numbers in zip(unit.shot.inputs, unit.needs, strict=True):
            for number in numbers:
                self.uses[id(source), number] += 1

    def _before(self, unit: Unit) -> Iterator[Unit]:
        return (self.unit_of[key] for key in unit.depends_on())

    def costs(self, shot: Shot, numbers: Sequence[int]) -> list[int]:
        """Pulled frame numbers that cannot be made when `numbers` of `shot` cannot."""
        failed: set[Key] = {(id(shot), number) for number in numbers}
        for unit in self.units:
            failed.update((id(unit.shot), number) for number in unit.lost(failed))
        return sorted({number for sink, number in self.pulls if (id(sink), number) in failed})

    def peak_bytes(self) -> int:
        """Most bytes of frames alive at once when the units run one after another."""
        left, live, most = Counter(self.uses), 0, 0
        pulls = iter(self.pulls)
        pull = next(pulls, None)
        for unit in self.units:
            live += unit.shot.frame_bytes * sum(1 for n in unit.numbers if left[id(unit.shot), n])
            most = max(most, live)
            for source, numbers in zip(unit.shot.inputs, unit.needs, strict=True):
                for number in numbers:
                    left[id(source), number] -= 1
                    live -= 0 if left[id(source), number] else source.frame_bytes
            while pull is not None and self.unit_of[id(pull[0]), pull[1]].index <= unit.index:
                left[id(pull[0]), pull[1]] -= 1
                live -= 0 if left[id(pull[0]), pull[1]] else pull[0].frame_bytes
                pull = next(pulls, None)
        return most


class _Same:
    """Makes shots that say the same thing one shot, so that it is computed once."""

    def __init__(self) -> None:
        self._known: dict[str, Shot] = {}
        self._made: dict[int, Shot] = {}
        self._kept: list[Shot] = []  # keeps the originals alive, so that no identity is used again

    def one(self, shot: Shot) -> Shot:
        for ancestor in shot.lineage():
            if id(ancestor) in self._made:
                continue
            inputs = tuple(self._made[id(source)] for source in ancestor.inputs)
            key = json.dumps(
                [
                    ancestor.verb,
                    dict(ancestor.parameters),
                    [id(source) for source in inputs],
                    str(ancestor.frames),
                    ancestor.reading,
                ],
                sort_keys=True,
            )
            changed = any(a is not b for a, b in zip(inputs, ancestor.inputs, strict=True))
            own = replace(ancestor, inputs=inputs) if changed else ancestor
            self._made[id(ancestor)] = self._known.setdefault(key, own)
            self._kept.append(ancestor)
        return self._made[id(shot)]


def _inputs_first(shots: dict[int, Shot]) -> list[Shot]:
    order: dict[int, Shot] = {}
    for shot in shots.values():
        for ancestor in shot.lineage():
            order.setdefault(id(ancestor), ancestor)
    return list(order.values())


def _groups(shot: Shot, needed: set[int]) -> list[tuple[Sequence[int], bool]]:
    """Frames of `shot` to be computed together, and whether each group carries on from the one before."""
    declared, frames = shot.declaration, shot.frames
    if declared.clip:
        starts = sorted({frames.position(n) // declared.clip * declared.clip for n in needed})
        clips = [frames[start : start + declared.clip] for start in starts]
        joined = [declared.carries and i > 0 and starts[i] == starts[i - 1] + declared.clip for i in range(len(starts))]
        return list(zip(clips, joined, strict=True))
    if not declared.carries:
        numbers = sorted(needed)
        return [(numbers[i : i + declared.batch], False) for i in range(0, len(numbers), declared.batch)]
    groups: list[tuple[Sequence[int], bool]] = []
    for run in _runs(shot, needed):
        for start in range(0, len(run), declared.batch):
            groups.append((run[start : start + declared.batch], start > 0))
    return groups


def _runs(shot: Shot, needed: set[int]) -> list[list[int]]:
    """Frames to run one after the other so that every one of `needed` is reached warm; short gaps are run through.

    A run never goes on over a frame at which the state begins anew.
    """
    declared, frames = shot.declaration, shot.frames
    way = -1 if declared.backward else 1
    spans: list[list[int]] = []  # first and last position, in the order they are run
    for position in sorted(map(frames.position, needed), reverse=declared.backward):
        start = declared.start_of(frames, position)
        joins = bool(spans) and (start - spans[-1][1]) * way <= 1 and frames[start] not in declared.begins
        if spans and (joins or (start - spans[-1][1]) * way <= 0):
            spans[-1][1] = position
        else:
            spans.append([start, position])
    return [[frames[place] for place in range(first, last + way, way)] for first, last in spans]
