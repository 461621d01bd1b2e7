"""Small verbs over numbers, and the shots that the tests of pulling are made of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from matte_core.errors import SourceError
from matte_core.frame import Frame, FrameRange, Header, Window
from matte_core.pull import Run
from matte_core.shot import Shot, make
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

HEADER = Header(Window(0, 0, 1, 1), Window(0, 0, 1, 1))

PRIME = 65521  # values stay whole numbers that float32 holds exactly


def a_frame(value: float, number: int) -> Frame:
    return Frame(np.full((1, 1, 1), value, np.float32), number, HEADER)


def read_number(job: Job) -> Result:
    delay = job.parameter("delay")
    time.sleep(delay)
    broken = [n for n in job.numbers if n in job.parameter("broken")]
    if broken:
        raise SourceError(f"frame {broken[0]} is cut short. Render it again.")
    return Result([a_frame((n * 31 + job.parameter("seed")) % PRIME, n) for n in job.numbers])


def mix(job: Job) -> Result:
    """Every value depends on every frame of its window, on its number and, if carried, on what came before."""
    time.sleep(job.parameter("delay"))
    state, made = job.state or 0, []
    for number in job.numbers:
        total = number * job.parameter("seed")
        for which in range(len(job.shot.inputs)):
            for place, frame in enumerate(job.around(which, number)):
                total = (total * 17 + int(frame.pixels[0, 0, 0]) * (place + 1)) % PRIME
        if job.parameter("carries"):
            total = state = (total + 7 * state) % PRIME
        if job.parameter("clip"):
            total = (total + sum(job.numbers)) % PRIME
        made.append(a_frame(total, number))
    return Result(made, state)


def declare_mix(parameters: Any) -> Declaration:
    return Declaration(
        windows=tuple((b, a) for b, a in parameters["windows"]),
        batch=parameters["batch"],
        clip=parameters["clip"],
        carries=parameters["carries"],
        warm_up=parameters["warm_up"],
        backward=parameters["backward"],
        begins=tuple(parameters["begins"]),
        lane=parameters["lane"],
    )


@pytest.fixture(autouse=True)
def verbs() -> Iterator[None]:
    made = [
        Verb("test read", read_number, declare=lambda p: Declaration(lane="read")),
        Verb("test mix", mix, declare=declare_mix),
    ]
    VERBS.update({verb.name: verb for verb in made})
    yield
    for verb in made:
        del VERBS[verb.name]


def a_source(frames: str = "1001-1024", seed: int = 1, broken: Sequence[int] = (), delay: float = 0) -> Shot:
    parameters = {"seed": seed, "broken": list(broken), "delay": delay}
    return make(
        "test read", (), parameters, kind="plate", frames=FrameRange.parse(frames), header=HEADER, channels=["A"]
    )


def a_mix(*inputs: Shot, **settings: Any) -> Shot:
    defaults = {
        "windows": [],
        "batch": 1,
        "clip": 0,
        "carries": False,
        "warm_up": 0,
        "backward": False,
        "begins": [],
        "lane": "compute",
        "seed": 3,
        "delay": 0,
    }
    return make("test mix", inputs, {**defaults, **settings})


def values(run: Run) -> list[tuple[int, float]]:
    return [(frame.number, float(frame.pixels[0, 0, 0])) for frame in run]
