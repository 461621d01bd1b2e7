"""A shot is a description of frames.

A Shot holds no pixels, file handle, thread or cache. It names a verb, the verb's parameters (JSON) and
the shots it reads. A verb is registered once, with a declaration of what it needs; `matte_core.pull`
obeys the declaration and makes the frames.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

from matte_core.errors import UsageError
from matte_core.frame import FrameRange, Header, Json, header_from_json, header_to_json
from matte_core.verb import VERBS, Declaration

Kind = Literal["plate", "matte", "guide", "data", "receipt"]  # data: numbers as they are, such as ids
_MAKER: ContextVar[str] = ContextVar("maker", default="")


@dataclass(frozen=True, eq=False)
class Shot:
    """A description of frames: verb, JSON parameters, input shots, frame numbers, kind, header.

    `header` is that of the first frame (sizes and colour are known before a frame is read).
    `channels` names the channels: ("R", "G", "B") of a plate, one name per layer of a matte.
    `notes` are sentences for the person: what was decided when the shot was described; `maker` is who described
    it, such as a workflow's node, so that an error can say where to look. `reading` sets a shot apart from others that
    say the same, so that its frames are made a second time and none waits for the other use (see `read_again`).
    None of the three is part of the recipe.
    """

    verb: str
    parameters: Mapping[str, Json]
    inputs: tuple[Shot, ...]
    frames: FrameRange
    kind: Kind
    header: Header
    channels: tuple[str, ...] = ("R", "G", "B")
    notes: tuple[str, ...] = ()
    maker: str = ""
    reading: str = ""

    def __str__(self) -> str:
        """The shot in a few words: hosts show their values so, and a description of all its inputs is pages long."""
        window = self.header.display
        return f"{self.kind}, frames {self.frames}, {window.width}x{window.height}, by {self.verb}"

    @property
    def declaration(self) -> Declaration:
        cached = self.__dict__.get("_declaration")
        if cached is None:
            cached = VERBS[self.verb].declare(self.parameters)
            object.__setattr__(self, "_declaration", cached)
        return cached

    @property
    def frame_bytes(self) -> int:
        """Bytes that one frame takes while it lives."""
        return 4 * len(self.channels) * self.header.data.width * self.header.data.height

    def settings(self) -> str:
        """Hash of how the shot is made; batch, lane, device and folders are not in it."""
        memo: dict[int, str] = {}
        for shot in self.lineage():
            verb = VERBS[shot.verb]
            memo[id(shot)] = digest(
                [verb.name, verb.version, dict(verb.recipe(shot.parameters)), [memo[id(i)] for i in shot.inputs]]
            )
        return memo[id(self)]

    def stamp(self, number: int, memo: dict[tuple[int, int], str] | None = None) -> str:
        """Hash of one frame: its settings and the identity of every source file it depends on.

        `memo` may be shared between calls on the same graph to save time.
        """
        memo = {} if memo is None else memo
        pending: list[tuple[Shot, int]] = [(self, number)]
        while pending:
            shot, at = pending[-1]
            if (id(shot), at) in memo:
                pending.pop()
                continue
            needs = [
                [(source, n) for n in numbers] for source, numbers in zip(shot.inputs, shot.lookback(at), strict=True)
            ]
            missing = [need for group in needs for need in group if (id(need[0]), need[1]) not in memo]
            if missing:
                pending.extend(missing)
                continue
            verb = VERBS[shot.verb]
            own = verb.source(shot.parameters, at) if verb.source else None
            below = [[memo[id(source), n] for source, n in group] for group in needs]
            # frames of one window, as in a shot shorter than it, are told apart by their place among what they need
            places = [sum(n < at for _, n in group) for group in needs if len(group) > 1]
            memo[id(shot), at] = digest(
                [verb.name, verb.version, dict(verb.recipe(shot.parameters)), own, below, places]
            )
            pending.pop()
        return memo[id(self), number]

    def lookback(self, number: int) -> list[list[int]]:
        """Per input, every frame that can change frame `number`: its window, its clip, its warm-up."""
        declared, position = self.declaration, self.frames.position(number)
        first = last = position
        if declared.clip:
            first = position - position % declared.clip
            last = min(first + declared.clip, len(self.frames)) - 1
        if declared.carries:
            start = declared.start_of(self.frames, last if declared.backward else first)
            first, last = min(first, start), max(last, start)
        numbers = self.frames[first : last + 1]
        return [
            sorted({n for m in numbers for n in declared.needed(self, which, m)}) for which in range(len(self.inputs))
        ]

    def lineage(self) -> list[Shot]:
        """This shot and every shot it reads, each once, inputs before what reads them."""
        order: dict[int, Shot] = {}
        pending: list[tuple[Shot, bool]] = [(self, False)]
        while pending:
            shot, ready = pending.pop()
            if id(shot) in order:
                continue
            if ready:
                order[id(shot)] = shot
            else:
                pending.append((shot, True))
                pending.extend((source, False) for source in reversed(shot.inputs))
        return list(order.values())

    def said(self) -> list[str]:
        """Notes of this shot and all it reads, each once."""
        return list(dict.fromkeys(note for shot in self.lineage() for note in shot.notes))

    def describe(self) -> dict[str, Json]:
        """The shot as JSON, from which `Shot.rebuild` makes the same shot in another process."""
        order = self.lineage()
        number = {id(shot): index for index, shot in enumerate(order)}
        return {
            "shots": [
                {
                    "verb": shot.verb,
                    "version": VERBS[shot.verb].version,
                    "parameters": json.loads(json.dumps(dict(shot.parameters))),
                    "inputs": [number[id(source)] for source in shot.inputs],
                    "frames": str(shot.frames),
                    "kind": shot.kind,
                    "channels": list(shot.channels),
                    "header": header_to_json(shot.header),
                    "reading": shot.reading,
                }
                for shot in order
            ]
        }

    @staticmethod
    def rebuild(description: Mapping[str, Json]) -> Shot:
        """The shot that `describe` wrote down. Raises UsageError where a verb is unknown or has changed."""
        made: list[Shot] = []
        for entry in description["shots"]:
            verb = VERBS.get(entry["verb"])
            if verb is None or verb.version != entry["version"]:
                raise UsageError(
                    f"verb '{entry['verb']}' version {entry['version']} is not known here. "
                    "Use the Matte version that wrote it."
                )
            made.append(
                Shot(
                    entry["verb"],
                    entry["parameters"],
                    tuple(made[index] for index in entry["inputs"]),
                    FrameRange.parse(entry["frames"]),
                    entry["kind"],
                    header_from_json(entry["header"]),
                    tuple(entry["channels"]),
                    reading=entry.get("reading", ""),
                )
            )
        return made[-1]


def make(
    verb: str,
    inputs: Sequence[Shot] = (),
    parameters: Mapping[str, Json] | None = None,
    *,
    kind: Kind | None = None,
    frames: FrameRange | None = None,
    header: Header | None = None,
    channels: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> Shot:
    """A shot that applies `verb` to `inputs`; what is not given is taken from the first input.

    Raises TypeError where a parameter cannot be written as JSON, here rather than on a farm.
    """
    parameters = dict(parameters or {})
    json.dumps(parameters)
    first = inputs[0] if inputs else None
    if first is None and (kind is None or frames is None or header is None or channels is None):
        raise TypeError(f"a shot without inputs ({verb}) must say its kind, frames, header and channels")
    return Shot(
        verb,
        parameters,
        tuple(inputs),
        frames if frames is not None else first.frames,  # type: ignore[union-attr]
        kind if kind is not None else first.kind,  # type: ignore[union-attr]
        header if header is not None else first.header,  # type: ignore[union-attr]
        tuple(channels) if channels is not None else first.channels,  # type: ignore[union-attr]
        tuple(notes),
        _MAKER.get(),
    )


def read_again(shot: Shot, reading: str) -> Shot:
    """The shot with all it reads as a second reading called `reading`: its frames are made anew where the plan has the
    first reading too. For what goes through a shot in another order: nothing waits for it, nor it for others."""
    made: dict[int, Shot] = {}
    for each in shot.lineage():
        made[id(each)] = replace(each, inputs=tuple(made[id(source)] for source in each.inputs), reading=reading)
    return made[id(shot)]


@contextmanager
def made_by(who: str) -> Iterator[None]:
    """While it is open, every shot that is made says that `who` ("node 4 (Estimate Alpha)") made it."""
    before = _MAKER.set(who)
    try:
        yield
    finally:
        _MAKER.reset(before)


def digest(value: Json) -> str:
    """First 16 hex digits of the sha256 of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
