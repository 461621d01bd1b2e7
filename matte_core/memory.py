"""Shots of pictures that a program already holds in memory, such as an IMAGE of ComfyUI."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from matte_core.errors import SourceError, UsageError
from matte_core.frame import Frame, FrameRange, Header, Json, Pixels
from matte_core.shot import Kind, Shot, make
from matte_core.verb import Declaration, Job, Result, Verb, register

Pictures = Callable[[int], Pixels]  # the picture at a place, 0 for the first: (C, H, W) float32
EVERY = "every"


class Content(dict[str, Json]):
    """Digests of the pictures by frame number, and the pictures: they go when the last shot that names them goes."""

    pictures: Pictures | None = None


def hold(
    pictures: Pictures, count: int, frames: FrameRange, *, kind: Kind, header: Header, channels: Sequence[str]
) -> Shot:
    """A shot of `count` pictures, one per frame number; one alone is repeated for every number.

    `pictures(place)` gives (C, H, W) float32, a plate in `header.colour_space` or a matte in 0..1. The shot
    keeps them alive, stamps each frame with their content, and cannot be rebuilt in another process. Raises
    UsageError where `count` is neither one nor the number of frames.
    """
    if count not in (1, len(frames)):
        raise UsageError(
            f"{count} pictures were given for {len(frames)} frames ({frames}). "
            f"Give one picture, or one for each of the {len(frames)} frames."
        )
    digests = [hashlib.sha256(np.ascontiguousarray(pictures(place)).data).hexdigest()[:16] for place in range(count)]
    content = Content({EVERY: digests[0]} if count == 1 else zip(map(str, frames), digests, strict=True))
    content.pictures = pictures
    return make("memory", (), {"content": content}, kind=kind, frames=frames, header=header, channels=channels)


def _compute(job: Job) -> Result:
    pictures = getattr(job.parameter("content"), "pictures", None)
    if pictures is None:
        raise SourceError(
            "the pictures of this shot lived in another program's memory. Write them to files and read those."
        )
    repeated = EVERY in job.parameter("content")
    places = [0 if repeated else job.shot.frames.position(number) for number in job.numbers]
    return Result([Frame(pictures(p), n, job.shot.header) for p, n in zip(places, job.numbers, strict=True)])


def _content(parameters: Mapping[str, Json], number: int) -> Json:
    content = parameters["content"]
    return content.get(EVERY) or content[str(number)]


MEMORY = register(
    Verb(
        "memory",
        _compute,
        declare=lambda parameters: Declaration(lane="read"),
        source=_content,
        recipe=lambda parameters: {},
    )
)
