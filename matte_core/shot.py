"""A shot is a description of frames.

A Shot holds no pixels, file handle, thread or cache. It names a verb, the verb's parameters (JSON) and
the shots it reads. A verb is registered once, with a declaration of what it needs; `matte_core.pull`
obeys the declaration and makes the frames.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange, Header, Json, header_from_json, header_to_json

Kind = Literal["plate", "matte", "guide", "data", "receipt"]  # data: numbers as they are, such as ids
Lane = Literal["read", "compute", "device", "write"]
_MAKER: ContextVar[str] = ContextVar("maker", default="")


@dataclass(frozen=True, eq=False)
class Job:
    """What a verb is handed for one unit of work.

    `frames[i]` are the frames of input i that the declaration asked for, in order of the numbers asked
    (`window` neighbours around the first to around the last of `numbers`). `tools` is what the Run was
    given: the engine, for verbs that use it. `state` is what this verb returned for the frame before.
    """

    shot: Shot
    numbers: Sequence[int]
    frames: Sequence[Mapping[int, Frame]]
    state: Any = None
    tools: Any = None

    def parameter(self, name: str) -> Json:
        return self.shot.parameters[name]

    def around(self, which: int, number: int) -> list[Frame]:
        """Frames of input `which` in the declared window around `number`, ends repeated."""
        declaration = self.shot.declaration
        return [self.frames[which][n] for n in declaration.needed(self.shot, which, number)]

    def one(self, which: int, number: int) -> Frame:
        """The single frame of input `which` that belongs to `number`."""
        return self.around(which, number)[0]


@dataclass(frozen=True)
class Result:
    """What a verb gives back: one frame per number of its job, and its state for the next frame.

    Frames that are still on their way from a device are given by `finish`, which another thread calls: it waits
    for them while the device goes on with the next ones.
    """

    frames: Sequence[Frame]
    state: Any = None
    finish: Callable[[], Sequence[Frame]] | None = None


@dataclass(frozen=True)
class Declaration:
    """What a verb needs, declared so that the pull can obey it.

    windows   frames (before, after) per input; inputs not named need only their own frame
    needs     instead of a window: (shot, input, number) -> numbers of that input
    batch     how many frames at once: speed only, may shrink, never changes the answer
    clip      frames that change each other's answer: aligned to the shot's first frame, 0 = none
    carries   the verb's state goes from one frame to the next
    warm_up   frames run before the first wanted one when state is cold; None = from the first frame
    backward  the state goes from a frame to the one before it; what is made waits on disk, not in memory
    begins    numbers of frames at which a state begins anew, so that nothing beyond them matters
    lane      where it runs: "read", "compute", "device" (the caller's thread), "write"
    """

    windows: tuple[tuple[int, int], ...] = ()
    needs: Callable[[Shot, int, int], Sequence[int]] | None = None
    batch: int = 1
    clip: int = 0
    carries: bool = False
    warm_up: int | None = 0
    backward: bool = False
    begins: tuple[int, ...] = ()
    lane: Lane = "compute"

    def start_of(self, frames: FrameRange, position: int) -> int:
        """Position of the frame from which a state is carried to `position`: below it, or above it if `backward`."""
        begins = [frames.position(number) for number in self.begins if number in frames]
        if self.backward:
            start = min((each for each in begins if each >= position), default=len(frames) - 1)
            return start if self.warm_up is None else min(start, position + self.warm_up)
        start = max((each for each in begins if each <= position), default=0)
        return start if self.warm_up is None else max(start, position - self.warm_up)

    def needed(self, shot: Shot, which: int, number: int) -> Sequence[int]:
        """Numbers of input `which` that frame `number` of `shot` needs, in order, repeats at the ends."""
        if self.needs is not None:
            return self.needs(shot, which, number)
        before, after = self.windows[which] if which < len(self.windows) else (0, 0)
        return shot.inputs[which].frames.around(number, before, after)


@dataclass(frozen=True)
class Verb:
    """A function over frames, its name and version, and what it declares for given parameters."""

    name: str
    compute: Callable[[Job], Result]
    version: int = 1
    declare: Callable[[Mapping[str, Json]], Declaration] = field(default=lambda parameters: Declaration())
    source: Callable[[Mapping[str, Json], int], Json] | None = None  # identity of the files behind a frame
    recipe: Callable[[Mapping[str, Json]], Mapping[str, Json]] = field(default=lambda parameters: parameters)


VERBS: dict[str, Verb] = {}  # every verb by name; a recipe is rebuilt through this table, never by code


def register(verb: Verb) -> Verb:
    """Put a verb into the table. A name is taken once."""
    if VERBS.setdefault(verb.name, verb) is not verb:
        raise ValueError(f"two verbs are called '{verb.name}'")
    return verb


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
            memo[id(shot), at] = digest([verb.name, verb.version, dict(verb.recipe(shot.parameters)), own, below])
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
