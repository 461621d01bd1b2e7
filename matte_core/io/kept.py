"""Frames of networks kept on disk between runs, so that a change after them does not run them again."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from matte_core.aside import load_frame, pack_frame
from matte_core.errors import SourceError
from matte_core.frame import Frame
from matte_core.shot import Shot

LIMIT = 8_000_000_000  # bytes; never more than a quarter of what the disk has left
_ENTRIES = 2000  # bytes of a file beside what it holds


class KeptFrames:
    """What verbs of the device lane made, by stamp, in files of a folder that may be emptied at any time.

    A stamp says the source files, the settings and the weights behind a frame, so a frame that is kept is the frame
    that would be computed (the device is not part of it). At most `limit` bytes: the frames longest unused go first,
    those of this run never; where only those are left, nothing more is kept. A folder that cannot be written to
    keeps nothing. One instance serves one run, from several threads.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._stamps: dict[tuple[int, int], str] = {}
        self._used: set[str] = set()
        self._lock = threading.Lock()
        self._files: dict[str, tuple[float, int]] = {}
        self._room = 0
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            states = {path.stem: path.stat() for path in folder.glob("*.npz")}
            self._files = {stamp: (state.st_mtime, state.st_size) for stamp, state in states.items()}
            held = sum(size for _, size in self._files.values())
            self._room = min(limit, held + shutil.disk_usage(folder).free // 4) - held

    def holds(self, shot: Shot, number: int) -> bool:
        """As `plan.Kept` says."""
        if shot.declaration.lane != "device" or not self._files:
            return False
        stamp = shot.stamp(number, self._stamps)
        with self._lock:
            if stamp not in self._files:
                return False
            try:
                os.utime(self._path(stamp))
            except OSError:
                self._forget(stamp)
                return False
            self._used.add(stamp)
            return True

    def fetch(self, shot: Shot, number: int) -> Frame:
        """As `plan.Kept` says."""
        stamp = shot.stamp(number, self._stamps)
        try:
            return load_frame(self._path(stamp), number)
        except (OSError, BadZipFile, ValueError, KeyError) as error:
            with suppress(OSError):
                self._path(stamp).unlink()
            raise SourceError(f"what was kept of frame {number} is gone ({error}). Run it again.") from error

    def put(self, shot: Shot, frame: Frame) -> None:
        """As `plan.Kept` says."""
        if shot.declaration.lane != "device":
            return
        stamp = shot.stamp(frame.number, self._stamps)
        packed = pack_frame(frame)
        size = sum(part.nbytes for part in packed.values()) + _ENTRIES
        with self._lock:
            if stamp in self._files or not self._make_room(size):
                return
            self._files[stamp], self._room = (0.0, size), self._room - size
            self._used.add(stamp)
        temporary = self._folder / f".{stamp}.{secrets.token_hex(4)}.tmp"
        try:
            with temporary.open("wb") as file:
                np.savez(file, **packed)
            temporary.replace(self._path(stamp))
        except OSError:
            with self._lock:
                self._room = 0  # a disk that is full or gone: the work goes on, nothing more is kept
                self._files.pop(stamp, None)
            with suppress(OSError):
                temporary.unlink()

    def _path(self, stamp: str) -> Path:
        return self._folder / f"{stamp}.npz"

    def _forget(self, stamp: str) -> None:
        self._room += self._files.pop(stamp)[1]

    def _make_room(self, size: int) -> bool:
        """Whether `size` bytes fit, once frames that this run does not use are gone, the longest unused first."""
        idle = sorted((when, stamp) for stamp, (when, _) in self._files.items() if stamp not in self._used)
        while self._room < size and idle:
            stamp = idle.pop(0)[1]
            with suppress(OSError):
                self._path(stamp).unlink(missing_ok=True)
                self._forget(stamp)
        return self._room >= size
