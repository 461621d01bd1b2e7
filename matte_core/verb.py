"""A verb: a function over frames, and what it declares that it needs, so that the pull can obey it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from matte_core.frame import Frame, FrameRange, Json

if TYPE_CHECKING:
    from matte_core.shot import Shot

Lane = Literal["read", "compute", "device", "write"]


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

    def expect(self, job: Job) -> None:
        """Raises RuntimeError where these are not the frames of `job`: a mistake in the verb."""
        made = [frame.number for frame in self.frames]
        if made != list(job.numbers):
            raise RuntimeError(f"verb '{job.shot.verb}' was asked for frames {list(job.numbers)} and made {made}")


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
