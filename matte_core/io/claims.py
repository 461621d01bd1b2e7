"""Who is making which frames of an output: claims that stand beside the files, so that no two make the same ones.

A claim is a small hidden file in the output's folder, made, told alive every few seconds and taken away by its
process. It saves work and guards nothing: a frame is whole or not there, and has the same bytes whoever makes it, so
a claim that is overlooked (a network file system may show a new file late) costs time and never a frame.

A claim is dead where its process is one of this machine and gone, or where it was silent for DEAD seconds by the
clock of the file server: both times compared are ones the server gave, so machines need not agree on the time.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from matte_core.errors import OutputError, UsageError
from matte_core.frame import FrameRange
from matte_core.io.atomic import alive, host
from matte_core.io.sequence import Pattern

BEAT = 10.0  # seconds between two signs of life
DEAD = 180.0  # seconds of silence; network file systems may show a file's time a minute late
PATIENCE = 1.0  # seconds in which two processes that ask in the same instant settle who is first

_CLAIM = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d+)\.[0-9a-f]{8}\.claim", re.DOTALL)

Wanted = Sequence[tuple[Pattern, FrameRange]]


class Taken(OutputError):
    """Another process is making some of the same frames."""


@dataclass(frozen=True)
class Claim:
    """What another living process says that it is making."""

    name: str
    machine: str
    process: int
    frames: FrameRange | None  # None where it cannot be read (yet): all

    def meets(self, frames: FrameRange) -> bool:
        return self.frames is None or any(number in self.frames for number in frames)

    def __str__(self) -> str:
        frames = "frames" if self.frames is None else f"frames {self.frames}"
        return (
            f"{frames} of {self.name} are being made by process {self.process} on {self.machine or 'another machine'}"
        )


@contextmanager
def claimed(wanted: Wanted, patience: float = PATIENCE) -> Iterator[None]:
    """While it is open, this process makes the frames `wanted` of each output, and says so to others.

    Raises Taken where another process makes some of them, OutputError where the folder cannot be written to.
    """
    until = time.monotonic() + patience
    while True:
        mine, other = _ask(wanted)
        if other is None:
            break
        _withdraw(mine)
        if time.monotonic() >= until:
            raise Taken(f"{other}. Wait for it or stop it; to share the work, start both with --share.")
        time.sleep(random.uniform(0.02, 0.1))  # two that asked at once must not do so again
    over = threading.Event()
    beating = threading.Thread(target=_beat, args=(mine, over), name="matte-claim", daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join(BEAT)  # no longer: a disk that does not answer must not hold the process
        _withdraw(mine)


def _ask(wanted: Wanted) -> tuple[list[Path], Claim | None]:
    """This process's claims, and the first living one that they meet. Whoever sees another one withdraws, so that of
    two that ask at once at most one goes on; both look only after their own claim is there to be seen."""
    mine: list[Path] = []
    for pattern, frames in wanted:
        mine.append(_put(pattern, frames))
    for own, (pattern, frames) in zip(mine, wanted, strict=True):
        other = next((each for each in _others(own, mine, pattern) if each.meets(frames)), None)
        if other is not None:
            return mine, other
    return mine, None


def _put(pattern: Pattern, frames: FrameRange) -> Path:
    path = Path(pattern.folder) / f".{pattern.name}.{host()}.{os.getpid()}.{secrets.token_hex(4)}.claim"
    said = json.dumps({"frames": str(frames), "machine": platform.node()})
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            os.write(handle, said.encode())
        finally:
            os.close(handle)
    except OSError as error:
        raise OutputError(f"The folder {pattern.folder} cannot be written to: {error.strerror}. Make room.") from error
    return path


def _others(own: Path, mine: Sequence[Path], pattern: Pattern) -> Iterator[Claim]:
    """Claims of living processes on the output; dead ones are removed."""
    with suppress(OSError):
        now = own.stat().st_mtime
        for path in own.parent.glob(".*.claim"):
            found = _CLAIM.fullmatch(path.name)
            if found is None or found["name"] != pattern.name or path in mine:
                continue
            with suppress(OSError):
                silent = now - path.stat().st_mtime
                if silent > DEAD or (found["host"] == host() and not alive(int(found["pid"]))):
                    path.unlink()
                    continue
                yield _read(path, pattern.name, int(found["pid"]))


def _read(path: Path, name: str, process: int) -> Claim:
    try:
        said = json.loads(path.read_text(encoding="utf-8")[:200_000])
        return Claim(name, str(said["machine"])[:80], process, FrameRange.parse(str(said["frames"])))
    except (ValueError, TypeError, KeyError, RecursionError, UsageError):
        return Claim(name, "", process, None)


def _beat(mine: Sequence[Path], over: threading.Event) -> None:
    """Touches the claims by the server's clock until it is over; one that was taken for dead is let go."""
    while not over.wait(BEAT):
        for path in mine:
            with suppress(OSError):
                os.utime(path)


def _withdraw(mine: Sequence[Path]) -> None:
    for path in mine:
        with suppress(OSError):
            path.unlink()
