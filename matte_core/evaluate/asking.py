"""Every method asked for every picture, each method in a process of its own, so that its cost is its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from matte_core.errors import MatteError
from matte_core.evaluate.cost import Cost
from matte_core.evaluate.methods import Question, Solve, prepare
from matte_core.evaluate.pictures import Picture
from matte_core.frame import Pixels

Progress = Callable[[str, str, int, int], None]  # method, trimaps, pictures done, of how many
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Settings:
    """How methods run: `device` and `precision` of models, processor `threads` of each, the plates' colour `space`."""

    device: str = "cpu"
    precision: str = "auto"
    threads: int = 1
    space: str = ""


@dataclass(frozen=True)
class Answer:
    """One method's answer to one picture: a file with alpha (H, W) float32 and what it cost, or why there is none."""

    file: Path | None
    cost: Cost
    failure: str = ""

    def alpha(self) -> Pixels | None:
        """The alpha (H, W) in 0..1, None where there is none."""
        return None if self.file is None else np.asarray(np.load(self.file, allow_pickle=False), np.float32)


Answers = Mapping[tuple[str, str, str], Answer]  # by method, set of trimaps, picture


def ask(
    methods: Sequence[str], pictures: Sequence[Picture], settings: Settings, folder: Path, progress: Progress
) -> Answers:
    """Answers of every method to every picture with every trimap; alphas lie in `folder`.

    A method that fails at a picture, or whose process dies, costs that answer alone.
    """
    answers: dict[tuple[str, str, str], Answer] = {}
    for number, method in enumerate(methods):
        with _Process(method, settings) as process:
            for trimaps in pictures[0].trimaps:
                for place, picture in enumerate(pictures):
                    file = folder / f"{number}_{trimaps}_{picture.name}.npy"
                    question = Question(picture.plate, picture.trimaps[trimaps], settings.space)
                    answers[method, trimaps, picture.name] = process.solve(question, file)
                    progress(method, trimaps, place + 1, len(pictures))
    return answers


class _Process:
    """A child process that has one method ready; another takes its place if it dies."""

    def __init__(self, method: str, settings: Settings) -> None:
        self._method, self._settings = method, settings
        self._executor: Executor | None = None

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            self._executor.shutdown()

    def solve(self, question: Question, file: Path) -> Answer:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(1, get_context("spawn"))
        try:
            with _threads(self._settings.threads):  # the child is started at the first task and inherits this
                return self._executor.submit(answer, self._method, self._settings, question, file).result()
        except BrokenProcessPool:
            self._executor = None
            return Answer(None, Cost(), "its process died, most likely for want of memory")


_ready: dict[tuple[str, Settings], Solve] = {}  # of a child process, which has one method


def answer(method: str, settings: Settings, question: Question, file: Path) -> Answer:
    """The method's answer to `question`, its alpha written to `file`; the method is prepared at the first call."""
    try:
        if (method, settings) not in _ready:
            torch.set_num_threads(settings.threads)
            _ready[method, settings] = prepare(method, torch.device(settings.device), settings.precision)
        alpha, cost = _ready[method, settings](question)
    except (MatteError, ValueError, ArithmeticError, MemoryError) as error:
        return Answer(None, Cost(), " ".join(str(error).split()) or type(error).__name__)
    np.save(file, alpha)
    return Answer(file, cost)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Libraries loaded by a process that is started inside use so many threads."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
