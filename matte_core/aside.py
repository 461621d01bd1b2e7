"""Frames put aside on disk while a run goes on, packed so that a matte takes little; and that packing."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from matte_core.errors import OutputError, SourceError
from matte_core.frame import Frame, Pixels, header_from_json, header_to_json
from matte_core.verb import Job

_ZERO, _ONE = np.uint32(0), np.float32(1).view(np.uint32)


@dataclass(frozen=True)
class Waiting:
    """A frame that lies on disk until it is asked for."""

    path: Path
    number: int

    @property
    def nbytes(self) -> int:
        return 0  # of memory

    def frame(self) -> Frame:
        """The frame. Raises SourceError where its file is gone."""
        try:
            return load_frame(self.path, self.number)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise SourceError(f"frame {self.number}, put aside on disk, is gone ({error}). Run it again.") from error


class Aside:
    """A folder for the frames of one run that wait long; it is made at the first and removed by `close`."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._count = 0

    def put(self, frame: Frame) -> Waiting:
        """The frame on disk. Raises OutputError where it cannot be written."""
        self._count += 1
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="matte-"))
            path = self._folder / f"{self._count}.npz"
            with path.open("wb") as file:
                np.savez(file, **pack_frame(frame))
        except OSError as error:
            raise OutputError(f"no frame can be put aside on disk ({error}). Free some space or set TMPDIR.") from error
        return Waiting(path, frame.number)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def brought_back(job: Job) -> Job:
    """The job with those of its frames that were put aside on disk."""
    if not any(isinstance(frame, Waiting) for frames in job.frames for frame in frames.values()):
        return job
    return replace(job, frames=[{n: frame_of(frame) for n, frame in frames.items()} for frames in job.frames])


def frame_of(frame: Frame | Waiting) -> Frame:
    """The frame, wherever it waits."""
    return frame.frame() if isinstance(frame, Waiting) else frame


def pack_frame(frame: Frame) -> dict[str, Any]:
    """The frame, but for its number, as arrays to be saved together; exact, a matte in a few percent of its size."""
    zeros, ones, rest = pack(frame.pixels)
    header = np.frombuffer(json.dumps(header_to_json(frame.header)).encode(), np.uint8)
    return {"zeros": zeros, "ones": ones, "rest": rest, "shape": np.array(frame.pixels.shape), "header": header}


def load_frame(path: Path, number: int) -> Frame:
    """The frame whose arrays are in `path`. Raises OSError, ValueError, KeyError or BadZipFile where they are not."""
    with np.load(path, allow_pickle=False) as file:
        header = header_from_json(json.loads(file["header"].tobytes()))
        pixels = unpack(file["zeros"], file["ones"], file["rest"], tuple(file["shape"]))
    return Frame(pixels, number, header)


def pack(pixels: Pixels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the pixels are 0 and where 1, a bit each, and the others as they are: a matte in a few percent, exact."""
    bits = np.ascontiguousarray(pixels).view(np.uint32).ravel()
    zeros, ones = bits == _ZERO, bits == _ONE
    return np.packbits(zeros), np.packbits(ones), pixels.ravel()[~(zeros | ones)]


def unpack(zeros: np.ndarray, ones: np.ndarray, rest: Pixels, shape: tuple[int, ...]) -> Pixels:
    """The pixels that `pack` took apart. Raises ValueError where the parts do not fit."""
    count = int(np.prod(shape))
    one = np.unpackbits(ones, count=count).astype(bool)
    pixels = one.astype(np.float32)
    pixels[~(np.unpackbits(zeros, count=count).astype(bool) | one)] = rest
    return pixels.reshape(shape)
