"""Every error Matte raises, each saying what happened, where, and the cure.

MatteError
├── UsageError      a setting, name or range that cannot be right           exit code 2
├── SourceError     a plate, mask or trimap that cannot be found or read    exit code 3
├── ColourError     a colour space or configuration that cannot be used     exit code 3
├── ModelError      a model, its weights or its device                      exit code 4
├── FrameError      one frame failed while the shot was being pulled        exit code 5
└── OutputError     a frame or folder that cannot be written                exit code 6

Cancelled (a BaseException, so that no verb swallows it)                    exit code 130
"""

from __future__ import annotations

from collections.abc import Sequence


class MatteError(Exception):
    """One sentence for the artist: what happened, where, and what to do about it."""

    exit_code = 1


class UsageError(MatteError):
    exit_code = 2


class SourceError(MatteError):
    exit_code = 3


class ColourError(MatteError):
    exit_code = 3


class ModelError(MatteError):
    exit_code = 4


class ShortOfRoom(ModelError):
    """There is too little memory beside what goes on at the same time; alone the work fits."""


class FrameError(MatteError):
    """One frame of one verb failed; names the verb, the frame, its node where it has one, and the frames it costs."""

    exit_code = 5

    def __init__(self, verb: str, number: int, cause: Exception, costs: Sequence[int] = (), maker: str = "") -> None:
        self.verb = verb
        self.number = number
        self.cause = cause
        self.costs = tuple(costs)
        self.maker = maker
        super().__init__(verb, number, cause)

    def __str__(self) -> str:
        reason = str(self.cause) or type(self.cause).__name__
        if not isinstance(self.cause, MatteError):
            reason = f"{type(self.cause).__name__}: {reason}"
        where = f"{self.verb} in {self.maker}" if self.maker else self.verb
        text = f"{where}, frame {self.number}: {reason}"
        if self.costs and tuple(self.costs) != (self.number,):
            text += f" (output frames lost: {', '.join(map(str, self.costs))})"
        return text


class OutputError(MatteError):
    exit_code = 6


class Cancelled(BaseException):
    """The person or the host asked to stop. Not an Exception: nothing may swallow it."""

    exit_code = 130


_NO_MEMORY = (  # what torch and its libraries say where no exception of its own is raised
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that there was too little memory, of the host or of a device."""
    if isinstance(error, (MemoryError, ShortOfRoom)) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower() if isinstance(error, RuntimeError) else ""
    return any(said in text for said in _NO_MEMORY)
